"""What the clients of a fault run did and what they were told: all that the checks look at.

Every time is one of `tests.chaos.clock`, of the one process in which all clients run, so that "before" means before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from sharding.placement import bucket_of

UNAVAILABLE = "UNAVAILABLE"
CONFLICT = "CONFLICT"
BAD_USER_INPUT = "BAD_USER_INPUT"
# What a client sees of a process that was killed, and of one that never answers.
BROKEN = "BROKEN"
TIMEOUT = "TIMEOUT"

# A part that is back may be found out so late: connections to it are opened anew, the map is asked for again.
FOUND_OUT_S = 3.0
# Owners are looked at now and then only: whoever owned a bucket so shortly before or after may have owned it then.
_OWNERS_S = 3.0


class Answer(NamedTuple):
    """What a client was told of its submission."""

    total: int
    games: int
    rank: int | None
    duplicate: bool


class Failure(NamedTuple):
    """An error instead of an answer: a code of the contract, `BROKEN` or `TIMEOUT`."""

    code: str
    message: str


@dataclass(slots=True)
class Attempt:
    """One time that a submission was sent; `outcome` is None while nothing came back.

    is_bulk: whether it was one of many in a request, which is answered when the last of them is.
    """

    api: str
    began_at: float
    ended_at: float = float("inf")
    outcome: Answer | Failure | None = None
    is_bulk: bool = False

    @property
    def answer(self) -> Answer | None:
        """The answer, if there was one."""
        return self.outcome if isinstance(self.outcome, Answer) else None


@dataclass(slots=True)
class Submission:
    """One session that a client wants recorded, and each time that it was sent."""

    id: UUID
    user_id: int
    username: str
    score: int
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def began_at(self) -> float:
        """When it was sent first."""
        return min((attempt.began_at for attempt in self.attempts), default=float("inf"))

    @property
    def acknowledged_at(self) -> float:
        """When the first answer came; infinite for none."""
        return min((attempt.ended_at for attempt in self.attempts if attempt.answer), default=float("inf"))

    def begin(self, api: str, now: float, *, is_bulk: bool = False) -> Attempt:
        """Note that it is sent now."""
        attempt = Attempt(api, now, is_bulk=is_bulk)
        self.attempts.append(attempt)
        return attempt


class Seen(NamedTuple):
    """A player's standing as somebody was shown it."""

    user_id: int
    total: int
    games: int
    rank: int | None


@dataclass(slots=True)
class Read:
    """One question about standings: `what` is rank, around, leaderboard or watch.

    fresh: whether everything acknowledged before must be in it; an answer that may be a kept one need not.
    count: the board's players, where the answer tells.
    sequence, connection: of a watcher's.
    """

    what: str
    api: str
    began_at: float
    ended_at: float
    seen: list[Seen]
    fresh: bool = True
    count: int | None = None
    sequence: int | None = None
    connection: int = 0


@dataclass(slots=True)
class HistoryRead:
    """One question about a player's sessions, of which the `first` newest were asked for."""

    api: str
    began_at: float
    ended_at: float
    user_id: int
    first: int
    games: int
    ids: list[UUID]


@dataclass(slots=True)
class FailedRead:
    """A question that was not answered; `user_id` where it was about one player's sessions."""

    what: str
    api: str
    began_at: float
    ended_at: float
    failure: Failure
    user_id: int | None = None


@dataclass(slots=True)
class Misuse:
    """An acknowledged submission's id, sent on purpose with other content: for another player, or another score."""

    id: UUID
    user_id: int
    score: int
    attempt: Attempt


@dataclass(slots=True)
class Outage:
    """A part that was killed or kept from its work: from then until it was ready again.

    role: postgres, pgbouncer, valkey, api or mover; `name` is the shard's, or the API process's.
    kind: what was done to it.
    is_harmless: whether all works meanwhile, if slower: it excuses nothing.
    """

    role: str
    name: str
    began_at: float
    ended_at: float = float("inf")
    kind: str = "kill"
    is_harmless: bool = False


@dataclass
class History:
    """Everything that was done and seen."""

    submissions: dict[UUID, Submission] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)
    history_reads: list[HistoryRead] = field(default_factory=list)
    failed_reads: list[FailedRead] = field(default_factory=list)
    misuses: list[Misuse] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    # From when to when nobody at all could reach Redis.
    dark: list[tuple[float, float]] = field(default_factory=list)
    # By bucket: who was seen to own it, and when.
    owners: dict[int, list[tuple[float, str]]] = field(default_factory=dict)

    def add(self, submission: Submission) -> Submission:
        """A new submission."""
        self.submissions[submission.id] = submission
        return submission

    def sent(self, id_: UUID, user_id: int) -> Submission | None:
        """The submission of this id, if it was for this player."""
        submission = self.submissions.get(id_)
        return submission if submission and submission.user_id == user_id else None

    def attempts(self) -> Iterator[tuple[Submission, Attempt]]:
        """Every attempt of every submission."""
        return ((submission, attempt) for submission in self.submissions.values() for attempt in submission.attempts)

    def outages_in(self, began_at: float, ended_at: float, *roles: str) -> list[Outage]:
        """Which parts of these roles were away at any time of a span; what is harmless is left out."""
        return [
            outage
            for outage in self.outages
            if outage.role in roles
            and outage.began_at <= ended_at
            and outage.ended_at >= began_at
            and not outage.is_harmless
        ]

    def owners_in(self, user_id: int, began_at: float, ended_at: float) -> set[str]:
        """Every shard that may have owned a player's bucket at some time of a span."""
        seen = self.owners.get(bucket_of(user_id), [])
        within = {shard for at, shard in seen if began_at - _OWNERS_S <= at <= ended_at + _OWNERS_S}
        before = [shard for at, shard in seen if at < began_at - _OWNERS_S]
        return within | set(before[-1:])


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that a promise rules out; `user_id` where it is about one player."""

    promise: str
    what: str
    user_id: int | None = None

    def __str__(self) -> str:
        return f"{self.promise}: {self.what}"
