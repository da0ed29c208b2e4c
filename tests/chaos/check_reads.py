"""Promises 2 and 3: what readers and watchers were shown was true at some moment while they asked.

A player who is shown has to be somewhere on the player's own chain. Ranks are counted: of everybody it is known between
which totals they were meanwhile, so of each rank it is known between which bounds it lies.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import pairwise

from tests.chaos.chains import Chain, Span
from tests.chaos.history import Attempt, History, HistoryRead, Read, Seen, Submission, Violation

# How long after a part came back the ranks may lack what was recorded while it was away: what the fast path could not
# do the relay mends.
MENDED_S = 5.0
# A kept answer may be so old: news of a change takes a moment, and may get lost.
KEPT_S = 5.5
# Of all submissions, and of all questions, the ranks of so many are counted after.
_RANKS_COUNTED = 2_000
_CROSSED_S = 15.0


def check_reads(history: History, chains: Mapping[int, Chain]) -> list[Violation]:
    """Compare every answer to a question with the chains of all players."""
    every = 1 + len(history.reads) // _RANKS_COUNTED
    return [
        *(violation for read in history.history_reads for violation in _check_history(read, chains)),
        *(
            violation
            for number, read in enumerate(history.reads)
            for violation in _check_read(history, read, chains, count=not number % every)
        ),
        *_check_watches(history),
        *_check_ranks_of_submissions(history, chains),
    ]


def _check_history(read: HistoryRead, chains: Mapping[int, Chain]) -> Iterator[Violation]:
    """Sessions come from the player's shard, which knows everything acknowledged, whatever else is away."""
    chain = chains.get(read.user_id)
    if chain is None:
        if read.games or read.ids:
            yield Violation("history", f"{read} and nothing is stored", read.user_id)
        return
    span = chain.span(read.began_at, read.ended_at)
    if not span.least <= read.games <= span.most:
        yield Violation("history", f"{read} has {read.games} games and should have {_told(span)}", read.user_id)
        return
    expected = sorted(chain.ids[: read.games], reverse=True)[: read.first]
    if read.ids != expected:
        yield Violation("history", f"{read} should list {expected}", read.user_id)


def _check_read(history: History, read: Read, chains: Mapping[int, Chain], *, count: bool) -> Iterator[Violation]:
    yield from _check_page(read)
    undisturbed = _undisturbed(history, read.began_at, read.ended_at)
    began_at = read.began_at if read.fresh else read.began_at - KEPT_S
    everybody = _Everybody(chains, began_at, read.ended_at) if undisturbed and count else None
    for seen in read.seen:
        chain = chains.get(seen.user_id)
        span = chain.span(began_at, read.ended_at) if chain else Span(0, 0)
        if not undisturbed:
            span = span._replace(least=0)
        total = chain.totals[seen.games] if chain and seen.games <= span.most else 0
        if not span.least <= seen.games <= span.most:
            yield Violation("standing seen", f"{seen} by {_named(read)}: games should be {_told(span)}", seen.user_id)
        elif seen.total != total:
            yield Violation("standing seen", f"{seen} by {_named(read)}: total should be {total}", seen.user_id)
        elif everybody is not None:
            yield from everybody.check(seen, _named(read))
    if everybody is not None and read.count is not None:
        players = everybody.players
        if not players.least <= read.count <= players.most:
            yield Violation("count", f"{read.count} players by {_named(read)}, should be {_told(players)}")


def _check_page(read: Read) -> Iterator[Violation]:
    """Better totals first, smaller user ids first in a tie, and ranks that agree with each other."""
    places: list[tuple[int, Seen]] = []
    for position, (one, other) in enumerate(pairwise(read.seen), start=1):
        if (-one.total, one.user_id) >= (-other.total, other.user_id):
            yield Violation("order", f"{one} before {other} in {_named(read)}", other.user_id)
        if one.rank is None or other.rank is None:
            continue
        if one.total == other.total:
            if one.rank != other.rank:
                yield Violation("ranks", f"{one} and {other} tie in {_named(read)}", other.user_id)
        else:
            # The first of its total: as many places behind another such one as there are entries between them.
            places.append((position, other))
    if read.what in ("leaderboard", "watch") and read.seen and read.seen[0].rank is not None:
        places.insert(0, (0, read.seen[0]))
        if read.seen[0].rank != 1:
            yield Violation("ranks", f"{read.seen[0]} is the first of {_named(read)}", read.seen[0].user_id)
    for (at, one), (further, other) in pairwise(places):
        if one.rank is not None and other.rank is not None and other.rank - one.rank != further - at:
            yield Violation("ranks", f"{one} and {other} are {further - at} places apart in {_named(read)}")


