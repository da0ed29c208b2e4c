"""Players and the sessions they might have played. Pure: the same plan gives the same players, session by session.

Each player is drawn from a random generator of its own, so that a player's data does not depend on how many others
there are on its shard, nor on the number of shards.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from random import Random
from typing import NamedTuple

from service.invented_names import invent_culture, invent_name

_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
# How much busier than others some players are, and how much better: the sigma of a lognormal distribution.
_ACTIVITY_SPREAD = 1.1
_SKILL_SPREAD = 0.45
# The share of players who are there when the first session is played; the others join later, as many every day.
_THERE_FIRST = 0.3
_FORM_SPREAD = 0.25
# Players get better by so much from their first session to their last.
_LEARNING = 0.4
# How many of a hundred games are played in each hour of the player's own day.
_HOURS = (3, 2, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4, 5, 6, 7, 9, 10, 10, 9, 6, 4)
_HOUR_OF_DRAW = tuple(hour for hour, share in enumerate(_HOURS) for _ in range(share))


class GameMode(NamedTuple):
    """A way to play: what a player of average skill scores in it, and how long it takes."""

    name: str
    score: int
    seconds: int


GAME_MODES = (
    GameMode("ranked", 1_200, 900),
    GameMode("casual", 700, 600),
    GameMode("blitz", 400, 180),
    GameMode("survival", 1_600, 1_500),
    GameMode("duel", 900, 420),
)
_MODE_WEIGHTS = (35, 30, 15, 12, 8)


@dataclass(frozen=True, slots=True)
class SeedPlan:
    """What to invent.

    sessions: in all; at least one a player.
    seed: another number gives other players.
    first_user_id: the others follow without gaps.
    since, until: all sessions are played from the one to before the other.
    """

    players: int
    sessions: int
    seed: int
    first_user_id: int
    since: datetime
    until: datetime


class InventedSession(NamedTuple):
    """A session; the two halves of its UUIDv7 come first, so that sorting puts sessions in order of their ids."""

    id_high: int
    id_low: int
    score: int
    mode: GameMode
    duration_seconds: int

    @property
    def played_ms(self) -> int:
        """Milliseconds since 1970, as the id carries them."""
        return self.id_high >> 16


@dataclass(frozen=True, slots=True)
class InventedPlayer:
    """A player with at least one session, oldest first."""

    user_id: int
    username: str
    sessions: list[InventedSession]


def invent_players(plan: SeedPlan) -> Iterator[InventedPlayer]:
    """The players of a plan, by ascending user id."""
    rng = Random()
    since_ms, until_ms = int(plan.since.timestamp() * 1000), int(plan.until.timestamp() * 1000)
    for user_id, (joined, count) in enumerate(_joins_and_counts(plan), plan.first_user_id):
        rng.seed(f"{plan.seed}/{user_id}")
        culture = invent_culture(rng)
        name = invent_name(rng, culture)
        joined_ms = since_ms + int((until_ms - since_ms) * joined)
        yield InventedPlayer(user_id, name, _invent_sessions(rng, count, joined_ms, until_ms, culture.utc_offset_h))


def _joins_and_counts(plan: SeedPlan) -> Iterator[tuple[float, int]]:
    """When each player joined, as a share of the plan's time, and how many sessions the player has.

    Everybody has one; the rest goes by how busy a player is, and for how long: most play a little, a few very much, and
    the game grows by its players.
    """
    rng = Random(f"{plan.seed}/activity")
    joins = array("d", (max(0.0, (rng.random() - _THERE_FIRST) / (1 - _THERE_FIRST)) for _ in range(plan.players)))
    weights = array("d", accumulate(rng.lognormvariate(0, _ACTIVITY_SPREAD) * (1 - joined) for joined in joins))
    extra = plan.sessions - plan.players
    given = 0
    for joined, weight in zip(joins, weights, strict=True):
        # Rounding what all up to this one get, and not each for itself, makes the sum exact.
        share = round(extra * weight / weights[-1])
        yield joined, 1 + share - given
        given = share


def _invent_sessions(
    rng: Random, count: int, joined_ms: int, until_ms: int, utc_offset_h: int
) -> list[InventedSession]:
    random, getrandbits = rng.random, rng.getrandbits
    skill = rng.lognormvariate(0, _SKILL_SPREAD)
    favourite = rng.choices(GAME_MODES, _MODE_WEIGHTS)[0]
    span_ms = max(1, until_ms - joined_ms)
    hour_draws = len(_HOUR_OF_DRAW)
    sessions = []
    for _ in range(count):
        at_ms = joined_ms + int(span_ms * random())
        hour = (_HOUR_OF_DRAW[int(random() * hour_draws)] - utc_offset_h) % 24
        shifted_ms = at_ms - at_ms % _DAY_MS + hour * _HOUR_MS + int(random() * _HOUR_MS)
        if joined_ms <= shifted_ms < until_ms:
            at_ms = shifted_ms
        mode = favourite if random() < 0.7 else GAME_MODES[int(random() * len(GAME_MODES))]
        learned = 1 + _LEARNING * (at_ms - joined_ms) / span_ms
        form = max(0.05, rng.gauss(1.0, _FORM_SPREAD))
        sessions.append(
            InventedSession(
                at_ms << 16 | 0x7000 | getrandbits(12),
                1 << 63 | getrandbits(62),
                int(mode.score * skill * learned * form / 5) * 5,
                mode,
                int(mode.seconds * (0.4 + 1.2 * random())),
            )
        )
    sessions.sort()
    return sessions
