"""One clock for all of a fault run: seconds since it began, the same in what is printed and in what is checked."""

from __future__ import annotations

import time

_ZERO = time.monotonic()


def now() -> float:
    """Seconds since this process began to care; never goes back."""
    return time.monotonic() - _ZERO
