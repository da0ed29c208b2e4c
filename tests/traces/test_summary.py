"""What a statement is called in traces: its verb and what it is about, never a value."""

from __future__ import annotations

import pytest

from db.traced import summarise


@pytest.mark.parametrize(
    ("statement", "verb", "summary"),
    [
        ("select a, b from record_sessions($1, $2)", "SELECT", "SELECT record_sessions"),
        ("\n    select show_name($1, $2)", "SELECT", "SELECT show_name"),
        ("select l.x from unnest($1::int[]) as k join leaderboard as l on true", "SELECT", "SELECT leaderboard"),
        ("select 1 from a join b on true join c on true join d on true", "SELECT", "SELECT a b c"),
        ("insert into moves values ($1)", "INSERT", "INSERT moves"),
        ("update bucket_owner set state = 'frozen'", "UPDATE", "UPDATE bucket_owner"),
        ("drop subscription shardboard_7_secret", "DROP", "DROP"),
        ("select", "SELECT", "SELECT"),
        ("-- a remark", "OTHER", "OTHER"),
    ],
)
def test_summary(statement: str, verb: str, summary: str) -> None:
    assert summarise(statement) == (verb, summary)
