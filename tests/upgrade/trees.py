"""The code of the version before this one and of one after it, each in a directory of its own, run with the same .venv.

The version before is the commit before the newest migration came: the last one whose tables are others.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from db.schema import newest_revision

ROOT = Path(__file__).parents[2]
_MIGRATION = '''"""{title}."""

from __future__ import annotations

from alembic import op

from db.migrations.online import make_index

revision = "{revision}"
down_revision = "{before}"
phase = "{phase}"
in_transaction = {in_transaction}


def upgrade() -> None:
    """See above."""
    {statement}
'''


def unpack_version_before(directory: Path) -> Path:
    """Write the version before into `directory`.

    Without git there is none, and the test is skipped; a clone without its history is a mistake of whoever made it.
    """
    if shutil.which("git") is None or _git("rev-parse", "--git-dir").returncode != 0:
        pytest.skip("the version before comes from git, and this is no clone")
    (newest,) = (ROOT / "db" / "migrations" / "versions").glob(f"{newest_revision()}_*.py")
    added = _git("log", "--diff-filter=A", "-1", "--format=%H", "--", str(newest.relative_to(ROOT))).stdout.decode()
    # A migration that is not committed yet: the version before is the last commit.
    commit = f"{added.strip()}^" if added.strip() else "HEAD"
    archive = _git("archive", "--format=tar", commit)
    assert archive.returncode == 0, f"{archive.stderr.decode()} (a shallow clone? `git fetch --unshallow`)"
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as tar:
        tar.extractall(directory, filter="data")
    return directory


def make_version_after(directory: Path) -> Path:
    """Write this version with three more migrations into `directory`: two that expand, the second of them outside of a
    transaction, and one that contracts."""
    for package in (file.parent.name for file in ROOT.glob("*/__init__.py")):
        shutil.copytree(ROOT / package, directory / package, ignore=shutil.ignore_patterns("__pycache__"))
    steps = [
        ("expand", True, "Players have a country", 'op.execute("alter table players add column country text")'),
        ("expand", False, "An index", 'make_index(op.get_bind(), "players_country_idx", "on players (country)")'),
        ("contract", True, "Names of boards", 'op.execute("alter table boards drop constraint boards_name_key")'),
    ]
    before = newest_revision()
    for phase, in_transaction, title, statement in steps:
        revision = f"{int(before) + 1:04}"
        text = _MIGRATION.format(
            revision=revision,
            before=before,
            phase=phase,
            in_transaction=in_transaction,
            title=title,
            statement=statement,
        )
        (directory / "db" / "migrations" / "versions" / f"{revision}_next.py").write_text(text)
        before = revision
    return directory


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    # The checkout may be another user's, as in containers of CI.
    return subprocess.run(["git", "-c", "safe.directory=*", *arguments], cwd=ROOT, capture_output=True, check=False)
