"""A few players whose buckets are about to move, who play whatever happens to the mover."""

from __future__ import annotations

import asyncio
from collections import Counter

from db.ownership import read_ownership
from domain.move import Phase
from infra.local.cluster import LocalCluster
from service.verify_shards import verify_shards
from sharding.reshard.fleet import Fleet
from sharding.reshard.mover import read_all_moves
from sharding.router import Router
from tests.chaos.reshard.doomed_mover import Point, move_until_killed
from tests.db.shards import connected
from tests.factories import make_submission, users_of_shard
from tests.sharding.reshard.fleets import buckets_of, owners_of, traces
from tests.sharding.routers import totals

# In more buckets than a mover switches at once.
MOVING = users_of_shard(1, 12)
BUCKETS = buckets_of(MOVING)
SOURCE, TARGET = "shard1", "shard2"

_FROZEN = "select count(*) from bucket_owner where state = 'frozen' and frozen_until > clock_timestamp()"


class World:
    """Players on shards, and what was recorded for them."""

    def __init__(self, cluster: LocalCluster, fleet: Fleet, router: Router) -> None:
        self.cluster = cluster
        self.fleet = fleet
        self._router = router
        self._recorded: Counter[int] = Counter()
        self._turns = {user: asyncio.Lock() for user in MOVING}

    async def play(self) -> None:
        """One more game of everybody, which nothing may refuse and whose answers tell everything before it."""
        await asyncio.gather(*(self._play(user) for user in MOVING))

    async def _play(self, user: int) -> None:
        async with self._turns[user]:
            outcomes = await self._router.record(make_submission(user, 3))
            self._recorded[user] += 1
            games = self._recorded[user]
            assert (outcomes.outcome, outcomes.total, outcomes.games) == ("recorded", 3 * games, games)

    async def kill_mover(self, point: Point) -> None:
        """Let a mover work until it is killed at a point; nothing is wrong then, and players go on."""
        assert await move_until_killed(self.cluster.shards, point) == -9, f"it never came to {point}"
        owners = await owners_of(self.cluster, BUCKETS)
        assert {bucket: names for bucket, names in owners.items() if len(names) > 1} == {}
        # The router knows of nothing, and mends what the mover left undone.
        await self.play()
        assert {len(names) for names in (await owners_of(self.cluster, BUCKETS)).values()} == {1}

    async def check(self, phases: set[Phase]) -> None:
        """Everything has ended, and there is nothing but what has to be."""
        assert {move.phase for move in await read_all_moves(self.fleet)} == phases
        verified = await verify_shards(self.fleet)
        assert (verified.players, verified.sessions, verified.copies, verified.faults) == (
            *(len(MOVING), self._recorded.total()),
            *(0, []),
        )
        assert await traces(self.fleet) == {}
        assert await totals(self.cluster) == {user: (3 * games, games) for user, games in self._recorded.items()}
        for shard in self.cluster.shards:
            async with connected(shard.direct_url) as connection:
                assert await connection.fetchval(_FROZEN) == 0

    async def switched(self) -> int:
        """How many of the buckets the target owns."""
        owned = {each.bucket for each in (await read_ownership(self.fleet.postgres(TARGET))).owned}
        return len(owned & set(BUCKETS))
