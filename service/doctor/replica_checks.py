"""What may be wrong with the read replicas of a shard: each is left out by itself, which nobody might notice."""

from __future__ import annotations

import asyncio

from db.address import place_of
from db.explain import explain
from db.postgres import Postgres
from db.replica_state import LogPosition, read_log_position
from domain.errors import ShardboardError
from service.doctor.finding import Finding, Severity

_BEHIND_BYTES_WARNED = 64_000_000
_REPLICA_S_MAX = 3.0


async def check_replicas(primary: Postgres, urls: tuple[str, ...]) -> list[Finding]:
    """Whether each replica answers, follows this shard, and is not far behind."""
    if not urls:
        return []
    stands = await read_log_position(primary)
    found = await asyncio.gather(*(_look_at(primary.name, url, stands) for url in urls))
    return [finding for findings in found for finding in findings]


def judge_replica(shard: str, place: str, found: LogPosition, primary: LogPosition) -> list[Finding]:
    """What it means where a replica stands, asked after its primary."""
    if not found.follows or found.system != primary.system or found.timeline > primary.timeline:
        return [_left_out(shard, place, "does not follow this shard", "Make it anew with pg_basebackup -R.")]
    behind = (primary.position or 0) - (found.position or 0)
    if behind <= _BEHIND_BYTES_WARNED:
        return []
    what = f"is {behind / 1e6:,.0f} MB of WAL behind"
    return [_left_out(shard, place, what, "See its log and its disk, and pg_stat_wal_receiver.")]


async def _look_at(shard: str, url: str, primary: LogPosition) -> list[Finding]:
    postgres = Postgres(shard, url)
    try:
        async with asyncio.timeout(_REPLICA_S_MAX):
            return judge_replica(shard, place_of(url), await read_log_position(postgres), primary)
    except (ShardboardError, TimeoutError) as error:
        why = explain(error) if isinstance(error, ShardboardError) else "no answer in time."
        return [_left_out(shard, place_of(url), f"cannot be asked: {why}", "See whether it runs, and its address.")]
    finally:
        await postgres.close()


def _left_out(shard: str, place: str, what: str, do: str) -> Finding:
    told = f"It is left out, and histories are read from the shard: the replica at {place} {what.rstrip('.')}."
    return Finding(Severity.WARNING, shard, "replica", told, do)
