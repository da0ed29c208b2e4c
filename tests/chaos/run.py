"""A fault run: rounds of the story, with players, readers, a watcher and a nemesis; each round ends with all checks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from tests.chaos.clock import now
from tests.chaos.end import check_end
from tests.chaos.history import History, Violation
from tests.chaos.nemesis import Nemesis
from tests.chaos.operator import Operator
from tests.chaos.owners import OwnersWatch
from tests.chaos.players import WRITERS, Game, Writer, choose_players
from tests.chaos.readers import READERS, Reader
from tests.chaos.report import Report, describe_player, summarize
from tests.chaos.service import Say, Service, running_service
from tests.chaos.story import LONG, SHORT, Deck, Story
from tests.chaos.watcher import Watcher

_PLAYERS = 400
_THINK_S = 0.18
_NAMED_MAX = 10
# Time for what is under way when the writers are told to stop.
_STOP_S_MAX = 90.0


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
                try:
                    await story.tell()
                except TimeoutError as error:
                    service.say(f"!! the story does not come to its end: {error!r}")
                    story.violations.append(Violation("the story ends", repr(error)))
                await nemesis.at_rest()
            nemesis.arm([])
            seconds = now() - began_at
            ended, stored = await check_end(service, operator, watcher, story.removed)
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
    report.measure(service.history)


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
