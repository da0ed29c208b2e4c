"""`shardboard kubernetes`: manifests of a deployment in Kubernetes, from one file of values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from infra.kubernetes.render import PARTS, Part, render, write_yaml
from infra.kubernetes.values import read_values


@click.command()
@click.argument("values", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--part",
    "parts",
    type=click.Choice(PARTS),
    multiple=True,
    help="Only this part, several times for several; all of them when not given.",
)
def kubernetes(values: Path, parts: Sequence[Part]) -> None:
    """Write the manifests that VALUES asks for, for `kubectl apply -f -`; infra/kubernetes/README.md explains."""
    click.echo(write_yaml(render(read_values(values), parts or PARTS)), nl=False)
