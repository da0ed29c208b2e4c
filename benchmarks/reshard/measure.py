"""Two more shards while the game is on: load before, during and after, and whether all of it counted in the end."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.cluster import Cluster, ask_shardboard, run_shardboard, shardboard_up
from benchmarks.cpu import GENERATOR, read_cpu_seconds
from benchmarks.load import Target
from benchmarks.reshard.latencies import Latencies, Sample, Span, by_second, summarize
from benchmarks.reshard.load import Load, running_load
from benchmarks.reshard.moves import Status, find_spans, sum_up
from benchmarks.reshard.rate import TRIAL_S, list_rates, why_too_fast
from benchmarks.reshard.result import AFTER, BEFORE, DURING, Resharded

NEW_SHARDS = ("shard5", "shard6")
# Until the caches of the service and of the databases are warm.
_WARM_UP_S = 2.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to measure: rates in requests a second, `seconds` of load before the growth and as many after it."""

    players: int
    sessions: int
    submissions: int
    ranks: int
    seconds: float


def measure_reshard(wanted: Wanted) -> Resharded:
    """Grow a service of its own from 4 to 6 shards under load."""
    with shardboard_up() as cluster:
        print(f"  seeding {wanted.players:,} players and {wanted.sessions:,} sessions", flush=True)
        target = cluster.seed(wanted.players, wanted.sessions)
        return _Run(wanted, cluster, target).measure()


class _Run:
    def __init__(self, wanted: Wanted, cluster: Cluster, target: Target) -> None:
        self._wanted = wanted
        self._cluster = cluster
        self._target = target
        self._too_fast: dict[int, str] = {}
        self._sent: list[Sample] = []
        self._marks: list[tuple[float, dict[str, float]]] = []
        self._pid = 0

    def measure(self) -> Resharded:
        rate, sustained = self._choose_rate()
        print(f"  {rate:,} submissions/s and {self._wanted.ranks} rank reads/s from here on", flush=True)
        with running_load(self._target, rate, self._wanted.ranks) as load:
            self._pid = load.pid
            time.sleep(_WARM_UP_S)
            self._mark()
            time.sleep(self._wanted.seconds)
            self._mark()
            trouble = self._grow()
            self._mark()
            time.sleep(self._wanted.seconds)
            self._mark()
            load.stop()
        self._sent += load.submissions
        return self._gather(rate, sustained, load, trouble)

    def _choose_rate(self) -> tuple[int, bool]:
        """The highest rate that the machine sustains, or the lowest of all and that it does not."""
        for rate in list_rates(self._wanted.submissions):
            with running_load(self._target, rate, self._wanted.ranks) as load:
                time.sleep(_WARM_UP_S)
                began_at = time.monotonic()
                time.sleep(TRIAL_S)
                span = began_at, time.monotonic()
                load.stop()
            self._sent += load.submissions
            reason = why_too_fast(load.submissions, span)
            if reason is None:
                return rate, True
            self._too_fast[rate] = reason
            print(f"  {rate:,} submissions/s are more than the machine sustains: {reason}", flush=True)
        return rate, False

    def _grow(self) -> str:
        """Add the shards and move the buckets; says what went wrong."""
        data = str(self._cluster.data)
        try:
            for name in NEW_SHARDS:
                run_shardboard("shards", "add", name, "--local", "--data", data)
            self._mark()
            run_shardboard("shards", "rebalance", "--data", data)
        except subprocess.CalledProcessError as error:
            if len(self._marks) == 2:
                self._mark()
            return f"`shardboard {' '.join(error.cmd[3:])}` ended with {error.returncode}"
        return ""

    def _mark(self) -> None:
        """Remember a moment between two parts of the run, and the processor time until then."""
        spent = read_cpu_seconds({"load": [self._pid]} | self._cluster.read_pids())
        spent["commands"] = spent.pop(GENERATOR)
        self._marks.append((time.monotonic(), spent))

    def _gather(self, rate: int, sustained: bool, load: Load, trouble: str) -> Resharded:
        answer = ask_shardboard("shards", "status", "--json", "--data", str(self._cluster.data))
        moves: list[Status] = json.loads(answer.stdout)["moves"] if answer.returncode == 0 else []
        spans = self._spans(moves)
        found, shards_verified = self._verify_shards()
        ranks_verified, ranks_agree = self._verify_ranks()
        ok = sum(sample.is_answered for sample in self._sent)
        return Resharded(
            players=self._wanted.players,
            sessions=self._wanted.sessions,
            rate_wanted=self._wanted.submissions,
            rate=rate,
            sustained=sustained,
            too_fast=self._too_fast,
            submissions=_by_time(load.submissions, spans),
            ranks=_by_time(load.ranks, spans),
            first_failure=load.first_failure,
            cores=self._cores(),
            moved=sum_up(moves),
            acknowledged=ok,
            unanswered=len(self._sent) - ok,
            sessions_found=found or 0,
            is_verified=found is not None and ranks_agree,
            shards_verified=shards_verified,
            ranks_verified=ranks_verified,
            trouble=trouble,
            moves=moves,
            timeline=[
                (second, round(each.p50_ms, 1), round(each.p99_ms, 1), round(each.max_ms, 1))
                for second, each in by_second(load.submissions, (self._marks[0][0], self._marks[-1][0]))
            ],
        )

    def _spans(self, moves: list[Status]) -> dict[str, list[Span]]:
        began, growing, moving, over, ended = (at for at, _ in self._marks)
        return {
            BEFORE: [(began, growing)],
            DURING: [(growing, over)],
            "while shards are added": [(growing, moving)],
            **find_spans(moves, time.time() - time.monotonic()),
            AFTER: [(over, ended)],
        }

    def _cores(self) -> dict[str, dict[str, float]]:
        parts = (BEFORE, "while shards are added", "while buckets are moved", AFTER)
        return {
            name: {role: (spent[role] - earlier.get(role, 0.0)) / max(at - since, 1e-9) for role in spent}
            for name, (since, earlier), (at, spent) in zip(parts, self._marks, self._marks[1:], strict=False)
        }

    def _verify_shards(self) -> tuple[int | None, str]:
        """How many sessions there are, None where something is wrong, and what the command says."""
        answer = ask_shardboard("shards", "verify", "--json", "--data", str(self._cluster.data))
        if answer.returncode:
            return None, f"{answer.stdout.strip()} {answer.stderr.strip()}"
        found = json.loads(answer.stdout)
        return found["sessions"], (
            f"{found['players']:,} players with {found['sessions']:,} sessions, each where it belongs, "
            f"{found['copies']:,} copies left"
        )

    def _verify_ranks(self) -> tuple[str, bool]:
        try:
            return self._cluster.verify_ranks(), True
        except RuntimeError as error:
            return str(error), False


def _by_time(samples: list[Sample], spans: Mapping[str, list[Span]]) -> dict[str, Latencies]:
    return {name: summarize(samples, each) for name, each in spans.items()}
