"""Which standings a player may have had at some moment, by what is known of when sessions began and were answered.

A player's sessions form a chain; the standing at any moment is the end of one of its beginnings. A session is surely
counted once it, or one behind it, was answered; it may be counted from the moment when it and all before it were sent.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import NamedTuple
from uuid import UUID

from tests.chaos.history import History
from tests.chaos.stored import StoredSession


class Span(NamedTuple):
    """The least and the greatest number of games that a player may have had."""

    least: int
    most: int


class Chain:
    """One player's sessions in the order of their games."""

    def __init__(self, sessions: Iterable[StoredSession], history: History) -> None:
        """What `history` does not know, or what was never answered, may have been counted at any time since it began.

        Args:
            sessions: all of the player's, in the order of their games.
        """
        ordered = list(sessions)
        sent = [history.sent(session.id, session.user_id) for session in ordered]
        self.ids: list[UUID] = [session.id for session in ordered]
        self.totals = [0, *(session.total_after for session in ordered)]
        # Ascending both: when so many games could be counted first, and when they had to be.
        self._possible_at = list(accumulate((each.began_at if each else float("-inf") for each in sent), max))
        acknowledged = [each.acknowledged_at if each else float("inf") for each in sent]
        self._certain_at = list(accumulate(reversed(acknowledged), min))[::-1]

    def span(self, began_at: float, ended_at: float) -> Span:
        """How many games may have been counted at one moment or another between two."""
        return Span(bisect_left(self._certain_at, began_at), bisect_left(self._possible_at, ended_at))

    def totals_in(self, span: Span) -> tuple[int, int]:
        """The lowest and the highest total in a span of games of at least one."""
        found = self.totals[span.least : span.most + 1]
        return min(found), max(found)


def chains_of(sessions: Iterable[StoredSession], history: History) -> Mapping[int, Chain]:
    """The chain of each player."""
    by_user: dict[int, list[StoredSession]] = {}
    for session in sorted(sessions, key=lambda each: each.games_after):
        by_user.setdefault(session.user_id, []).append(session)
    return {user: Chain(held, history) for user, held in by_user.items()}
