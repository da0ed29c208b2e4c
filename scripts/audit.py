"""Are vulnerabilities known of what the lock file holds? `make audit`; needs the net, so it is no part of `make test`.

Asks PyPI's own list, then OSV. pip-audit by itself ends well where an index (a mirror, say) knows no vulnerabilities of
anything: here that is a failure, because nothing was found out.

Exit code 0: every package was looked up and none is known to be vulnerable. 1: some are. 2: not all could be looked up.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_VENV = _ROOT / "build" / "audit"
_SOURCES = ("pypi", "osv")
_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a source said: how many packages it knows, which it does not know, and what is wrong with those it knows."""

    known: int
    unknown: list[str]
    vulnerable: list[str]


def verdict_of(report: dict[str, Any]) -> Verdict:
    """What pip-audit's JSON says."""
    looked_up = [each for each in report["dependencies"] if "skip_reason" not in each]
    return Verdict(
        len(looked_up),
        sorted(each["name"] for each in report["dependencies"] if "skip_reason" in each),
        [
            f"{each['name']} {each['version']}: {found['id']}, fixed in {', '.join(found['fix_versions']) or 'nothing'}"
            for each in looked_up
            for found in each["vulns"]
        ],
    )


def tell(source: str, verdict: Verdict) -> int:
    """Print what came out; gives the exit code."""
    for line in verdict.vulnerable:
        print(line)
    if verdict.vulnerable:
        print(f"{len(verdict.vulnerable)} known vulnerabilities, by {source}")
        return 1
    if verdict.unknown:
        print(f"{source} says nothing of {len(verdict.unknown)} of {verdict.known + len(verdict.unknown)} packages")
        return 2
    print(f"no vulnerability is known of any of {verdict.known} packages, by {source}")
    return 0


def main(lock: str) -> int:
    """Audit a lock file; gives the exit code."""
    program = _VENV / "bin" / "pip-audit"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", _VENV], check=True)
        subprocess.run([_VENV / "bin" / "pip", "install", "--quiet", "pip-audit"], check=True)
    code = 2
    for source in _SOURCES:
        options = [
            "--require-hashes",
            "--disable-pip",
            "--progress-spinner=off",
            "--format=json",
            f"--requirement={lock}",
        ]
        try:
            answer = subprocess.run(
                [program, f"--vulnerability-service={source}", *options],
                capture_output=True, text=True, check=False, timeout=_TIMEOUT_S,
            )  # fmt: skip
            code = tell(source, verdict_of(json.loads(answer.stdout)))
        except (subprocess.TimeoutExpired, ValueError):
            print(f"{source} cannot be reached from here")
            continue
        if code != 2:
            return code
    print(f"{lock} was not audited: no list of vulnerabilities can be asked from here")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
