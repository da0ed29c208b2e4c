"""How long it makes sense to wait for a part on behalf of somebody who could do without it.

The estimate is that of TCP's retransmission timer (Van Jacobson, "Congestion Avoidance and Control", 1988; RFC 6298):
the smoothed time of its answers and four times their smoothed deviation. A part that hangs gives none, so it stays
what it was while all was well; one on starved cores is given the time that it needs there.
"""

from __future__ import annotations

from domain.resilience.limits import ID_CHECK_S_MAX, ID_CHECK_S_MIN

_GAIN = 1 / 8
_DEVIATION_GAIN = 1 / 4
_DEVIATIONS = 4


class Patience:
    """The patience with one part.

    Args:
        least, most: its ends, in seconds; it is the most until the part has answered.
    """

    __slots__ = ("_deviation_s", "_least_s", "_mean_s", "_most_s")

    def __init__(self, *, least: float = ID_CHECK_S_MIN, most: float = ID_CHECK_S_MAX) -> None:
        self._least_s, self._most_s = least, most
        self._mean_s: float | None = None
        self._deviation_s = 0.0

    def answered(self, after_s: float) -> None:
        """The part gave an answer that took so long."""
        if self._mean_s is None:
            self._mean_s, self._deviation_s = after_s, after_s / 2
        else:
            off_s = after_s - self._mean_s
            self._deviation_s += _DEVIATION_GAIN * (abs(off_s) - self._deviation_s)
            self._mean_s += _GAIN * off_s

    @property
    def seconds(self) -> float:
        """How long to wait for the next answer."""
        if self._mean_s is None:
            return self._most_s
        return min(max(self._mean_s + _DEVIATIONS * self._deviation_s, self._least_s), self._most_s)
