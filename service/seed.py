"""Fill a deployment with invented players and sessions, as fast as its shards take them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta

from db.bulk import BulkLoad, BulkRows, bulk_load, pack_texts, tidy
from db.partitions import Month, make_partitions, months_between, read_pruned_before
from db.players import find_user_ids
from db.postgres import Postgres
from domain.errors import OperatorError
from domain.ids import USER_ID_MAX
from service.invented_players import InventedPlayer, SeedPlan, invent_players
from service.parts import Parts
from service.renew_ranks import Progress, no_progress, renew_ranks
from sharding.placement import BUCKET_COUNT, bucket_of

# Sessions of one COPY: enough to make its costs small, few enough to be generated while the one before is written.
_BATCH_SESSIONS = 20_000
# After so many sessions the writers get a turn.
_TURN_SESSIONS = 1_000
# From the end of a session to the service's having recorded it.
_RECORDED_AFTER_US = 250_000


async def seed(
    parts: Parts,
    direct: Mapping[str, Postgres],
    plan: SeedPlan,
    *,
    say: Callable[[str], None],
    sessions_done: Progress = no_progress,
    ranks_done: Progress = no_progress,
) -> None:
    """Invent what the plan says, write it into the shards that own it, and build the ranks once.

    All shards commit at the end or none does; players that exist already are never touched.

    Args:
        direct: every shard by its name, not through a PgBouncer: a transaction takes as long as all of it.
        say: told what begins.
        sessions_done: told the number of sessions generated.
        ranks_done: told the number of players ranked.

    Raises:
        OperatorError: players of the range exist, or months of the plan were pruned; nothing was written.
        Unavailable: a part does not answer; nothing was written, or, said so, only the ranks are missing.
    """
    postgreses = [shard.postgres for shard in parts.router.shards.values()]
    await _refuse_taken_ids(postgreses, plan)
    await _make_months(postgreses, plan)
    say(f"writing {plan.sessions} sessions of {plan.players} players into {len(direct)} shards")
    await _write(list(direct.values()), plan, sessions_done)
    say("vacuuming")
    await asyncio.gather(*(tidy(postgres) for postgres in direct.values()))
    say("building the ranks")
    await renew_ranks(parts, ranks_done)


async def _refuse_taken_ids(postgreses: Sequence[Postgres], plan: SeedPlan) -> None:
    last = plan.first_user_id + plan.players - 1
    if last > USER_ID_MAX:
        raise OperatorError(f"user ids end at {USER_ID_MAX}; nothing was written")
    found = [await find_user_ids(postgres, plan.first_user_id, USER_ID_MAX) for postgres in postgreses]
    present = [user_id for user_ids in found if user_ids for user_id in user_ids]
    if present and min(present) <= last:
        raise OperatorError(
            f"player {min(present)} exists already, and seeding would invent {plan.first_user_id} to {last}; nothing "
            f"was written. `--first-id {max(present) + 1}` adds players behind all there are."
        )


async def _make_months(postgreses: Sequence[Postgres], plan: SeedPlan) -> None:
    months = months_between(Month.of(plan.since), Month.of(plan.until - timedelta(milliseconds=1)))
    for postgres in postgreses:
        async with postgres.write() as connection:
            pruned_before = await read_pruned_before(connection)
            if pruned_before is not None and plan.since < pruned_before:
                raise OperatorError(
                    f"shard {postgres.name}: sessions before {pruned_before:%Y-%m-%d} were pruned and none may come in "
                    "again; let --days begin later. Nothing was written."
                )
            await make_partitions(connection, months)


async def _write(direct: Sequence[Postgres], plan: SeedPlan, done: Progress) -> None:
    async with AsyncExitStack() as transactions:
        loads = [_ShardLoad(await transactions.enter_async_context(bulk_load(postgres))) for postgres in direct]
        owners = _owners(loads)
        count = turned = 0
        try:
            for player in invent_players(plan):
                bucket = bucket_of(player.user_id)
                _add(owners[bucket].rows, player, bucket)
                count += len(player.sessions)
                if len(owners[bucket].rows.sessions) >= _BATCH_SESSIONS:
                    await owners[bucket].flush()
                if count >= turned + _TURN_SESSIONS:
                    turned = count
                    done(count)
                    await asyncio.sleep(0)
            for load in loads:
                await load.flush()
            for load in loads:
                await load.flushed()
        finally:
            await asyncio.gather(*(load.stop() for load in loads))


class _ShardLoad:
    """One shard's rows: a batch is collected while the one before is written."""

    def __init__(self, load: BulkLoad) -> None:
        self.load = load
        self.rows = load.make_rows()
        self._writing: asyncio.Task[None] | None = None

    async def flush(self) -> None:
        """Write what was collected, after what is being written."""
        await self.flushed()
        self._writing = asyncio.create_task(self.load.copy(self.rows))
        self.rows = self.load.make_rows()

    async def flushed(self) -> None:
        """Return when all is written."""
        if self._writing is not None:
            await self._writing

    async def stop(self) -> None:
        """Leave no write behind, when it failed elsewhere."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)


def _owners(loads: Sequence[_ShardLoad]) -> list[_ShardLoad]:
    """Who owns each bucket while the transactions hold the owners still."""
    owners = {bucket: load for load in loads for bucket in load.load.buckets}
    if len(owners) < BUCKET_COUNT or sum(len(load.load.buckets) for load in loads) > BUCKET_COUNT:
        raise OperatorError("buckets are being moved between shards; nothing was written, seed when that is done")
    return [owners[bucket] for bucket in range(BUCKET_COUNT)]


def _add(rows: BulkRows, player: InventedPlayer, bucket: int) -> None:
    user_id = player.user_id
    texts: dict[str, bytes] = {}
    total = games = last_us = 0
    for session in player.sessions:
        mode = session.mode.name
        total += session.score
        games += 1
        last_us = session.played_ms * 1000
        rows.add_session(
            (session.id_high, session.id_low),
            user_id,
            bucket,
            session.score,
            session.duration_seconds,
            last_us + _RECORDED_AFTER_US,
            (total, games, last_us),
            texts.get(mode) or texts.setdefault(mode, pack_texts(player.username, mode)),
        )
    first_us = player.sessions[0].played_ms * 1000
    rows.add_player(user_id, bucket, player.username, first_us + _RECORDED_AFTER_US)
    rows.add_standing(user_id, bucket, total, games, last_us)
