"""What all API processes of a machine measured, as one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from app.metrics.shared_cells import read_all
from domain.metrics.instruments import Instrument, Metrics

Labels = tuple[str, ...]
Merged = dict[str, dict[Labels, list[float]]]
"""By metric and labels what a child's cells hold, taken together."""


def read_merged(metrics: Metrics, directory: Path | None) -> Merged:
    """Everything that was measured and is known now.

    Args:
        directory: where the machine's processes keep their numbers; None: this process is alone.
    """
    merged: Merged = {instrument.name: {} for instrument in metrics}
    if directory is None:
        for instrument in metrics:
            for labels, values in instrument.read():
                _add(merged[instrument.name], instrument, labels, values)
        return merged
    for seen in read_all(directory):
        for name in seen.names:
            known = metrics.find(name.metric)
            # Another version of the service may know it otherwise, or not at all.
            if known is not None and name.is_of(known) and (seen.alive or known.kind != "gauge"):
                values = seen.values[name.at : name.at + name.size].tolist()
                _add(merged[name.metric], known, name.labels, values)
    return merged


def total(merged: Merged, instrument: Instrument, *labels: str) -> float:
    """The sum of a counter's or gauge's children whose labels begin with these."""
    return sum(values[0] for found, values in merged[instrument.name].items() if found[: len(labels)] == labels)


def _add(children: dict[Labels, list[float]], instrument: Instrument, labels: Labels, values: Sequence[float]) -> None:
    if instrument.kind == "gauge" and math.isnan(values[0]):
        return
    before = children.get(labels)
    if before is None:
        children[labels] = list(values)
    elif instrument.merge == "sum":
        children[labels] = [one + other for one, other in zip(before, values, strict=True)]
    else:
        children[labels] = [{"max": max, "min": min}[instrument.merge](before[0], values[0])]
