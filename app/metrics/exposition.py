"""Merged metrics as text for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from app.metrics.merge import Merged
from domain.metrics.instruments import Instrument, Metrics

CONTENT_TYPE = CONTENT_TYPE_LATEST


def write_text(metrics: Metrics, merged: Merged) -> bytes:
    """All that is known, in Prometheus' text format."""
    return generate_latest(_Collected(metrics, merged))


class _Collected(Collector):
    def __init__(self, metrics: Metrics, merged: Merged) -> None:
        self._metrics = metrics
        self._merged = merged

    def collect(self) -> Iterator[Metric]:
        for instrument in self._metrics:
            yield _family(instrument, self._merged)


def _family(instrument: Instrument, merged: Merged) -> Metric:
    name, help_, labels = instrument.name, instrument.help, instrument.labels
    children = sorted(merged[name].items())
    if instrument.kind == "histogram":
        histogram = HistogramMetricFamily(name, help_, labels=labels)
        uppers = [*map(floatToGoString, instrument.bounds), "+Inf"]
        for values, (*counts, sum_) in children:
            histogram.add_metric(values, list(zip(uppers, accumulate(counts), strict=True)), sum_)
        return histogram
    family = (CounterMetricFamily if instrument.kind == "counter" else GaugeMetricFamily)(name, help_, labels=labels)
    for values, (value,) in children:
        family.add_metric(values, value)
    return family
