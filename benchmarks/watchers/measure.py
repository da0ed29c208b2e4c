"""How soon the last of many watchers sees a change, and what each costs."""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

from benchmarks.cluster import Cluster
from benchmarks.cpu import read_cpu_seconds
from benchmarks.watchers.crowd import Crowd

CROWDS = {"1,000": (1_000, 1), "1,000 by 50 selections": (1_000, 50), "5,000": (5_000, 1), "10,000": (10_000, 1)}
"""Name, number of watchers, number of different selections. The larger crowd comes after the smaller one: what a
process took for the one it keeps and uses for the next."""

CHANGE_EVERY_S = 1.0
# Every so many watchers' frames are read as JSON and compared.
_SAMPLE_EVERY = 97
# Above whatever the other measurements leave on the board, so that every change is one of its top.
_LEAD = 2**45
_CHAMPION = "4611686018427387904"
_MUTATION = """mutation ($input: SubmitScoreInput!) { submitScore(input: $input) { standing { rank totalScore } } }"""
_MISSING_S_MAX = 10.0


@dataclass(frozen=True, slots=True)
class Watched:
    """What one crowd saw.

    The times are from the acknowledgement of a submission to its receipt by a watcher, over all watchers and changes.
    `cpu_ms` is the processor time of all API processes for one change, `memory_kb` (of 1,000 bytes) what a watcher adds
    to their resident memory. `missed` counts changes that a watcher did not get, or not as others did.
    """

    watchers: int
    selections: int
    changes: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_ms: float
    memory_kb: float
    missed: int


def measure_watchers(cluster: Cluster, seconds: int) -> Iterator[tuple[str, Watched]]:
    """Let each of `CROWDS` watch `seconds` changes of the board of a service that did nothing yet."""
    before = None
    for name, (count, selections) in CROWDS.items():
        if before is None:
            # What the first watchers set up is not theirs alone.
            _measure_crowd(cluster, 10, 1, 1, 0)
            before = _resident(cluster.pids["api"])
        yield name, _measure_crowd(cluster, count, selections, seconds, before)


def _measure_crowd(cluster: Cluster, count: int, selections: int, seconds: int, before: int) -> Watched:
    address = urlsplit(cluster.graphql_url)
    assert address.hostname is not None
    assert address.port is not None
    endpoint = address.hostname, address.port
    queries = make_queries(selections)
    api = cluster.pids["api"]
    with socket.create_connection(endpoint, timeout=10) as submitting:
        champion = _Champion(submitting, cluster.key)
        champion.lead()
        with Crowd(endpoint, queries, count, cluster.key) as crowd:
            added = _resident(api) - before
            crowd.add(submitting)
            run = _Run(crowd, count, selections)
            run.watch(champion)  # warm
            run.times.clear()
            spent = read_cpu_seconds({"api": api})["api"]
            due = time.perf_counter()
            for _ in range(seconds):
                due += CHANGE_EVERY_S
                run.idle_until(due)
                run.watch(champion)
            run.idle_until(due + CHANGE_EVERY_S / 2)
            spent = read_cpu_seconds({"api": api})["api"] - spent
    times = sorted(run.times)
    return Watched(
        watchers=count,
        selections=selections,
        changes=seconds,
        p50_ms=times[len(times) // 2] * 1000,
        p99_ms=times[len(times) * 99 // 100] * 1000,
        max_ms=times[-1] * 1000,
        cpu_ms=spent / seconds * 1000,
        memory_kb=added / count / 1000,
        missed=run.missed,
    )


def make_queries(selections: int) -> list[str]:
    """So many different ways to watch the top; the first is what a board shows."""
    further = ("username", "rank", "gamesPlayed", "lastPlayed", "percentile")
    subsets = [
        " ".join(chosen) for size in range(len(further), -1, -1) for chosen in itertools.combinations(further, size)
    ]
    ways = [(first, fields) for first in (10, 20) for fields in subsets][:selections]
    return [
        f"subscription {{ topChanged(first: {first}) {{ sequence asOf entries {{ userId totalScore {fields} }} }} }}"
        for first, fields in ways
    ]


class _Champion:
    """The player whose total changes, over a connection of its own."""

    def __init__(self, connection: socket.socket, key: str) -> None:
        self.connection = connection
        self.total = 0
        self._key = key

    def lead(self) -> None:
        """Be first from now on."""
        self.submit(_LEAD)
        self.total = self.acknowledged()["totalScore"]

    def submit(self, score: int = 1) -> None:
        """Send a submission, and do not wait."""
        variables = {"input": {"userId": _CHAMPION, "username": "Champion", "score": score}}
        body = json.dumps({"query": _MUTATION, "variables": variables})
        head = f"POST /graphql HTTP/1.1\r\nhost: here\r\nauthorization: Bearer {self._key}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self.connection.sendall((head + body).encode())
        self.total += score

    def acknowledged(self) -> dict[str, int]:
        """The standing in the answer, which is there or comes now."""
        answer = b""
        while b"\r\n\r\n" not in answer or not answer.endswith(b"}"):
            part = self.connection.recv(65_536)
            if not part:
                raise RuntimeError("the connection that submits was closed")
            answer += part
        standing: dict[str, int] = json.loads(answer.partition(b"\r\n\r\n")[2])["data"]["submitScore"]["standing"]
        return standing


class _Run:
    """The changes that one crowd watches."""

    def __init__(self, crowd: Crowd, count: int, selections: int) -> None:
        self.times: list[float] = []
        self.missed = 0
        self._crowd = crowd
        self._count = count
        self._selections = selections

    def idle_until(self, due: float) -> None:
        """Read what comes between two changes: pings, and nothing else."""
        while (left := due - time.perf_counter()) > 0:
            self._crowd.wait(self._unexpected, left)

    def watch(self, champion: _Champion) -> None:
        """Submit once, and wait until every watcher saw it."""
        champion.submit()
        marker = b'"totalScore":%d' % champion.total
        seen: dict[int, float] = {}
        samples: dict[int, object] = {}

        def on_frame(number: int, payload: bytes, at: float) -> None:
            if marker not in payload or number in seen:
                self.missed += 1
                return
            seen[number] = at
            if number % _SAMPLE_EVERY == 0 or number < self._selections:
                change = json.loads(payload)["payload"]["data"]["topChanged"]
                # When it was read differs from process to process.
                del change["asOf"]
                if samples.setdefault(number % self._selections, change) != change or not _is_first(change, champion):
                    self.missed += 1

        acknowledged = 0.0
        deadline = time.perf_counter() + _MISSING_S_MAX
        while (len(seen) < self._count or not acknowledged) and time.perf_counter() < deadline:
            answered = self._crowd.wait(on_frame, 1.0, champion.connection)
            if answered is not None and not acknowledged:
                acknowledged = answered
                champion.acknowledged()
        self.missed += self._count - len(seen)
        self.times += [max(0.0, at - acknowledged) for at in seen.values()]

    def _unexpected(self, number: int, payload: bytes, at: float) -> None:
        self.missed += 1


def _is_first(change: dict[str, list[dict[str, object]]], champion: _Champion) -> bool:
    best = change["entries"][0]
    return best["userId"] == _CHAMPION and best["totalScore"] == champion.total


def _resident(pids: list[int]) -> int:
    return sum(int(psutil.Process(pid).memory_info().rss) for pid in pids)
