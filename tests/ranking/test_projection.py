from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from redis.asyncio import Redis

from domain.ids import USER_ID_MAX, USER_ID_MIN
from domain.standing import Row, Standing
from domain.submission import SCORE_MAX
from ranking.keys import BoardKeys
from ranking.members import member_of
from ranking.projection import Place, Projection
from ranking.rebuild import Rebuild
from ranking.store import RanksUnavailable, Store
from tests.factories import make_row
from tests.ranking import plain

# Small ranges, so that ids meet, totals tie, and revisions come again.
USER_IDS = st.sampled_from([USER_ID_MIN, -300, -2, -1, 0, 1, 2, 255, 256, 2**40, USER_ID_MAX])
TOTALS = st.sampled_from([-SCORE_MAX, -7, -1, 0, 1, 5, 6, SCORE_MAX])
HISTORIES = st.dictionaries(USER_IDS, st.lists(TOTALS, min_size=1, max_size=6), max_size=11)


def rows_of(histories: dict[int, list[int]]) -> list[Row]:
    """Each player's row after each change of its total, up or down."""
    return [
        make_row(user_id, total, revision)
        for user_id, totals in histories.items()
        for revision, total in enumerate(totals, start=1)
    ]


async def emptied(store: Store, keys: BoardKeys) -> Projection:
    await store.redis.delete(*(getattr(keys, name) for name in ("ranks", "rows", "ready", "marks", "building")))
    rebuild = await Rebuild.begin(store, keys)
    assert rebuild is not None
    await rebuild.finish({})
    return Projection(store, keys.board)


async def all_of(projection: Projection, page_size: int = 4) -> list[Standing]:
    found: list[Standing] = []
    after = None
    while True:
        page = await projection.page(page_size, after)
        assert page.position == len(found)
        found += page.standings
        if not page.has_next:
            assert page.total_count == len(found)
            return found
        after = (found[-1].total_score, found[-1].user_id)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories=HISTORIES, order=st.randoms(use_true_random=False), doubled=st.booleans())
async def test_any_order_of_arrival_gives_the_ranks_of_a_plain_sorted_list(
    store: Store, keys: BoardKeys, histories: dict[int, list[int]], order: random.Random, doubled: bool
) -> None:
    projection = await emptied(store, keys)
    rows = rows_of(histories) * (2 if doubled else 1)
    order.shuffle(rows)
    while rows:
        # One by one, several at once, or as the relay does.
        batch = [rows.pop() for _ in range(min(len(rows), order.randint(1, 5)))]
        if order.random() < 0.3:
            await projection.apply_all(batch)
        else:
            await asyncio.gather(*(projection.apply(row, row.user_id, row.total_score) for row in batch))
    expected = plain.standings(rows_of(histories))
    assert await all_of(projection) == expected
    ids = [standing.user_id for standing in expected]
    assert await projection.standings(ids) == expected
    for index, user_id in enumerate(ids):
        around = await projection.around(user_id, 2)
        assert around == expected[max(0, index - 2) : index + 3]


async def test_the_newest_row_counts_though_an_older_follows_in_the_same_command(projection: Projection) -> None:
    newer, older = make_row(7, 50, revision=2), make_row(7, 100, revision=1)
    places = await asyncio.gather(*(projection.apply(row, 7, row.total_score) for row in (newer, older)))
    assert places == [Place(1, 1), Place(1, 1)]
    standing = await projection.standing(7)
    assert standing is not None
    assert (standing.total_score, standing.games_played) == (50, 2)


async def test_ranks_are_competition_ranks_and_ties_go_by_smaller_id(projection: Projection) -> None:
    totals = {5: 100, -5: 100, 3: 90, 0: 90, -(2**63): 90, 2**63 - 1: 90, 8: 0, 9: -10}
    await projection.apply_all(make_row(user_id, total) for user_id, total in totals.items())
    page = await projection.page(100, None)
    assert [(s.rank, s.user_id, s.percentile) for s in page.standings] == [
        (1, -5, 100.0),
        (1, 5, 100.0),
        (3, -(2**63), 75.0),
        (3, 0, 75.0),
        (3, 3, 75.0),
        (3, 2**63 - 1, 75.0),
        (7, 8, 25.0),
        (8, 9, 12.5),
    ]


async def test_the_rank_of_a_session_leaves_the_players_own_newer_total_out(projection: Projection) -> None:
    await projection.apply_all([make_row(1, 10), make_row(2, 20), make_row(3, 500, revision=5)])
    # A duplicate of the session that brought player 3 to 15: between 20 and 10, whatever came later.
    assert await projection.apply(None, 3, 15) == Place(2, 3)
    assert await projection.apply(None, 3, 500) == Place(1, 3)
    assert await projection.apply(make_row(3, 5, revision=6), 3, 5) == Place(3, 3)


async def test_an_unknown_player_has_no_standing(projection: Projection) -> None:
    await projection.apply_all([make_row(1, 10)])
    assert await projection.standing(2) is None
    assert await projection.around(2, 5) is None
    assert [s and s.user_id for s in await projection.standings([2, 1, 2, 1])] == [None, 1, None, 1]


