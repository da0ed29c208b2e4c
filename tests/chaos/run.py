"""A fault run: rounds of the story, with players, readers, a watcher and a nemesis; each round ends with all checks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from statistics import quantiles
from typing import Any

import psutil

from tests.chaos.check_failures import FOUND_OUT_S
from tests.chaos.clock import now
from tests.chaos.end import check_end
from tests.chaos.history import Answer, Failure, History, Violation
from tests.chaos.nemesis import Nemesis
from tests.chaos.operator import Operator
from tests.chaos.owners import OwnersWatch
from tests.chaos.players import WRITERS, Game, Writer, choose_players
from tests.chaos.readers import READERS, Reader
from tests.chaos.service import Say, Service, running_service
from tests.chaos.stored import Stored
from tests.chaos.story import LONG, SHORT, Deck, Story
from tests.chaos.watcher import Watcher

_PLAYERS = 400
_THINK_S = 0.18
_NAMED_MAX = 10
_LINES_MAX = 30
# Time for what is under way when the writers are told to stop.
_STOP_S_MAX = 90.0


@dataclass
class Report:
    """What a run found.

    hits: how often each victim was killed in each phase of a move.
    waits_ms: how long submissions took, and those alone for which nothing but a mover was away.
    """

    violations: list[Violation] = field(default_factory=list)
    rounds: int = 0
    submissions: int = 0
    attempts: int = 0
    reads: int = 0
    seconds: float = 0.0
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    waits_ms: list[float] = field(default_factory=list)
    calm_waits_ms: list[float] = field(default_factory=list)
    pause_ms_max: float = 0.0


async def run(seed: int, say: Say, *, minutes: float = 0.0, short: bool = False) -> Report:
    """Tell the story until the minutes are over, once at least.

    Args:
        seed: decides who plays, what is killed and when; the machine's own timing stays what it is.
        say: told what happens.
        short: whether commands are hit less.
    """
    began_at = now()

    def say_when(line: str) -> None:
        say(f"[{now():7.2f}] {line}")

    report = Report()
    random = Random(seed)
    say_when(f"seed {seed}")
    async with running_service(say_when) as service:
        deck = Deck(random)
        while True:
            report.rounds += 1
            say_when(f"round {report.rounds}")
            await _run_round(service, random, deck, report, short=short)
            if report.violations or now() - began_at > minutes * 60:
                break
    for line in summarize(report):
        say(line)
    return report


async def _run_round(service: Service, random: Random, deck: Deck, report: Report, *, short: bool) -> None:
    service.history = History()
    began_at = now()
    nemesis, owners = Nemesis(service), OwnersWatch(service)
    operator = Operator(service, nemesis)
    story = Story(service, operator, nemesis, random, deck, SHORT if short else LONG)
    async with service.serving():
        game = Game(service.history, choose_players(random, _PLAYERS), service.api_urls, _THINK_S)
        watcher = Watcher(game)
        async with _background(owners.watch()), _background(watcher.watch()):
            async with _traffic(game, random):
                gone = _processes(service)
                try:
                    await story.tell()
                except TimeoutError as error:
                    service.say(f"!! the story does not come to its end: {error!r}")
                    story.violations.append(Violation("the story ends", repr(error)))
                await nemesis.at_rest()
            nemesis.arm([])
            seconds = now() - began_at
            removed = [process for name in story.removed for process in gone.get(name, [])]
            ended, stored = await check_end(service, operator, watcher, removed)
    found = [*story.violations, *operator.violations, *owners.violations, *ended]
    for violation in found[:_NAMED_MAX]:
        service.say(f"!! {violation}")
        if violation.user_id is not None:
            for line in describe_player(service.history, stored, violation):
                service.say(f"     {line}")
    report.violations += found
    report.hits += nemesis.hits
    report.seconds += seconds
    report.pause_ms_max = max(report.pause_ms_max, operator.pause_ms_max)
    _measure(service.history, report)


@asynccontextmanager
async def _background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        if not isinstance(ended, asyncio.CancelledError):
            raise AssertionError("it ended by itself") from ended


@asynccontextmanager
async def _traffic(game: Game, random: Random) -> AsyncIterator[None]:
    """Writers and readers at work while the block lasts."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(Writer(game, Random(random.random())).play(stop)) for _ in range(WRITERS)]
    tasks += [asyncio.create_task(Reader(game, Random(random.random())).read(stop)) for _ in range(READERS)]
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(_STOP_S_MAX):
            await asyncio.gather(*tasks)


