from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from db.history import NEWEST, HistoryRequest, read_history
from db.partitions import Month
from db.postgres import Postgres
from db.standings import _BEFORE, _COUNT_BETTER, _PAGE, _SCAN, _mask
from domain.ids import make_uuid7
from infra.local.cluster import LocalCluster
from infra.local.cluster_file import ShardUrls
from sharding.placement import BUCKET_COUNT, bucket_of
from tests.db.plans import nodes_of, plans_of, rows_touched
from tests.db.shards import connected, record
from tests.factories import make_submission

BATCH = 1000
RECORD = "select count(*) from record_sessions($1, $2, $3, $4, $5, $6, $7, $8, $9, true)"
HISTORY = "select count(*) from read_history($1, $2, $3, $4, $5)"


@pytest.mark.parametrize("players", [1, 30, 1000])
@pytest.mark.parametrize("known", [False, True])
async def test_a_batch_costs_what_its_rows_cost(
    server: LocalCluster, postgres: Postgres, players: int, known: bool
) -> None:
    """No node of the plan touches a multiple of the batch's rows, as a join in a loop over all pairs would."""
    await record(postgres, *(make_submission(user, 1) for user in range(0, 3 * players, 2)))
    batch = [make_submission(number % players, 1) for number in range(BATCH)]
    if known:
        await record(postgres, *batch)
    plans = await plans_of(
        server,
        RECORD,
        [s.id for s in batch],
        [s.id.int >> 80 for s in batch],
        [bucket_of(s.user_id) for s in batch],
        [s.user_id for s in batch],
        [s.username for s in batch],
        [s.score for s in batch],
        [None for _ in batch],
        [None for _ in batch],
        [s.recorded_us for s in batch],
    )
    nodes = [node for plan in plans for node in nodes_of(plan)]
    assert any(node["Node Type"] == "ModifyTable" and rows_touched(node) for node in nodes) is not known
    dearest = max(nodes, key=rows_touched)
    assert rows_touched(dearest) <= 4 * BATCH, dearest


def month_of_now(months: int) -> Month:
    return Month.of(datetime.now(UTC)).plus(months)


async def test_a_page_of_history_reads_the_partition_of_its_cursor_alone(
    server: LocalCluster, postgres: Postgres
) -> None:
    months = [month_of_now(offset) for offset in (-1, 0, 1, 2)]
    starts = [int(month.start.timestamp() * 1000) for month in months]
    await record(postgres, *(make_submission(7, 1, id=make_uuid7(start + i)) for start in starts for i in range(10)))
    cursor = make_uuid7(starts[1] + 5, 0)
    plans = await plans_of(server, HISTORY, [bucket_of(7)], [7], [cursor], [None], [3])
    scans = [
        (node["Relation Name"], node["Node Type"])
        for plan in plans
        for node in nodes_of(plan)
        if node.get("Relation Name", "").startswith("game_sessions_") and node["Actual Loops"]
    ]
    assert scans == [(months[1].partition, "Index Scan")]


async def test_history_goes_on_across_months(postgres: Postgres) -> None:
    months = [month_of_now(offset) for offset in (-1, 0, 1)]
    starts = [int(month.start.timestamp() * 1000) for month in months]
    # The last id of each month and the first of the next stand on both sides of a bound.
    times = sorted({start + shift for start in starts for shift in (-1, 0, 1)})[1:]
    sessions = [make_submission(7, number, id=make_uuid7(ms)) for number, ms in enumerate(times)]
    await record(postgres, *sessions)
    newest_first = sorted((s.id for s in sessions), reverse=True)
    walked, before = [], NEWEST
    while True:
        (rows,) = await read_history(postgres, [HistoryRequest(bucket_of(7), 7, before, None, 3)])
        assert rows is not None
        assert rows.games_played == len(times)
        walked += [session.id for session in rows.sessions]
        if len(rows.sessions) < 3:
            break
        before = walked[-1]
    assert walked == newest_first


async def test_the_bound_of_a_month_belongs_to_it(postgres: Postgres) -> None:
    start_ms = int(month_of_now(1).start.timestamp() * 1000)
    last, first = make_uuid7(start_ms - 1, 2**74 - 1), make_uuid7(start_ms, 0)
    assert last < UUID(int=start_ms << 80) < first
    await record(postgres, make_submission(7, 1, id=last), make_submission(7, 2, id=first))
    placed = await postgres.call("select tableoid::regclass::text, id from game_sessions order by id")
    assert [tuple(row) for row in placed] == [(month_of_now(0).partition, last), (month_of_now(1).partition, first)]


CROWD = 20_000


@pytest.fixture
async def crowd(shard: ShardUrls) -> None:
    """20,000 players with totals from 1 to 20,000, all of whose buckets the shard owns."""
    async with connected(shard.direct_url) as connection:
        await connection.execute(
            f"""
            insert into leaderboard
            select bucket_of(n), 1, n, n, 1, now(), 1, pg_current_xact_id() from generate_series(1, {CROWD}) as n;
            insert into players select bucket_of(n), n, 'player', now() from generate_series(1, {CROWD}) as n;
            analyze leaderboard, players, bucket_owner
            """
        )


@pytest.mark.parametrize("plan", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(
    ("statement", "arguments", "index", "rows_max"),
    [
        (_COUNT_BETTER, ([CROWD - 1_000], 100_000, [1]), "leaderboard_rank_idx", 1_000),
        (_COUNT_BETTER, ([1], 500, list(range(100))), "leaderboard_rank_idx", 1_100),
        (_PAGE, (CROWD - 5_000, 1, 20), "leaderboard_rank_idx", 100),
        (_BEFORE, (CROWD - 5_000, 1, 20), "leaderboard_rank_idx", 100),
        (_SCAN, (1_000, 0, BUCKET_COUNT - 1, 100), "leaderboard_pkey", 300),
    ],
)
async def test_what_ranks_by_sql_cost_is_what_they_tell(
    server: LocalCluster,
    crowd: None,
    plan: str,
    statement: str,
    arguments: tuple[Any, ...],
    index: str,
    rows_max: int,
) -> None:
    """The standings are read by an index, and no further than asked for; half of the buckets count."""
    mask = _mask(range(0, BUCKET_COUNT, 2))
    plans = await plans_of(server, statement, mask, *arguments, settings=[f"plan_cache_mode = {plan}"])
    scans = [
        node
        for each in plans
        for node in nodes_of(each)
        if node.get("Relation Name") == "leaderboard" and node["Actual Loops"]
    ]
    assert {(node["Node Type"], node.get("Index Name")) for node in scans} == {("Index Scan", index)}
    assert sum(map(rows_touched, scans)) <= rows_max
    # Of players those on the page, and of the owned buckets all, once.
    others = [
        rows_touched(node)
        for each in plans
        for node in nodes_of(each)
        if node.get("Relation Name") in ("players", "bucket_owner")
    ]
    assert max(others) <= BUCKET_COUNT
