"""Is the target's copy the source's? A comparison of every row that writers hardly notice.

Reading all rows takes seconds, and a freeze may last milliseconds. So all of it is compared while writers go on, and
what they change meanwhile is remembered: inside the freeze only those players are looked at who changed since, a
handful. A player's sessions change only with the player's standing, which carries the transaction of its last change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from db.compare import Digest, digest_buckets, digest_players, list_changed_players, list_players_of
from db.postgres import Postgres

Player = tuple[int, int]  # bucket, user id

# Of a comparison that finds many, so many are named.
NAMED_MAX = 20
_PLAYERS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Difference:
    """A player of whom source and target do not hold the same; None stands for nothing at all."""

    bucket: int
    user_id: int
    source: Digest | None
    target: Digest | None

    @property
    def player(self) -> Player:
        """The player it speaks of."""
        return (self.bucket, self.user_id)

    def __str__(self) -> str:
        return f"player {self.user_id} (bucket {self.bucket}): source {self.source}, target {self.target}"


@dataclass(frozen=True, slots=True)
class BeganComparison:
    """What the source held at one moment; transactions from `xid` on may have changed it since."""

    by_bucket: dict[int, Digest]
    xid: int


class Comparison:
    """What is known so far of one move's rows.

    The caller sees to it that the target has caught up with the source between the two calls of a step: see
    `begin` and `settle`.
    """

    def __init__(self, source: Postgres, target: Postgres) -> None:
        self._source = source
        self._target = target
        self._since_xid = 0
        self._suspects: set[Player] = set()
        self.rows = 0

    async def begin(self, buckets: Collection[int]) -> BeganComparison:
        """Look at the source. After the target has caught up with that, `end_first` looks at it, too.

        Raises:
            Unavailable: the source does not answer.
        """
        found = await digest_buckets(self._source, buckets)
        return BeganComparison(found.by_bucket, found.xid)

    async def end_first(self, began: BeganComparison) -> None:
        """Compare the target with what `begin` saw; whoever differs, for whatever reason, is looked at again later.

        Raises:
            Unavailable: a shard does not answer.
        """
        theirs = (await digest_buckets(self._target, began.by_bucket)).by_bucket
        self._since_xid = began.xid
        self._suspects = set()
        self.rows = sum(digest.rows for digest in began.by_bucket.values())
        for bucket, digest in began.by_bucket.items():
            if theirs[bucket] != digest:
                both = await asyncio.gather(
                    list_players_of(self._source, bucket), list_players_of(self._target, bucket)
                )
                self._suspects |= {each.player for each in await self._differ({*both[0], *both[1]})}

    async def changed(self, buckets: Collection[int]) -> set[Player]:
        """Whoever has to be looked at again: changed since the last look, or different at it.

        Raises:
            Unavailable: the source does not answer.
        """
        wanted = set(buckets)
        changed = await list_changed_players(self._source, self._since_xid, buckets)
        return {*changed, *(player for player in self._suspects if player[0] in wanted)}

    async def settle(self, players: Collection[Player], xid: int) -> None:
        """Compare again, while writers go on, whoever changed before `xid`; the target has caught up with these.

        Raises:
            Unavailable: a shard does not answer.
        """
        differing = {each.player for each in await self._differ(players)}
        self._suspects = (self._suspects - set(players)) | differing
        self._since_xid = xid

    async def differences(self, players: Collection[Player]) -> list[Difference]:
        """What differs of players whom nobody can change now, and whose last change the target has.

        Raises:
            Unavailable: a shard does not answer.
        """
        return await self._differ(players)

    async def _differ(self, players: Iterable[Player]) -> list[Difference]:
        ordered = sorted(players)
        differing: list[Difference] = []
        for start in range(0, len(ordered), _PLAYERS_AT_ONCE):
            part = ordered[start : start + _PLAYERS_AT_ONCE]
            ours, theirs = await asyncio.gather(digest_players(self._source, part), digest_players(self._target, part))
            differing += [
                Difference(*player, ours.get(player[1]), theirs.get(player[1]))
                for player in part
                if ours.get(player[1]) != theirs.get(player[1])
            ]
        return differing


def describe_differences(differences: Collection[Difference]) -> str:
    """Differences for an operator, the first of them by name."""
    named = "; ".join(str(difference) for difference in list(differences)[:NAMED_MAX])
    return f"{len(differences)} player(s) differ: {named}"
