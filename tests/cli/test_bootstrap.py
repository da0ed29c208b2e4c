"""scripts/bootstrap where something is missing that it may not install: one line that says what to do."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# All that the script itself calls; apt-get is not among it, so it may install nothing.
NEEDED = ("bash", "cat", "cksum", "dirname", "head", "id", "uname")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    for name in NEEDED:
        found = shutil.which(name)
        assert found is not None
        (tmp_path / name).symlink_to(found)
    return tmp_path


def bootstrap(programs: Path, wanted: str = "chromium", **variables: str) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [programs / "bash", ROOT / "scripts" / "bootstrap", "requirements-dev.lock", wanted]
    environment = {"PATH": str(programs), "PGBOUNCER": "true", **variables}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_a_missing_chromium_is_named(programs: Path) -> None:
    answer = bootstrap(programs)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith("shardboard: the tests of the board need Chromium, which is not installed: ")
    assert answer.stderr.endswith(" install chromium, or name one: make test CHROMIUM=/path/to/chromium\n")
    assert answer.stderr.count("\n") == 1


def test_a_chromium_that_is_named_must_be_there(programs: Path) -> None:
    answer = bootstrap(programs, CHROMIUM="/nowhere/chromium")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == "shardboard: CHROMIUM=/nowhere/chromium is no program\n"


def test_a_missing_redis_is_named(programs: Path) -> None:
    answer = bootstrap(programs, "redis-server")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith("shardboard: the tests of TLS need redis-server, which is not installed: ")
    assert answer.stderr.count("\n") == 1


def test_a_missing_promtool_is_named(programs: Path) -> None:
    answer = bootstrap(programs, "prometheus")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith("shardboard: the tests of the alerts need promtool, which is not installed: ")
    assert answer.stderr.endswith("install prometheus\n")