def _processes(service: Service) -> dict[str, list[psutil.Process]]:
    """The servers of each shard."""
    found: dict[str, list[psutil.Process]] = {}
    for child in service.cluster.children:
        if child.spec.shard and child.record:
            found.setdefault(child.spec.shard, []).append(psutil.Process(child.record.pid))
    return found


def describe_player(history: History, stored: Stored, violation: Violation) -> list[str]:
    """What was done for the player of a violation, a line a session in their order, and what is stored."""
    held: dict[object, list[str]] = {}
    for each in sorted(stored.sessions, key=lambda each: each.games_after):
        if each.user_id == violation.user_id:
            held.setdefault(each.id, []).append(f"{each.shard}: total {each.total_after}, game {each.games_after}")
    mine = [each for each in history.submissions.values() if each.user_id == violation.user_id]
    lines: list[str] = []
    concerned: list[int] = []
    for submission in sorted(mine, key=lambda each: each.began_at):
        if str(submission.id) in violation.what:
            concerned.append(len(lines))
        told = "; ".join(
            f"{each.api} {each.began_at:.3f}-{each.ended_at:.3f} {_brief(each.outcome)}" for each in submission.attempts
        )
        lines.append(f"{submission.id} {submission.score:+d} stored {held.get(submission.id)}: {told}")
    standings = [str(standing) for standing in stored.standings if standing.user_id == violation.user_id]
    first, last = (concerned[0] - 5, concerned[-1] + 5) if concerned else (len(lines) - _LINES_MAX, len(lines))
    around = lines[max(first, 0) : last]
    return [f"player {violation.user_id}, {len(lines)} sessions:", *around, *standings]


def _brief(outcome: Answer | Failure | None) -> str:
    if isinstance(outcome, Answer):
        return f"{outcome.total}/{outcome.games} #{outcome.rank}{' again' * outcome.duplicate}"
    return str(outcome and outcome.code)


def _measure(history: History, report: Report) -> None:
    report.submissions += len(history.submissions)
    report.reads += len(history.reads) + len(history.history_reads)
    for _, attempt in history.attempts():
        report.attempts += 1
        if attempt.answer is None:
            report.failures[getattr(attempt.outcome, "code", "nothing")] += 1
    for submission in history.submissions.values():
        wait_ms = (submission.acknowledged_at - submission.began_at) * 1000
        if wait_ms < float("inf"):
            report.waits_ms.append(wait_ms)
            since = submission.began_at - FOUND_OUT_S
            if not history.outages_in(since, submission.acknowledged_at, "postgres", "pgbouncer", "valkey", "api"):
                report.calm_waits_ms.append(wait_ms)


def summarize(report: Report) -> list[str]:
    """A report in lines."""
    lines = [
        f"{report.rounds} round(s), {report.submissions:,} submissions in {report.attempts:,} attempts "
        f"({report.attempts / max(report.seconds, 1):,.0f}/s), {report.reads:,} reads; "
        f"attempts that failed: {dict(report.failures)}",
        f"until acknowledged, retries included: {_spread(report.waits_ms)}",
        f"the same while no part but a mover was away: {_spread(report.calm_waits_ms)}",
        f"longest pause of a bucket, as its mover noted it: {report.pause_ms_max:.0f} ms",
        "kills by phase: "
        + "; ".join(
            f"{phase}: {', '.join(f'{victim} {n}' for (p, victim), n in sorted(report.hits.items()) if p == phase)}"
            for phase in dict.fromkeys(phase for phase, _ in report.hits)
        ),
    ]
    promises = Counter(violation.promise for violation in report.violations)
    return [*lines, f"violations: {dict(promises) or 'none'}"]


def _spread(waits_ms: list[float]) -> str:
    if len(waits_ms) < 2:
        return "nothing"
    cuts = quantiles(waits_ms, n=1000)
    return f"p50 {cuts[499]:.0f} ms, p99 {cuts[989]:.0f} ms, p99.9 {cuts[998]:.0f} ms, max {max(waits_ms):.0f} ms"
