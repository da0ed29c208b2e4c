"""What the doctor finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters.

    error: something does not work now, or acknowledged scores are not safe.
    warning: it works, and is going to be trouble.
    note: worth knowing.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    part: a shard's name, `redis`, `map`, `disk`, …
    check: what was looked at, in one word that never changes.
    what: what is found and what it means.
    do: what to do about it, with the command or the setting.
    """

    severity: Severity
    part: str
    check: str
    what: str
    do: str
