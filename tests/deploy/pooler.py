"""The container's script that starts PgBouncer, made to run on this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path

from infra.local.binaries import Binaries, pgbouncer_version
from tests.deploy.serving import ROOT

SCRIPT = ROOT / "infra" / "compose" / "pgbouncer.sh"
COMMON = ROOT / "infra" / "pgbouncer"


def localised_script(binaries: Binaries, *, postgres_port: int | None, port: int, run: Path) -> str:
    """The script with the paths of the image and the ports of its network those of this machine; nothing else differs.

    Args:
        postgres_port: where the shard listens. port: where PgBouncer shall. run: where it keeps its files.
    """
    text = SCRIPT.read_text()
    for old, new in (
        ("/etc/shardboard/pgbouncer", os.fspath(COMMON)),
        ("/run/pgbouncer", os.fspath(run)),
        ("port=5432", f"port={postgres_port}"),
        ("6432", str(port)),
        ("0.0.0.0", "127.0.0.1"),
        ("exec pgbouncer", f"exec {binaries.pgbouncer}"),
    ):
        assert old in text
        text = text.replace(old, new)
    if pgbouncer_version(binaries.pgbouncer) < (1, 21):
        text = re.sub(r"%include .*/prepared.ini\n", "", text)
    return text
