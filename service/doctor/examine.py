"""Look at everything, all at the same time; a part that is away is a finding, and nothing waits for long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from db.directory import DirectoryEntry
from db.explain import explain
from db.move_records import read_moves
from db.mover_lock import find_holder
from db.ownership import Ownership, read_ownership
from db.postgres import Postgres
from db.replication import list_traces
from domain.errors import ShardboardError
from domain.move import Move
from ranking.keys import BoardKeys
from ranking.store import Store
from service.doctor.finding import Finding, Severity
from service.doctor.map_checks import judge_map, judge_moves
from service.doctor.pooler_checks import check_commits, check_pooler
from service.doctor.redis_checks import check_ranks, check_redis
from service.doctor.replica_checks import check_replicas
from service.doctor.shard_checks import SHARD_CHECKS, Looked

logger = logging.getLogger(__name__)

# One look; the looks at one part come one after the other, those at different parts at the same time.
_LOOK_S_MAX = 6.0

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Patient:
    """A shard to be looked at: through its PgBouncer, and past it where its address is known."""

    entry: DirectoryEntry
    pooled: Postgres
    direct: Postgres | None


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found, the worst first, and how many looks there were."""

    findings: list[Finding]
    looks: int


async def examine(
    patients: Sequence[Patient], store: Store, keys: BoardKeys, *, back_days: int, months_ahead: int
) -> Examined:
    """Look at shards, PgBouncers, Redis and the map of buckets. Nothing is changed.

    Args:
        back_days, months_ahead: for which sessions there have to be months.
    """
    looks = _Looks()
    await asyncio.gather(
        looks.at_redis(store, keys),
        *(looks.at_shard(patient, back_days, months_ahead) for patient in patients),
    )
    await looks.at_all(patients)
    order = list(Severity)
    findings = sorted(dict.fromkeys(looks.findings), key=lambda each: (order.index(each.severity), each.part))
    return Examined(findings, looks.count)


class _Looks:
    """All looks, and what they found."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.count = 0
        self._away: set[str] = set()

    async def at_shard(self, patient: Patient, back_days: int, months_ahead: int) -> None:
        """One shard, through its PgBouncer and past it."""
        name = patient.entry.name
        for check, look in (("pooler", check_pooler), ("commits", check_commits)):
            if not await self._try(name, check, "its url", partial(look, patient.pooled, patient.entry.url)):
                break
        replicas = partial(check_replicas, patient.direct or patient.pooled, patient.entry.replicas)
        await self._try(name, "replicas", "its url", replicas)
        if patient.direct is None:
            self.findings.append(
                Finding(
                    Severity.NOTE, name, "direct", "No direct_url of it is known: the server itself was not looked at.",
                    "Run the doctor where SHARDBOARD_SHARDS has the owner's addresses.",
                )
            )  # fmt: skip
            return
        looked = Looked(patient.direct, patient.entry, back_days, months_ahead)
        for check, look_at in SHARD_CHECKS.items():
            if not await self._try(name, check, "its direct_url", partial(look_at, looked)):
                self._away.add(name)
                break

    async def at_redis(self, store: Store, keys: BoardKeys) -> None:
        """Redis and the ranks."""
        if await self._try("redis", "redis", "SHARDBOARD_REDIS_URL", partial(check_redis, store)):
            await self._try("redis", "ranks", "SHARDBOARD_REDIS_URL", partial(check_ranks, store, keys))

    async def at_all(self, patients: Sequence[Patient]) -> None:
        """The map, and the moves: what the shards that answer say together."""
        direct = [each.direct for each in patients if each.direct is not None]
        words: dict[str, Ownership | None] = {}
        for postgres in [each.direct or each.pooled for each in patients]:
            words[postgres.name] = await self._ask(postgres, read_ownership)
        self.count += 1
        self.findings += judge_map(words)
        moves: list[Move] = []
        traces: dict[str, list[str]] = {}
        holders: list[str | None] = []
        for postgres in direct:
            moves += await self._ask(postgres, read_moves) or []
            traces[postgres.name] = await self._ask(postgres, list_traces) or []
            holders.append(await self._ask(postgres, find_holder))
        self.count += 1
        self.findings += judge_moves(moves, traces, next(filter(None, holders), None))

    async def _ask(self, postgres: Postgres, read: Callable[[Postgres], Awaitable[Answer]]) -> Answer | None:
        """A shard's answer; None where there is none, which is a finding already."""
        if postgres.name in self._away:
            return None
        try:
            async with asyncio.timeout(_LOOK_S_MAX):
                return await read(postgres)
        except (ShardboardError, TimeoutError):
            self._away.add(postgres.name)
            return None

    async def _try(self, part: str, check: str, way: str, look: Callable[[], Awaitable[list[Finding]]]) -> bool:
        """Look once; whether it is worth to look at more of this part."""
        self.count += 1
        try:
            async with asyncio.timeout(_LOOK_S_MAX):
                self.findings += await look()
            return True
        except (ShardboardError, TimeoutError) as error:
            why = explain(error) if isinstance(error, ShardboardError) else f"it took more than {_LOOK_S_MAX:.0f} s."
            self.findings.append(
                Finding(
                    Severity.ERROR, part, "reach", f"It cannot be looked at by {way}: {why}",
                    "See whether it runs and is reached from here, its log, and the address.",
                )
            )  # fmt: skip
            return False
        except Exception as error:
            # What a look trips over must not hide what the others find.
            logger.exception("the look at %s of %s failed", check, part)
            self.findings.append(
                Finding(
                    Severity.ERROR, part, check, f"This could not be looked at: {type(error).__name__}: {error}",
                    "If the schema is older than this version: `shardboard migrate`. Otherwise please report it.",
                )
            )  # fmt: skip
            return True
