"""Manifests for tests, as the command makes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.kubernetes.render import render
from infra.kubernetes.values import Values, read_values

EXAMPLE = Path(__file__).parents[2] / "infra" / "kubernetes" / "values.example.yaml"
Manifest = dict[str, Any]


def example() -> Values:
    """The values that operators begin with: with everything there is."""
    return read_values(EXAMPLE)


def smallest() -> Values:
    """As little as an operator may say, from a registry that asks who he is."""
    return Values(
        image="registry.example.com/shardboard:0.1.0",
        shards=[{"name": "shard1"}],
        postgres={"instances": 1},
        secrets={"image_pull": "registry"},
    )


def many(count: int) -> Values:
    """The example with so many shards, the first three from the beginning."""
    names = [{"name": f"shard{number}", "added": number > 3} for number in range(1, count + 1)]
    return Values(**(example().model_dump(mode="json") | {"shards": names}))


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    """Those of these kinds."""
    return [each for each in manifests if each["kind"] in kinds]


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """The one of that name."""
    [found] = [each for each in of_kind(manifests, kind) if each["metadata"]["name"] == name]
    return found


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The template of each Pod that is asked for here, by its component."""
    templates = [each["spec"]["template"] for each in of_kind(manifests, "Deployment", "StatefulSet", "Job")]
    return {each["metadata"]["labels"]["app.kubernetes.io/component"]: each for each in templates}


def everything(values: Values) -> list[Manifest]:
    """All parts."""
    return render(values)


def strings(value: object) -> Iterator[str]:
    """Every text in a manifest."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from strings(key)
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)
