"""What the lock files hold, and what `make audit` makes of an answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.audit import Verdict, tell, verdict_of

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
# name==version, perhaps a marker, then its hashes, a line each.
_PINNED = re.compile(r"^([a-z0-9.-]+)(\[[a-z,]+\])?==(\S+)( ; [^\\]+)? \\$")
_HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


def locked(lock: str) -> list[tuple[str, str | None, str]]:
    """Every name, marker and version; refuses a line that is neither a pinned package nor one of its hashes."""
    found: list[tuple[str, str | None, str]] = []
    hashes = 1
    for line in (ROOT / lock).read_text().splitlines():
        if pinned := _PINNED.match(line):
            assert hashes, f"{found[-1]} has no hash"
            found.append((pinned[1], pinned[4], pinned[3]))
            hashes = 0
        elif _HASH.match(line):
            hashes += 1
        else:
            assert re.match(r"^\s*#", line), line
    assert hashes
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_one_version_with_hashes(lock: str) -> None:
    found = locked(lock)
    assert len(found) > 30
    places = [(name, marker) for name, marker, _ in found]
    assert len(places) == len(set(places))
    # Twice only where each is for other Pythons.
    names = [name for name, _ in places]
    assert [place for place in places if names.count(place[0]) > 1 and place[1] is None] == []


def test_the_service_is_tested_with_what_it_is_installed_with() -> None:
    served, tested = ({(name, version) for name, _, version in locked(lock)} for lock in LOCKS)
    assert served <= tested


FINE = {"name": "one", "version": "1", "vulns": []}
BAD = {"name": "two", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]}
UNKNOWN = {"name": "three", "skip_reason": "Dependency not found on PyPI and could not be audited"}


@pytest.mark.parametrize(
    ("dependencies", "code", "told"),
    [
        ([FINE], 0, "no vulnerability is known of any of 1 packages, by pypi\n"),
        ([FINE, BAD, UNKNOWN], 1, "two 2: PYSEC-1, fixed in 2.1\n1 known vulnerabilities, by pypi\n"),
        ([FINE, UNKNOWN], 2, "pypi says nothing of 1 of 2 packages\n"),
        ([UNKNOWN], 2, "pypi says nothing of 1 of 1 packages\n"),
    ],
)
def test_an_index_that_knows_nothing_is_not_taken_for_a_good_answer(
    dependencies: list[dict[str, object]], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    verdict = verdict_of({"dependencies": dependencies, "fixes": []})
    assert isinstance(verdict, Verdict)
    assert tell("pypi", verdict) == code
    assert capsys.readouterr().out == told
