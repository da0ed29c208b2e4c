"""PostgreSQL's own programs against one database: psql and pgbench."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from infra.local.binaries import find_binaries


def postgres_program(name: str) -> Path:
    """The path of one of the programs that come with the local cluster's PostgreSQL."""
    return find_binaries().postgres_bin / name


def run_psql(url: str, script: str) -> str:
    """What psql prints for `script`, which may hold several statements and psql's own commands.

    Raises:
        subprocess.CalledProcessError: a statement failed.
    """
    options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--file=-"]
    answer = subprocess.run(
        [postgres_program("psql"), *options, url],
        input=script,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | {"PGCLIENTENCODING": "UTF8", "PGOPTIONS": "-c client_min_messages=warning"},
    )
    return answer.stdout
