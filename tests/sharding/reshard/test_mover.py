"""Buckets move with all they hold while players go on, or stay where they are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from db.history import NEWEST, HistoryRequest
from db.move_records import read_moves, set_wish
from db.ownership import read_ownership
from domain.errors import OperatorError
from domain.move import Move, Phase, Wish
from infra.local.cluster import LocalCluster
from service.plan_moves import Revert, plan_moves, write_down
from service.steer_moves import release_copies, steer_moves
from service.verify_shards import verify_shards
from sharding.placement import bucket_of
from sharding.reshard.fleet import Fleet, locked_fleet
from sharding.reshard.mover import Mover
from sharding.router import Router
from tests.db.shards import connected
from tests.factories import make_submission, users_of_shard
from tests.sharding.reshard.fleets import buckets_of, opened_fleet, owners_of, plan, play, rows_of, run, traces
from tests.sharding.routers import totals
from tests.waiting import until

MOVING = users_of_shard(1, 24)
BUCKETS = buckets_of(MOVING)
STAYING = [user for user in users_of_shard(1, 200)[24:] if bucket_of(user) not in BUCKETS][:10]
SOURCE, TARGET = "shard1", "shard2"


async def reaches(fleet: Fleet, phase: Phase, source: str = SOURCE) -> None:
    """Wait until the one move of a shard is in a phase."""

    async def there() -> bool:
        return [move.phase for move in await read_moves(fleet.postgres(source)) if move.phase is phase] != []

    await until(there)


def owned_by(name: str, buckets: Sequence[int] = BUCKETS) -> dict[int, list[str]]:
    return {bucket: [name] for bucket in buckets}


async def test_buckets_move_with_all_they_hold(shards: LocalCluster, fleet: Fleet, router: Router) -> None:
    await play(router, [*MOVING, *STAYING], games=3)
    source, target = (shard.direct_url for shard in shards.shards[:2])
    moved, stayed = await rows_of(source, BUCKETS), await rows_of(source, buckets_of(STAYING))
    before = await totals(shards)
    await plan(fleet, BUCKETS, TARGET)
    (move,) = await run(fleet)
    assert (move.phase, move.trouble, move.buckets) == (Phase.DONE, None, tuple(BUCKETS))
    assert move.rows_moved == sum(len(rows) for rows in moved.values()) == 24 * (1 + 1 + 3)
    assert move.pause_ms_max is not None
    assert await rows_of(target, BUCKETS) == moved
    assert await rows_of(source, BUCKETS) == {"players": [], "leaderboard": [], "game_sessions": []}
    assert await rows_of(source, buckets_of(STAYING)) == stayed
    assert await owners_of(shards, BUCKETS) == owned_by(TARGET)
    assert await totals(shards) == before
    assert await traces(fleet) == {}
    verified = await verify_shards(fleet)
    assert (verified.players, verified.copies, verified.faults) == (34, 0, [])


async def test_standings_get_the_targets_own_transaction_ids(
    shards: LocalCluster, fleet: Fleet, router: Router
) -> None:
    """The source's would be below or above every mark of the target's relay."""
    await play(router, MOVING, games=1)
    async with connected(shards.shards[1].direct_url) as connection:
        before = int(await connection.fetchval("select pg_current_xact_id()::text"))
        await plan(fleet, BUCKETS, TARGET)
        await run(fleet)
        after = int(await connection.fetchval("select pg_current_xact_id()::text"))
        xids = [int(row[0]) for row in await connection.fetch("select changed_xid::text from leaderboard")]
    assert len(xids) == len(MOVING)
    assert all(before < xid < after for xid in xids)


async def test_writers_and_readers_go_on_through_a_move(shards: LocalCluster, fleet: Fleet, router: Router) -> None:
    """One router follows the map, the other one learns of it only by being refused."""
    playing = True
    recorded = dict.fromkeys([*MOVING, *STAYING], 0)

    async def write(user: int) -> None:
        while playing:
            outcomes = await router.record(make_submission(user, 2))
            recorded[user] += 1
            # Each answer tells the player's whole history, wherever that is by now.
            assert (outcomes.outcome, outcomes.total, outcomes.games) == (
                "recorded",
                2 * recorded[user],
                recorded[user],
            )

    async def read() -> None:
        while playing:
            for user in MOVING:
                known = recorded[user]
                rows = await router.history(user, lambda bucket, user=user: _newest(bucket, user))  # type: ignore[misc]
                assert rows.games_played >= known

    tasks = [*(asyncio.create_task(write(user)) for user in recorded), asyncio.create_task(read())]
    await until(lambda: min(recorded.values()) >= 3)
    await plan(fleet, BUCKETS, TARGET)
    moves = await run(fleet)
    reached = dict(recorded)
    await until(lambda: all(recorded[user] > reached[user] for user in recorded))
    playing = False
    await asyncio.gather(*tasks)
    assert [move.phase for move in moves] == [Phase.DONE]
    assert await totals(shards) == {user: (2 * count, count) for user, count in recorded.items()}
    assert await owners_of(shards, BUCKETS) == owned_by(TARGET)
    assert (await verify_shards(fleet)).faults == []


def _newest(bucket: int, user: int) -> HistoryRequest:
    return HistoryRequest(bucket, user, NEWEST, None, 1)


TAMPERS = [
    "update leaderboard set total_score = total_score + 1 where user_id = $1",
    "update players set username = 'Eve' where user_id = $1",
    "update game_sessions set score = score + 1 where user_id = $1",
    "delete from game_sessions where user_id = $1",
    "delete from leaderboard where user_id = $1",
]


async def refused_after(shards: LocalCluster, fleet: Fleet, tamper: str, victim: int, *, compared: bool) -> str:
    """Carry out the one move with a copy that is changed while the move rests; gives why it is refused.

    Args:
        compared: whether it rests after the copy was compared already.
    """
    told: list[str] = []
    source, target = (shard.direct_url for shard in shards.shards[:2])
    async with opened_fleet(shards) as other, connected(source) as holder:
        transaction = holder.transaction()
        await transaction.start()
        # Keeps every freeze off.
        await holder.execute("lock table bucket_owner in row share mode")
        moving = asyncio.create_task(run(fleet, lambda move, line: told.append(line)))
        await until(lambda: any(line.startswith("not switched yet" if compared else "copying") for line in told))
        await steer_moves(other, Wish.PAUSE)
        await until(lambda: "paused; `shardboard shards resume` goes on" in told)
        assert ("comparing all rows" in told) == compared
        async with connected(target) as connection:
            await connection.execute(tamper, victim)
        await transaction.rollback()
        await steer_moves(other, Wish.RUN)
        with pytest.raises(OperatorError) as refused:
            await moving
    return str(refused.value)


@pytest.mark.parametrize(
    ("tamper", "compared"),
    [*((tamper, False) for tamper in TAMPERS), ("delete from game_sessions where user_id = $1", True)],
)
async def test_one_row_that_differs_keeps_the_source_the_owner(
    shards: LocalCluster, fleet: Fleet, router: Router, tamper: str, compared: bool
) -> None:
    await play(router, MOVING, games=2)
    before = await rows_of(shards.shards[0].direct_url, BUCKETS)
    await plan(fleet, BUCKETS, TARGET)
    victim = MOVING[0]
    refusal = await refused_after(shards, fleet, tamper, victim, compared=compared)
    assert f"1 player(s) differ: player {victim} (bucket {bucket_of(victim)}): source " in refusal
    assert "shard1 stays the owner" in refusal
    owners = await owners_of(shards, BUCKETS)
    assert owners[bucket_of(victim)] == [SOURCE]
    (move,) = await read_moves(fleet.postgres(SOURCE))
    assert (move.phase, move.trouble) == (Phase.FOLLOWING, refusal)
    # Nobody waits for it, either.
    assert (await router.record(make_submission(victim, 1))).outcome == "recorded"
    await steer_moves(fleet, Wish.ABORT)
    (move,) = await run(fleet)
    assert move.phase is Phase.ABORTED
    assert await traces(fleet) == {}
    kept = [bucket for bucket, names in owners.items() if names == [SOURCE]]
    assert await rows_of(shards.shards[1].direct_url, kept) == {"players": [], "leaderboard": [], "game_sessions": []}
    after = await rows_of(shards.shards[0].direct_url, kept)
    assert len(after["game_sessions"]) == 1 + sum(row[2] in kept for row in before["game_sessions"])
    assert (await verify_shards(fleet)).faults == []


@pytest.mark.parametrize("phase", [Phase.PLANNED, Phase.COPYING, Phase.FOLLOWING])
async def test_what_is_aborted_leaves_no_trace(
    shards: LocalCluster, fleet: Fleet, router: Router, phase: Phase
) -> None:
    await play(router, MOVING, games=2)
    before = await rows_of(shards.shards[0].direct_url, BUCKETS)
    await plan(fleet, BUCKETS, TARGET)
    async with opened_fleet(shards) as other, connected(shards.shards[0].direct_url) as holder:
        transaction = holder.transaction()
        await transaction.start()
        # Keeps every freeze off, so that the move stays where it is.
        await holder.execute("lock table bucket_owner in row share mode")
        if phase is Phase.PLANNED:
            await steer_moves(other, Wish.ABORT)
        moving = asyncio.create_task(run(fleet))
        if phase is not Phase.PLANNED:
            await reaches(other, phase)
            await steer_moves(other, Wish.ABORT)
        (move,) = await moving
        await transaction.rollback()
    assert move.phase is Phase.ABORTED
    assert await owners_of(shards, BUCKETS) == owned_by(SOURCE)
    assert await rows_of(shards.shards[0].direct_url, BUCKETS) == before
    assert await rows_of(shards.shards[1].direct_url, BUCKETS) == {
        "players": [],
        "leaderboard": [],
        "game_sessions": [],
    }
    assert await traces(fleet) == {}
    assert (await verify_shards(fleet)).faults == []


async def test_a_paused_move_rests_and_goes_on(shards: LocalCluster, fleet: Fleet, router: Router) -> None:
    await play(router, MOVING, games=1)
    told: list[str] = []
    await plan(fleet, BUCKETS, TARGET)
    await fleet.ask(lambda postgres: set_wish(postgres, Wish.PAUSE))
    async with opened_fleet(shards) as other:
        moving = asyncio.create_task(run(fleet, lambda move, line: told.append(line)))
        await until(lambda: told == ["paused; `shardboard shards resume` goes on"])
        assert [move.phase for move in await read_moves(other.postgres(SOURCE))] == [Phase.PLANNED]
        assert await traces(other) == {}
        await steer_moves(other, Wish.RUN)
        (move,) = await moving
    assert move.phase is Phase.DONE
    assert await owners_of(shards, BUCKETS) == owned_by(TARGET)


async def test_a_second_mover_is_told_of_the_first(fleet: Fleet, shards: LocalCluster) -> None:
    async with locked_fleet(fleet, "first"), opened_fleet(shards) as other:
        with pytest.raises(
            OperatorError, match=r"Buckets are being worked on by shardboard first \S+@\S+ pid \d+, since"
        ):
            async with locked_fleet(other, "second"):
                raise AssertionError("locked")
    async with opened_fleet(shards) as other, locked_fleet(other, "second"):
        pass


async def test_work_that_may_go_on_side_by_side_keeps_movers_out(fleet: Fleet, shards: LocalCluster) -> None:
    async with locked_fleet(fleet, "export", shared=True), opened_fleet(shards) as other:
        async with locked_fleet(other, "seed", shared=True):
            pass
        with pytest.raises(OperatorError, match="worked on by shardboard export"):
            async with locked_fleet(other, "moving"):
                raise AssertionError("locked")


async def test_a_mover_takes_a_lock_again_that_its_shard_lost(
    shards: LocalCluster, fleet: Fleet, router: Router
) -> None:
    await play(router, MOVING, games=1)
    await plan(fleet, BUCKETS, TARGET)
    async with locked_fleet(fleet, "test") as locks:
        shards.child("postgres", 3).crash()
        (move,) = await Mover(fleet, locks, lambda move, told: None).run()
        assert move.phase is Phase.DONE
        async with opened_fleet(shards) as other:
            with pytest.raises(OperatorError, match="worked on by shardboard test"):
                async with locked_fleet(other, "second"):
                    raise AssertionError("locked")


@pytest.mark.parametrize(
    ("number", "step"),
    [(1, "copying"), (2, "copying"), (2, "the copy is whole"), (1, "comparing"), (2, "switched ")],
)
async def test_a_move_survives_the_crash_of_a_shard(
    shards: LocalCluster, fleet: Fleet, router: Router, number: int, step: str
) -> None:
    await play(router, MOVING, games=3)
    before = await rows_of(shards.shards[0].direct_url, BUCKETS)
    await plan(fleet, BUCKETS, TARGET)
    child = shards.child("postgres", number)
    crashed: list[str] = []

    def on_report(move: Move, told: str) -> None:
        if told.startswith(step) and not crashed:
            crashed.append(told)
            child.crash()

    (move,) = await run(fleet, on_report)
    assert crashed
    assert move.phase is Phase.DONE
    assert await owners_of(shards, BUCKETS) == owned_by(TARGET)
    assert await rows_of(shards.shards[1].direct_url, BUCKETS) == before
    assert await traces(fleet) == {}
    assert (await verify_shards(fleet)).faults == []
    await play(router, MOVING, games=1)


async def test_copies_are_kept_until_they_are_let_go(shards: LocalCluster, fleet: Fleet, router: Router) -> None:
    await play(router, MOVING, games=2)
    source = shards.shards[0].direct_url
    before = await rows_of(source, BUCKETS)
    await plan(fleet, BUCKETS, TARGET, keep_copies=True)
    (move,) = await run(fleet)
    assert move.phase is Phase.SWITCHED
    assert await rows_of(source, BUCKETS) == before
    assert await traces(fleet) == {}
    verified = await verify_shards(fleet)
    assert (verified.copies, verified.faults) == (24 * 4, [])
    await play(router, MOVING, games=1)
    assert await rows_of(source, BUCKETS) == before
    assert await release_copies(fleet) == 1
    (move,) = await run(fleet)
    assert move.phase is Phase.DONE
    assert await rows_of(source, BUCKETS) == {"players": [], "leaderboard": [], "game_sessions": []}
    assert (await totals(shards)).keys() == set(MOVING)


@pytest.mark.parametrize("keep_copies", [False, True])
async def test_reverting_loses_nothing_that_was_written_since(
    shards: LocalCluster, fleet: Fleet, router: Router, keep_copies: bool
) -> None:
    await play(router, MOVING, games=2)
    await plan(fleet, BUCKETS, TARGET, keep_copies=keep_copies)
    await run(fleet)
    await play(router, MOVING, games=2, seed=2)
    newest = await rows_of(shards.shards[1].direct_url, BUCKETS)
    await write_down(fleet, await plan_moves(fleet, Revert()))
    moves = await run(fleet)
    assert [(move.source, move.target, move.phase) for move in moves if move.target == SOURCE] == [
        (TARGET, SOURCE, Phase.DONE)
    ]
    assert await owners_of(shards, BUCKETS) == owned_by(SOURCE)
    assert await rows_of(shards.shards[0].direct_url, BUCKETS) == newest
    assert len(newest["game_sessions"]) == 24 * 4
    await play(router, MOVING, games=1)
    assert (await verify_shards(fleet)).faults == []


async def test_a_bucket_that_cannot_be_frozen_is_let_go_and_tried_again(
    shards: LocalCluster, fleet: Fleet, router: Router
) -> None:
    await play(router, MOVING, games=1)
    told: list[str] = []
    await plan(fleet, BUCKETS, TARGET)
    async with connected(shards.shards[0].direct_url) as holder:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("lock table bucket_owner in row share mode")
        moving = asyncio.create_task(run(fleet, lambda move, line: told.append(line)))
        await until(lambda: told.count("not switched yet: long transactions hold the source's buckets") >= 2)
        # All that time nobody who plays waits for longer than the try takes.
        assert (await router.record(make_submission(MOVING[0], 1))).outcome == "recorded"
        assert await owners_of(shards, BUCKETS) == owned_by(SOURCE)
        await transaction.rollback()
    (move,) = await moving
    assert move.phase is Phase.DONE
    assert await owners_of(shards, BUCKETS) == owned_by(TARGET)


async def test_the_slots_of_a_copy_that_nobody_knows_any_more_are_dropped(
    shards: LocalCluster, fleet: Fleet, router: Router
) -> None:
    """As a target leaves them that was killed while it dropped its subscription."""
    await play(router, MOVING, games=1)
    source, target = fleet.postgres(SOURCE), fleet.postgres(TARGET)
    ((system,),) = await target.call("select system_identifier::text from pg_control_system()")
    await source.call("select pg_create_logical_replication_slot($1, 'pgoutput')", f"pg_99999_sync_16400_{system}")
    assert list(await traces(fleet)) == [SOURCE]
    await plan(fleet, BUCKETS, TARGET)
    await run(fleet)
    assert await traces(fleet) == {}


async def test_epochs_only_grow(fleet: Fleet, shards: LocalCluster, router: Router) -> None:
    await play(router, MOVING[:1], games=1)
    bucket = bucket_of(MOVING[0])
    for number, (here, there) in enumerate([(SOURCE, TARGET), (TARGET, "shard3"), ("shard3", SOURCE)], start=2):
        await plan(fleet, [bucket], there)
        await run(fleet)
        owned = {each.bucket: each.epoch for each in (await read_ownership(fleet.postgres(there))).owned}
        assert owned[bucket] == number
        assert bucket not in {each.bucket for each in (await read_ownership(fleet.postgres(here))).owned}
    assert (await verify_shards(fleet)).faults == []