def _check_watches(history: History) -> Iterator[Violation]:
    """On one connection the sequence never goes back, and neither does anybody's number of games, whatever was away."""
    last: dict[int, Read] = {}
    games: dict[tuple[int, int], int] = {}
    for read in history.reads:
        if read.what != "watch":
            continue
        before = last.get(read.connection)
        if before and before.sequence is not None and read.sequence is not None and read.sequence < before.sequence:
            yield Violation("watch", f"sequence {read.sequence} came after {before.sequence} in {_named(read)}")
        last[read.connection] = read
        for seen in read.seen:
            key = (read.connection, seen.user_id)
            if seen.games < games.get(key, 0):
                yield Violation("watch", f"{seen} came after {games[key]} games in {_named(read)}", seen.user_id)
            games[key] = seen.games


def _check_ranks_of_submissions(history: History, chains: Mapping[int, Chain]) -> Iterator[Violation]:
    """The rank in the answer to a submission: of the total that the player had right after it."""
    ranked: list[tuple[Submission, Attempt]] = [
        (submission, attempt)
        for submission, attempt in history.attempts()
        if attempt.answer and attempt.answer.rank is not None
    ]
    for submission, attempt in ranked[:: 1 + len(ranked) // _RANKS_COUNTED]:
        answer = attempt.answer
        if answer and _undisturbed(history, attempt.began_at, attempt.ended_at):
            seen = Seen(submission.user_id, answer.total, answer.games, answer.rank)
            everybody = _Everybody(chains, attempt.began_at, attempt.ended_at)
            yield from everybody.check(seen, f"submission {submission.id}")


class _Everybody:
    """Between which totals each player was during a span of time, as numbers to count in."""

    def __init__(self, chains: Mapping[int, Chain], began_at: float, ended_at: float) -> None:
        self._chains = chains
        self._began_at = began_at
        self._bounds: dict[int, tuple[float, float]] = {}
        for user, chain in chains.items():
            span = chain.span(began_at, ended_at)
            if span.most > 0:
                low, high = chain.totals_in(Span(max(span.least, 1), span.most))
                self._bounds[user] = (low if span.least else float("-inf"), high)
        self._lows = sorted(low for low, _ in self._bounds.values())
        self._highs = sorted(high for _, high in self._bounds.values())

    @property
    def players(self) -> Span:
        """How many players there were, at least and at most."""
        return Span(sum(low > float("-inf") for low in self._lows), len(self._highs))

    def check(self, seen: Seen, where: str) -> Iterator[Violation]:
        """Whether the rank lies where it has to: nobody is better than the same player."""
        if seen.rank is None:
            return
        low, high = self._bounds.get(seen.user_id, (float("-inf"), float("-inf")))
        least = 1 + len(self._lows) - bisect_right(self._lows, seen.total) - (low > seen.total)
        most = 1 + len(self._highs) - bisect_right(self._highs, seen.total) - (high > seen.total)
        if not least <= seen.rank <= most:
            what = f"{seen} by {where}: should be {_told(Span(least, most))}; shortly before it passed by "
            yield Violation("rank", f"{what}{self._crossed(seen.total)}", seen.user_id)

    def _crossed(self, total: int) -> list[int]:
        """Who was on the other side of a total shortly before: one of them may be the one who was counted wrongly."""
        crossed = []
        for user, (low, high) in self._bounds.items():
            earlier, later = self._chains[user].totals_in(
                self._chains[user].span(self._began_at - _CROSSED_S, self._began_at)
            )
            if earlier <= total < later and (low > total or high <= total):
                crossed.append(user)
        return crossed


def _undisturbed(history: History, began_at: float, ended_at: float) -> bool:
    """Whether ranks have to be exact: nothing was away, or all of Redis was, so that the shards themselves told."""
    if history.outages_in(began_at - MENDED_S, ended_at, "postgres", "pgbouncer"):
        return False
    if any(since <= began_at and ended_at <= until for since, until in history.dark):
        return True
    return not history.outages_in(began_at - MENDED_S, ended_at, "valkey", "api")


def _named(read: Read) -> str:
    return f"{read.what} of {read.api} [{read.began_at:.3f}, {read.ended_at:.3f}]"


def _told(span: Span) -> str:
    return str(span.least) if span.least == span.most else f"{span.least} to {span.most}"
