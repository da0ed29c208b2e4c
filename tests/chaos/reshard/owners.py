"""Looks all the time at what every shard says it owns: two owners of one bucket are found while they last."""

from __future__ import annotations

import asyncio

import asyncpg

from db.ownership import Ownership, read_ownership
from db.postgres import ConnectionLimits, Postgres
from domain.errors import ShardboardError
from infra.local.cluster_file import ShardUrls
from tests.chaos.clock import now
from tests.chaos.history import Violation
from tests.chaos.service import Service

_REST_S = 0.4


class OwnersWatch:
    """What shards claimed at each look.

    Shards are asked at once but not in one moment, and a bucket may change hands in between. Therefore a claim is held
    against those of earlier looks: whoever had a bucket before it was seen at another shard, with a higher epoch, must
    not have it still.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._postgreses: dict[ShardUrls, Postgres] = {}
        self._newest: dict[int, tuple[int, str]] = {}
        self.violations: list[Violation] = []

    async def watch(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(_REST_S)
        finally:
            await asyncio.gather(*(postgres.close() for postgres in self._postgreses.values()))

    async def _look(self) -> None:
        shards = list(self._service.cluster.shards)
        began_at = now()
        words = await asyncio.gather(*(self._ask(shard) for shard in shards))
        claims = [
            (claim.bucket, claim.epoch, shard.name)
            for shard, word in zip(shards, words, strict=True)
            for claim in (word.owned if word else ())
        ]
        for bucket, epoch, shard_name in claims:
            self._hold_against(bucket, epoch, shard_name)
        given = [
            (given.bucket, given.epoch, given.target) for word in words for given in (word.handed_over if word else ())
        ]
        for bucket, epoch, shard_name in (*claims, *given):
            self._note(bucket, epoch, shard_name, began_at)

    async def _ask(self, shard: ShardUrls) -> Ownership | None:
        if shard not in self._postgreses:
            limits = ConnectionLimits(lanes=1, pool_size=1)
            self._postgreses[shard] = Postgres(shard.name, shard.direct_url, limits)
        try:
            return await read_ownership(self._postgreses[shard])
        except (ShardboardError, asyncpg.UndefinedTableError):
            # It is away, or just being added.
            return None

    def _hold_against(self, bucket: int, epoch: int, shard: str) -> None:
        newest, owner = self._newest.get(bucket, (0, shard))
        if owner != shard and epoch <= newest:
            what = f"{shard} still owns bucket {bucket} since epoch {epoch} after {owner} got it at epoch {newest}"
            violation = Violation("one owner at any time", what)
            if violation not in self.violations:
                self._service.say(f"!! {violation}")
                self.violations.append(violation)

    def _note(self, bucket: int, epoch: int, shard: str, at: float) -> None:
        newest, owner = self._newest.get(bucket, (0, ""))
        if epoch > newest:
            self._newest[bucket] = (epoch, shard)
            if shard != owner:
                self._service.history.owners.setdefault(bucket, []).append((at, shard))
