"""How the benchmark reads wrk's line, judges and prints; no load."""

from __future__ import annotations

from benchmarks.goals import Row, judge, judge_size
from benchmarks.load import Measured, parse_line
from benchmarks.table import make_table


def row(name: str, per_second: float, p99_ms: float = 1.0, failed: int = 0, sessions: float | None = None) -> Row:
    return Row(name, Measured(1, per_second, 0.5, p99_ms, failed), sessions)


def judged(*rows: Row) -> dict[str, bool]:
    return {f"{goal.row}: {goal.text}": goal.met for goal in judge({row.name: row for row in rows})}


def test_lost_connections_and_bad_statuses_are_failures() -> None:
    line = "measured\t40000\t8000000\t1500\t9250\t2\t3\t0\t0\t"
    assert parse_line(line, checked=False) == Measured(40_000, 5_000.0, 1.5, 9.25, failed=5)


def test_where_answers_were_looked_at_those_count_that_were_wrong() -> None:
    line = 'measured\t100\t1000000\t1500\t9250\t0\t3\t100\t7\t200 {"errors":[]}'
    assert parse_line(line, checked=True) == Measured(100, 100.0, 1.5, 9.25, 7, '200 {"errors":[]}')


def test_a_goal_is_met_from_its_figure_on() -> None:
    assert judged(row("rank", 10_000)) == {
        "rank: at least 10,000/s": True,
        "rank: more than 27,000/s": False,
        "all: no answer that is not what was asked for": True,
    }
    assert not judged(row("rank", 9_999.9))["rank: at least 10,000/s"]


def test_submissions_are_judged_beside_the_yardsticks() -> None:
    met = judged(
        row("submitScore", 6_000, p99_ms=45.0),
        row("plain submitScore", 1_500),
        row("submitScores", 250, sessions=25_000),
        row("pgbench", 25_000),
    )
    assert met == {
        "submitScore: at least 6,000/s": True,
        "submitScores: at least 25,000/s": True,
        "submitScore: p99 under 45 ms": False,
        "submitScore: at least 4 × the plain design": True,
        "submitScores: more than pgbench's one-row writes": False,
        "submitScore: more than 8,700/s": False,
        "all: no answer that is not what was asked for": True,
    }


def test_one_wrong_answer_is_one_too_many() -> None:
    assert not judged(row("empty", 1, failed=1))["all: no answer that is not what was asked for"]


def test_size_is_judged_by_the_ratio() -> None:
    small, large = row("rank", 1_000).measured, row("rank", 800).measured
    assert judge_size("rank", small, large).met
    assert not judge_size("rank", small, row("rank", 799).measured).met


def test_columns_line_up() -> None:
    assert make_table(("what", "requests/s"), [("a", "1"), ("rank", "12,345")]) == (
        "| what | requests/s |\n|------|-----------:|\n| a    |          1 |\n| rank |     12,345 |"
    )
