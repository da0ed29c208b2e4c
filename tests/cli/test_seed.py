"""`shardboard seed`: believable, consistent, the same for the same seed, and never over what is there."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.ids import instant_of
from infra.local.cluster import LocalCluster
from service.invented_players import SeedPlan, invent_players
from tests.cli.shell import query, ranked_rows, shardboard

UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
PLAN = SeedPlan(players=2_000, sessions=20_000, seed=7, first_user_id=1, since=UNTIL - timedelta(days=365), until=UNTIL)

# Every standing beside what its player's sessions add up to, and every session beside what those before it add up to.
_WRONG_STANDINGS = """
    select l.*
    from leaderboard as l
    join (
        select
            bucket, user_id, sum(score) as total, count(*) as games,
            max(timestamptz 'epoch' + ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint
                * interval '1 millisecond') as last
        from game_sessions
        group by bucket, user_id
    ) as s using (user_id)
    where (l.bucket, l.total_score, l.games_played, l.last_played) is distinct from (s.bucket, s.total, s.games, s.last)
        or l.bucket <> bucket_of(l.user_id) or l.revision < 1 or l.board_id <> 1
        or l.bucket not in (select bucket from bucket_owner)
"""
_WRONG_SESSIONS = """
    select *
    from (
        select *, sum(score) over before as total, count(*) over before as games
        from game_sessions
        window before as (partition by user_id order by id)
    ) as s
    where (total_after, games_after) is distinct from (total, games)
"""


def test_the_same_plan_invents_the_same() -> None:
    assert list(invent_players(PLAN)) == list(invent_players(PLAN))


def test_another_seed_invents_others() -> None:
    other = SeedPlan(PLAN.players, PLAN.sessions, 8, PLAN.first_user_id, PLAN.since, PLAN.until)
    assert [p.username for p in invent_players(PLAN)][:50] != [p.username for p in invent_players(other)][:50]


def test_a_plan_is_kept_to_the_session() -> None:
    players = list(invent_players(PLAN))
    assert [player.user_id for player in players] == list(range(1, 2_001))
    assert sum(len(player.sessions) for player in players) == 20_000
    assert min(len(player.sessions) for player in players) == 1
    for player in players:
        ids = [UUID(int=session.id_high << 64 | session.id_low) for session in player.sessions]
        assert ids == sorted(ids)
        assert {id_.version for id_ in ids} == {7}
        assert all(PLAN.since <= instant_of(id_) < PLAN.until for id_ in ids)
        assert all(session.score >= 0 and session.duration_seconds >= 0 for session in player.sessions)


def test_what_is_invented_looks_like_a_game() -> None:
    players = list(invent_players(PLAN))
    counts = sorted(len(player.sessions) for player in players)
    assert counts[len(counts) // 2] < 10 < counts[-1] // 5, "most play a little, a few very much"
    months = Counter(instant_of(UUID(int=s.id_high << 64)).month for player in players for s in player.sessions)
    assert set(months) == set(range(1, 13))
    assert months[10] > 2 * months[11], "the last month, October, is busier than the first, November"
    assert any(ord(character) > 0x3000 for player in players for character in player.username)
    assert len({session.mode.name for player in players for session in player.sessions}) == 5


async def test_seeding_writes_consistent_shards_and_their_ranks(clean: LocalCluster) -> None:
    done = await shardboard(clean, "seed", "--players", 300, "--sessions", 2_500, "--json")
    assert (done.code, done.json["players"], done.json["sessions"]) == (0, 300, 2_500)

    assert sum(count for (count,) in await query(clean, "select count(*) from game_sessions")) == 2_500
    assert sorted(user_id for (user_id,) in await query(clean, "select user_id from players")) == list(range(1, 301))
    assert await query(clean, _WRONG_STANDINGS) == []
    assert await query(clean, _WRONG_SESSIONS) == []
    assert all(count > 40 for (count,) in await query(clean, "select count(*) from leaderboard"))

    ranked = await ranked_rows(clean)
    assert len(ranked) == 300
    assert [row[2] for row in ranked] == sorted((row[2] for row in ranked), reverse=True)
    verified = await shardboard(clean, "ranks", "verify", "--json")
    assert (verified.code, verified.json) == (0, {"standings": 300, "differences": 0, "named": []})


async def test_the_same_seed_fills_a_deployment_the_same(clean: LocalCluster) -> None:
    arguments = ("seed", "--players", 40, "--seed", 3, "--until", "2026-11-01", "--days", 60)
    assert (await shardboard(clean, *arguments)).code == 0
    first = await ranked_rows(clean)
    await query(clean, "truncate game_sessions, leaderboard, players")
    assert (await shardboard(clean, *arguments)).code == 0
    assert await ranked_rows(clean) == first


async def test_players_that_exist_are_never_touched(clean: LocalCluster) -> None:
    assert (await shardboard(clean, "seed", "--players", 20, "--first-id", 100)).code == 0
    before = await ranked_rows(clean)

    refused = await shardboard(clean, "seed", "--players", 10, "--first-id", 95)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == (
        "shardboard: player 100 exists already, and seeding would invent 95 to 104; nothing was written. "
        "`--first-id 120` adds players behind all there are.\n"
    )
    assert await ranked_rows(clean) == before

    assert (await shardboard(clean, "seed", "--players", 10, "--first-id", 120)).code == 0
    after = await ranked_rows(clean)
    assert len(after) == 30
    assert [row for row in after if row[0] < 120] == before


async def test_fewer_sessions_than_players_are_refused(clean: LocalCluster) -> None:
    refused = await shardboard(clean, "seed", "--players", 10, "--sessions", 9)
    assert refused.code == 2
    assert "--sessions must be at least --players (10)" in refused.err
    assert await query(clean, "select * from players") == []
