"""`python -m benchmarks`: the service and its yardsticks in one run."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.cluster import Cluster, shardboard_up
from benchmarks.goals import SESSIONS_A_BULK, judge, judge_overload, judge_reshard, judge_size, judge_watchers
from benchmarks.load import Target, find_wrk, measure
from benchmarks.overload.measure import measure_overload
from benchmarks.pgbench import measure_one_row_writes
from benchmarks.plain.server import plain_design
from benchmarks.processes import HOST, find_free_port, running, wait_until_answers
from benchmarks.report import Report
from benchmarks.reshard.measure import Wanted, measure_reshard
from benchmarks.serve import serve_commands
from benchmarks.sizes import measure_sizes
from benchmarks.watchers.measure import measure_watchers

READS = {"leaderboard": "leaderboard", "rank": "rank", "history": "history"}
# Beside each, the same over REST.
REST = "REST "


def main() -> None:
    """Run what was asked for, print the tables, write them to a file if one was named."""
    given = _parse_arguments()
    if not (given.only_reshard or given.only_overload):
        find_wrk()
    report = Report(given.players, given.sessions, given.seconds)
    if given.only_watchers:
        with shardboard_up() as cluster:
            cluster.seed(report.players, report.sessions)
            _measure_crowds(report, cluster)
            report.verified = cluster.verify_ranks()
    elif not (given.only_sizes or given.only_reshard or given.only_overload):
        _measure_all(report)
    for name, watched in report.watched.items():
        report.goals += judge_watchers(name, watched)
    if given.sizes:
        report.sizes = measure_sizes(given.sizes, given.sessions, given.seconds)
        small, large = min(given.sizes), max(given.sizes)
        report.goals += [judge_size(name, one[small], one[large]) for name, one in report.sizes.items()]
    if given.only_overload or not (given.only_reshard or given.only_sizes or given.only_watchers):
        print("overload", flush=True)
        report.add_overloaded(overloaded := measure_overload(report.players, report.sessions, report.seconds))
        report.goals += judge_overload(overloaded)
    if given.only_reshard or not (given.no_reshard or given.only_sizes or given.only_watchers or given.only_overload):
        _measure_reshard(report, given)
    print("\n" + report.markdown())
    if given.output:
        report.write(given.output)


def _measure_all(report: Report) -> None:
    print("starting the service", flush=True)
    with shardboard_up() as cluster:
        target = cluster.seed(report.players, report.sessions)
        # First: what load leaves free in the processes' memory would hide what watchers take.
        _measure_crowds(report, cluster)
        _measure_service(report, target)
        _measure_yardsticks(report, cluster, target)
        report.verified = cluster.verify_ranks()
    report.goals = judge(report.rows)


def _measure_service(report: Report, target: Target) -> None:
    print("the service", flush=True)
    for name, script in READS.items():
        report.add(name, measure(target, script, report.seconds))
        report.add(REST + name, measure(target, f"rest_{script}", report.seconds))
    report.add("submitScore", measure(target, "submit_score", report.seconds))
    report.add(REST + "submitScore", measure(target, "rest_submit_score", report.seconds))
    report.add("submitScores", measure(target, "submit_scores", report.seconds), SESSIONS_A_BULK)


def _measure_crowds(report: Report, cluster: Cluster) -> None:
    print("watchers", flush=True)
    for name, watched in measure_watchers(cluster, report.seconds):
        report.add_watched(name, watched)


def _measure_yardsticks(report: Report, cluster: Cluster, target: Target) -> None:
    print("the yardsticks", flush=True)
    report.add("pgbench", measure_one_row_writes(cluster.direct_urls[0], report.seconds))
    port = find_free_port()
    with running(serve_commands(port, "benchmarks.empty_route:app"), dict(os.environ)) as started:
        url = f"http://{HOST}:{port}/"
        wait_until_answers(url, started, None, seconds_max=30)
        report.add("empty", measure(Target(url, target.players), "empty", report.seconds))
    # It may use all of one shard's Postgres and of Valkey: the service has nothing to do meanwhile.
    with plain_design(cluster.direct_urls[0], cluster.redis_url, target.players, report.sessions) as plain:
        for name, script in READS.items():
            report.add(f"plain {name}", measure(plain, script, report.seconds))
        report.add("plain submitScore", measure(plain, "submit_score", report.seconds))


def _measure_reshard(report: Report, given: argparse.Namespace) -> None:
    print("from 4 to 6 shards under load", flush=True)
    wanted = Wanted(
        players=given.reshard_players,
        sessions=given.reshard_sessions,
        submissions=given.reshard_rate,
        ranks=given.reshard_reads,
        seconds=given.reshard_seconds,
    )
    report.add_resharded(found := measure_reshard(wanted))
    report.goals += judge_reshard(found)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("--players", type=int, default=100_000)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=8, help="of each measurement, after a warm-up")
    parser.add_argument("--sizes", type=_parse_sizes, help="numbers of players to compare, such as 10000,1000000")
    parser.add_argument("--only-sizes", action="store_true", help="compare the sizes and leave out all else")
    parser.add_argument("--only-watchers", action="store_true", help="measure watchers and leave out all else")
    parser.add_argument("--only-overload", action="store_true", help="measure overload and leave out all else")
    _add_reshard_arguments(parser)
    parser.add_argument("--output", type=Path, help="write the tables to this .md and the numbers beside it as .json")
    return parser.parse_args()


def _add_reshard_arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--only-reshard", action="store_true", help="measure the growth of shards and leave out all else"
    )
    which.add_argument("--no-reshard", action="store_true", help="leave out the growth of shards")
    parser.add_argument("--reshard-players", type=int, default=1_000_000)
    parser.add_argument("--reshard-sessions", type=int, default=5_000_000)
    parser.add_argument("--reshard-rate", type=int, default=2_000, help="submissions a second, where the machine can")
    parser.add_argument("--reshard-reads", type=int, default=200, help="ranks read a second meanwhile")
    parser.add_argument("--reshard-seconds", type=float, default=10, help="of load before the growth, and after it")


def _parse_sizes(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
