"""`shardboard import`: the good goes in once, the bad is named."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from domain.ids import make_uuid7
from infra.local.cluster import LocalCluster
from service.submit import submit_score
from tests.cli.shell import query, ranked_rows, shardboard
from tests.factories import make_submission, opened_parts, users_of_shard

HEADER = "user_id,username,score,game_mode,duration_seconds,played_at,submission_id\n"


def at(day: int, milliseconds: int = 0) -> datetime:
    """Noon of a day of March 2024, which is older than any submission may be."""
    return datetime(2024, 3, day, 12, 0, 0, milliseconds * 1000, UTC)


async def count_sessions(cluster: LocalCluster) -> int:
    return sum(count for (count,) in await query(cluster, "select count(*) from game_sessions"))


async def test_old_sessions_come_in_with_everything_they_say(clean: LocalCluster, tmp_path: Path) -> None:
    file = tmp_path / "sessions.csv"
    file.write_text(
        HEADER + "1,Ada,100,ranked,60,2024-03-05T12:00:00Z,\n"
        "-9223372036854775808,Мария,-5,,,2024-03-05T13:00:00.250+01:00,\n"
        '1,"Ada, ""the"" first",11,duel,,2024-03-06T12:00:00Z,\n',
        encoding="utf-8",
    )
    done = await shardboard(clean, "import", file, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json == {"recorded": 3, "duplicates": 0, "bad": 0, "bad_rows": []}
    assert await ranked_rows(clean) == [
        (1, 'Ada, "the" first', 111, 2, at(6)),
        (-9223372036854775808, "Мария", -5, 1, at(5, 250)),
    ]
    found = await query(clean, "select user_id, username, score, game_mode, duration_seconds from game_sessions")
    assert sorted(found, key=repr) == sorted(
        [
            (1, "Ada", 100, "ranked", 60),
            (1, 'Ada, "the" first', 11, "duel", None),
            (-9223372036854775808, "Мария", -5, None, None),
        ],
        key=repr,
    )
    assert (await shardboard(clean, "ranks", "verify")).code == 0


async def test_bad_rows_are_named_and_the_rest_goes_in(clean: LocalCluster, tmp_path: Path) -> None:
    id_ = make_uuid7(int(at(5).timestamp() * 1000))
    rows = [
        "1,Ada,100,,,2024-03-05T12:00:00Z,",  # line 2
        "x,Ada,100,,,2024-03-05T12:00:00Z,",
        "1, ,100,,,2024-03-05T12:00:00Z,",
        "1,Ada,1.5,,,2024-03-05T12:00:00Z,",
        "1,Ada,9007199254740992,,,2024-03-05T12:00:00Z,",
        "1,Ada,1,,-1,2024-03-05T12:00:00Z,",
        "1,Ada,1,,,2024-03-05T12:00:00,",
        "1,Ada,1,,,,",
        "1,Ada,1,,,2999-01-01T00:00:00Z,",
        "1,Ada,1,,,,0b9fbd3e-8d53-4a5c-8b2e-3f1f6f0c8d11",
        "1,Ada,1",
        '2,"Bob',  # lines 13 and 14 are one row, whose name has a line end in it
        'by",5,,,2024-03-05T12:00:00Z,',
        f"3,Eve,7,,,,{id_}",
        f"3,Eve,8,,,,{id_}",
    ]
    file, errors = tmp_path / "sessions.csv", tmp_path / "errors.ndjson"
    file.write_bytes((HEADER + "\n".join(rows) + "\n4,Z\xff\n").encode("latin-1"))
    done = await shardboard(clean, "import", file, "--errors", errors)
    assert done.code == 1
    assert done.out == "3 sessions came in, 0 were in already\n"
    lines = done.err.splitlines()
    assert sorted(lines[:-1], key=lambda line: int(line.split()[1][:-1])) == [
        "line 3: user_id must be an integer; got 'x'",
        "line 4: username must have 1 to 100 characters and not be blank; got 0",
        "line 5: score must be an integer; got '1.5'",
        "line 6: score must lie between -9007199254740991 and 9007199254740991; got 9007199254740992",
        "line 7: duration_seconds must be 0 .. 2147483647; got -1",
        "line 8: played_at must be an RFC 3339 instant with its offset, such as 2026-11-23T10:15:00Z; "
        "got '2024-03-05T12:00:00'",
        "line 9: neither played_at nor submission_id is there; one of them is needed",
        "line 10: it was played at 2999-01-01T00:00:00Z, which is yet to come",
        "line 11: submission_id must be a version 7 UUID, which carries the time of the session; got version 4",
        "line 12: has 3 fields and the header 7",
        "line 16: submission_id was used before with other content; another session needs an id of its own",
        "line 17: has 2 fields and the header 7",
    ]
    assert lines[-1] == "shardboard: bad rows, which are not in: 12; their lines and reasons are named above"
    written = [json.loads(line) for line in errors.read_text(encoding="utf-8").splitlines()]
    assert sorted(f"line {each['line']}: {each['reason']}" for each in written) == sorted(lines[:-1])
    assert [row[:4] for row in await ranked_rows(clean)] == [
        (1, "Ada", 100, 1),
        (3, "Eve", 7, 1),
        (2, "Bob\nby", 5, 1),
    ]


async def test_twice_counts_once_and_equal_rows_count_each(clean: LocalCluster, tmp_path: Path) -> None:
    file = tmp_path / "sessions.csv"
    row = "1,Ada,100,ranked,60,2024-03-05T12:00:00Z,\n"
    file.write_text(HEADER + row * 3 + "2,Bob,5,,,2024-03-05T12:00:00Z,\n")
    assert (await shardboard(clean, "import", file)).out == "4 sessions came in, 0 were in already\n"
    before = await ranked_rows(clean)
    assert [row[2] for row in before] == [300, 5]
    again = await shardboard(clean, "import", file)
    assert (again.code, again.out) == (0, "0 sessions came in, 4 were in already\n")
    assert await ranked_rows(clean) == before

    file.write_text(HEADER + row * 4)
    assert (await shardboard(clean, "import", file)).out == "1 sessions came in, 3 were in already\n"
    # The same sessions after the player took another name.
    file.write_text(HEADER + row.replace("Ada", "Countess") * 4)
    assert (await shardboard(clean, "import", file)).out == "0 sessions came in, 4 were in already\n"
    assert [row[:4] for row in await ranked_rows(clean)] == [(1, "Ada", 400, 4), (2, "Bob", 5, 1)]


async def test_json_lines_come_in_from_standard_input(clean: LocalCluster) -> None:
    good = {"user_id": "7", "username": "Zoë", "score": 5, "played_at": "2024-03-05T12:00:00Z", "game_mode": None}
    lines = [
        json.dumps(good),
        json.dumps(good | {"user_id": 8}),
        "{nonsense",
        "[1]",
        json.dumps(good | {"gameMode": "duel"}),
        json.dumps(good | {"score": True}),
        json.dumps(good | {"username": "half \ud800"}),
    ]
    done = await shardboard(clean, "import", "-", "--json", stdin="\n".join(lines))
    assert done.code == 1
    assert (done.json["recorded"], done.json["bad"]) == (2, 5)
    reasons = {each["line"]: each["reason"] for each in done.json["bad_rows"]}
    assert reasons[3].startswith("no valid JSON: ")
    assert reasons[4] == "must be a JSON object"
    assert reasons[5].startswith("unknown field 'gameMode'; the fields are user_id, ")
    assert reasons[6] == "score must be an integer; got True"
    assert reasons[7].startswith("no valid JSON: ")
    assert [row[:3] for row in await ranked_rows(clean)] == [(7, "Zoë", 5), (8, "Zoë", 5)]


async def test_an_id_of_another_players_session_is_refused_on_any_shard(clean: LocalCluster, months: None) -> None:
    (one,), (other,) = users_of_shard(1, 1), users_of_shard(2, 1)
    submission = make_submission(one, 10)
    async with opened_parts(clean, background=False) as parts:
        await submit_score(parts, submission)
    row = {"username": "Eve", "score": 10, "submission_id": str(submission.id)}
    lines = [
        json.dumps(row | {"user_id": other}),
        json.dumps(row | {"user_id": one, "username": submission.username}),
        json.dumps(row | {"user_id": one, "username": submission.username, "score": 11}),
    ]
    done = await shardboard(clean, "import", "-", "--json", stdin="\n".join(lines))
    used = "submission_id was used before with other content; another session needs an id of its own"
    assert done.json == {
        "recorded": 0,
        "duplicates": 1,
        "bad": 2,
        "bad_rows": [{"line": 1, "reason": used}, {"line": 3, "reason": used}],
    }
    assert await count_sessions(clean) == 1


async def test_a_total_out_of_range_fails_its_row_alone(clean: LocalCluster) -> None:
    most = 9007199254740991
    rows = [f"{n},P,{n},,,2024-03-05T12:00:00Z,\n" for n in range(1, 30)]
    rows += [f"5,P,{most},,,2024-03-06T12:00:00Z,\n"]
    done = await shardboard(clean, "import", "-", "--json", stdin=HEADER + "".join(rows))
    assert (done.json["recorded"], done.json["bad"]) == (29, 1)
    (bad,) = done.json["bad_rows"]
    assert bad["line"] == 31
    assert bad["reason"].startswith("score would bring the player's total beyond ±9007199254740991")
    assert [row[:3] for row in await ranked_rows(clean)] == [(n, "P", n) for n in range(29, 0, -1)]


async def test_the_newest_session_gives_the_name_in_whatever_order_rows_come(clean: LocalCluster) -> None:
    rows = [f"1,{name},1,,,2024-03-{day:02}T12:00:00Z,\n" for name, day in (("B", 7), ("C", 20), ("A", 3))]
    assert (await shardboard(clean, "import", "-", stdin=HEADER + "".join(rows))).code == 0
    older = HEADER + "1,D,1,,,2024-03-19T12:00:00Z,\n"
    assert (await shardboard(clean, "import", "-", stdin=older)).code == 0
    assert [row[:4] for row in await ranked_rows(clean)] == [(1, "C", 4, 4)]


async def test_sessions_of_pruned_months_stay_out(forgetful: LocalCluster) -> None:
    assert (await shardboard(forgetful, "sessions", "prune", "--before", "2024-04")).code == 0
    rows = "1,Ada,1,,,2024-03-31T23:59:59.999Z,\n1,Ada,2,,,2024-04-01T00:00:00Z,\n"
    done = await shardboard(forgetful, "import", "-", stdin=HEADER + rows)
    assert done.code == 1
    assert done.err.splitlines()[0] == (
        "line 2: it was played on 2024-03-31, and sessions before 2024-04-01 were pruned: whether it was counted "
        "before cannot be told"
    )
    assert [row[:4] for row in await ranked_rows(forgetful)] == [(1, "Ada", 2, 1)]


async def test_a_file_that_is_none_is_refused_in_one_line(clean: LocalCluster) -> None:
    for text, message in (
        ("user_id,username,points\n", "unknown column 'points' in the header"),
        ("user_id,username,score\n", "the header has neither 'played_at' nor 'submission_id'"),
        ("user_id,score,played_at\n", "the header has no column 'username'"),
        ("", "the file is empty"),
    ):
        done = await shardboard(clean, "import", "-", stdin=text)
        assert done.code == 1
        assert done.err.startswith(f"shardboard: {message}"), done.err
        assert len(done.err.splitlines()) == 1
    assert await count_sessions(clean) == 0