async def test_an_empty_board_has_an_empty_page(projection: Projection) -> None:
    page = await projection.page(10, None)
    assert (page.standings, page.position, page.total_count, page.has_next) == ([], 0, 0, False)
    page = await projection.page(10, (5, 5))
    assert (page.standings, page.position, page.total_count, page.has_next) == ([], 0, 0, False)


@pytest.mark.parametrize("seed", range(3))
async def test_a_page_goes_on_from_a_place_that_is_gone(projection: Projection, seed: int) -> None:
    dice = random.Random(seed)
    rows = [make_row(dice.randint(-100, 100), dice.randint(0, 5)) for _ in range(60)]
    await projection.apply_all(rows)
    board = plain.standings(rows[:1] + rows[1:])
    newest = {s.user_id: s for s in await all_of(projection)}
    expected = sorted(newest.values(), key=lambda s: (-s.total_score, s.user_id))
    assert {s.user_id for s in board} == newest.keys()
    for _ in range(60):
        place = (dice.randint(-1, 6), dice.randint(-110, 110))
        behind = [s for s in expected if (-s.total_score, s.user_id) > (-place[0], place[1])]
        page = await projection.page(7, place)
        assert page.standings == behind[:7]
        assert page.position == len(expected) - len(behind)
        assert page.has_next == (len(behind) > 7)


async def test_a_walk_meets_everyone_who_did_not_move_exactly_once(projection: Projection) -> None:
    dice = random.Random(7)
    still = {user_id: make_row(user_id, dice.randint(0, 30)) for user_id in range(-150, 150)}
    movers = {user_id: make_row(user_id, dice.randint(0, 30)) for user_id in range(1000, 1060)}
    await projection.apply_all([*still.values(), *movers.values()])
    walking = True

    async def move() -> None:
        while walking:
            user_id = dice.choice(list(movers))
            movers[user_id] = replace(
                movers[user_id], total_score=dice.randint(0, 30), revision=movers[user_id].revision + 1
            )
            await projection.apply(movers[user_id], user_id, movers[user_id].total_score)

    moving = asyncio.create_task(move())
    walked: list[Standing] = []
    after, more = None, True
    while more:
        page = await projection.page(9, after)
        walked += page.standings
        after = (page.standings[-1].total_score, page.standings[-1].user_id) if page.standings else after
        more = page.has_next
    walking = False
    await moving
    met = [s.user_id for s in walked if s.user_id in still]
    assert met == [row.user_id for row in plain.newest_rows(still.values())]
    # Even who moved comes in order: the walk only ever goes down.
    places = [(-s.total_score, s.user_id) for s in walked]
    assert places == sorted(places)
    assert len(places) == len(set(places))


async def test_what_is_read_together_is_of_one_moment(projection: Projection) -> None:
    """Two players swap places again and again; nobody ever sees both on one."""
    revision = 1
    await projection.apply_all([make_row(1, 10), make_row(2, 20)])
    swapping = True

    async def swap() -> None:
        nonlocal revision
        while swapping:
            revision += 1
            high, low = (20, 10) if revision % 2 else (10, 20)
            await projection.apply_all([make_row(2, high, revision), make_row(1, low, revision)])

    task = asyncio.create_task(swap())
    for _ in range(200):
        found = await projection.standings([1, 2])
        assert sorted(s.total_score for s in found if s) == [10, 20]
        assert sorted(s.rank or 0 for s in found if s) == [1, 2]
        assert [s.rank for s in (await projection.page(10, None)).standings] == [1, 2]
    swapping = False
    await task


async def test_concurrent_callers_get_each_their_own(projection: Projection) -> None:
    users = range(1200)
    places = await asyncio.gather(*(projection.apply(make_row(user, user), user, user) for user in users))
    assert [place.rank for place in places][-1:] == [1]
    standings: Sequence[Standing | None] = await asyncio.gather(*(projection.standing(user) for user in users))
    assert [(s.user_id, s.total_score, s.rank) for s in standings if s] == [(u, u, 1200 - u) for u in users]


async def test_without_ranks_nothing_is_told(store: Store, redis: Redis, keys: BoardKeys) -> None:
    projection = Projection(store, keys.board)
    row = make_row(1, 10)
    for ask in (
        projection.apply(row, 1, 10),
        projection.apply_all([row]),
        projection.standing(1),
        projection.standings([1]),
        projection.page(10, None),
        projection.around(1, 1),
    ):
        with pytest.raises(RanksUnavailable, match="Ranks are unavailable: they are being rebuilt; try again shortly"):
            await ask
    assert await redis.keys() == []


async def test_a_sorted_set_holds_ids_in_numeric_order(projection: Projection, redis: Redis, keys: BoardKeys) -> None:
    ids = [USER_ID_MIN, -257, -256, -1, 0, 1, 255, 256, USER_ID_MAX]
    await projection.apply_all(make_row(user_id, 1) for user_id in reversed(ids))
    assert await redis.zrange(keys.ranks, 0, -1) == [member_of(user_id) for user_id in ids]
