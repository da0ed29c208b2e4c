"""`shardboard export`: all shards in one file, from which the same ranks come again."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from db.session_stream import NamedSession
from domain.ids import instant_of, make_uuid7
from domain.standing import Session
from infra.local.cluster import LocalCluster
from service.export_sessions import merge
from service.submit import submit_score
from tests.cli.shell import query, ranked_rows, shardboard
from tests.factories import make_id, make_submission, opened_parts

NAMES = ['Quote " and, comma', "line\nend", "other\rend", "two  spaces", "{brace", "Zoë 陽菜", "=1+1", "'", '"']


async def wipe(cluster: LocalCluster) -> None:
    """An empty deployment, as after `make up` on a new directory: no rows, no ranks."""
    await query(cluster, "truncate game_sessions, leaderboard, players")
    assert (await shardboard(cluster, "ranks", "rebuild")).code == 0
    assert await ranked_rows(cluster) == []


@pytest.fixture
async def played(clean: LocalCluster, months: None) -> LocalCluster:
    """Seeded players, odd names, negative ids, and a player who gave a new name with an older session."""
    assert (await shardboard(clean, "seed", "--players", 150, "--sessions", 1_200)).code == 0
    async with opened_parts(clean, background=False) as parts:
        odd = [
            make_submission(-n, 10 - n, username=name, game_mode=f"mode, {n}", duration_seconds=n)
            for n, name in enumerate(NAMES, 1)
        ]
        late = [
            make_submission(900, 5, username="Newest session", id=make_id(seconds_ago=10)),
            make_submission(900, 5, username="Newest name", id=make_id(seconds_ago=3600)),
        ]
        for submission in odd + late:
            await submit_score(parts, submission)
    shown = {row[0]: row[1] for row in await ranked_rows(clean)}
    assert shown[900] == "Newest name"
    return clean


@pytest.mark.parametrize("ending", ["csv", "ndjson"])
async def test_export_wipe_import_gives_equal_ranks_and_names(
    played: LocalCluster, tmp_path: Path, ending: str
) -> None:
    file = tmp_path / f"all.{ending}"
    ranked = await ranked_rows(played)
    sessions = "select id, user_id, score, game_mode, duration_seconds, username from game_sessions order by id"
    recorded = await query(played, sessions)
    done = await shardboard(played, "export", file, "--json")
    assert (done.code, done.json) == (0, {"sessions": 1_211, "pruned_before": None})

    again = await shardboard(played, "import", file)
    assert (again.code, again.out) == (0, "0 sessions came in, 1211 were in already\n")
    assert await ranked_rows(played) == ranked

    await wipe(played)
    done = await shardboard(played, "import", file)
    assert (done.code, done.out) == (0, "1211 sessions came in, 0 were in already\n")
    assert await ranked_rows(played) == ranked
    assert await query(played, sessions) == recorded
    assert (await shardboard(played, "ranks", "verify")).code == 0


async def test_all_shards_are_merged_in_order_of_time(played: LocalCluster) -> None:
    done = await shardboard(played, "export")
    assert done.code == 0
    rows = list(csv.DictReader(io.StringIO(done.out, newline="")))
    ids = [UUID(row["submission_id"]) for row in rows]
    assert sorted(ids) == ids
    assert sorted(id_ for (id_,) in await query(played, "select id from game_sessions")) == ids
    assert all(
        row["played_at"] == instant_of(id_).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        for row, id_ in zip(rows, ids, strict=True)
    )
    assert [row["shown_username"] for row in rows if row["shown_username"]] == ["Newest name"]
    assert {row["username"] for row in rows if int(row["user_id"]) < 0} == set(NAMES)


async def test_json_lines_go_to_standard_output(clean: LocalCluster, months: None) -> None:
    submission = make_submission(2**63 - 1, 5, username="Zoë")
    async with opened_parts(clean, background=False) as parts:
        await submit_score(parts, submission)
    done = await shardboard(clean, "export", "-", "--format", "ndjson", "--json")
    assert json.loads(done.err) == {"sessions": 1, "pruned_before": None}
    assert done.json == {
        "user_id": "9223372036854775807",
        "username": "Zoë",
        "score": 5,
        "played_at": instant_of(submission.id).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "submission_id": str(submission.id),
    }


async def test_a_file_that_cannot_be_written_is_one_line(clean: LocalCluster, tmp_path: Path) -> None:
    done = await shardboard(clean, "export", tmp_path / "missing" / "all.csv")
    assert done.code == 1
    assert done.err == f"shardboard: {tmp_path / 'missing' / 'all.csv'} was not written: No such file or directory\n"
    assert list(tmp_path.iterdir()) == []


async def test_streams_of_any_batches_merge_to_the_sorted_whole() -> None:
    rng = Random(5)
    sessions = [
        NamedSession(Session(make_uuid7(ms), 1, 1, None, None, instant_of(make_uuid7(ms))), "A", None)
        for ms in (rng.randrange(2**40) for _ in range(1_000))
    ]
    sessions.sort(key=lambda each: each.session.id)
    shares: list[list[NamedSession]] = [[], [], [], []]
    for each in sessions:
        rng.choice(shares[:3]).append(each)

    async def stream(share: list[NamedSession]) -> AsyncGenerator[list[NamedSession], None]:
        while share:
            count = rng.randrange(1, 100)
            batch, share = share[:count], share[count:]
            await asyncio.sleep(0)
            yield batch

    merged = [each async for batch in merge([stream(share) for share in shares]) for each in batch]
    assert merged == sessions
