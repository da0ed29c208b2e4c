"""The fault run: clients of every sort, faults drawn from a seed, mending, and all checks."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

from tests.chaos.clock import now
from tests.chaos.faults.end import check_end
from tests.chaos.faults.kinds import KINDS
from tests.chaos.faults.nemesis import Deck, Nemesis
from tests.chaos.faults.others import check_others, compare_others
from tests.chaos.faults.report import Report, summarize
from tests.chaos.faults.service import faulty_service
from tests.chaos.faults.usage import check_usage, measure_usage
from tests.chaos.players import Game, choose_players
from tests.chaos.report import describe_player, named
from tests.chaos.service import Say
from tests.chaos.traffic import PLAYERS, THINK_S, background, traffic
from tests.chaos.watcher import Watcher

_WATCHERS = 4

_WARM_S = 15.0
_SECONDS = (1.0, 7.0)
_REST_S = 5.0
# How often two faults come at once.
_TWICE_SHARE = 0.25

_SHORT_WARM_S = 4.0
_SHORT_SECONDS = (0.9, 1.3)
_SHORT_REST_S = 0.1


async def run(seed: int, say: Say, *, minutes: float = 5.0, short: bool = False, logs: Path | None = None) -> Report:
    """Let faults happen for some minutes, mend everything, and check.

    Args:
        seed: decides who plays, what is done to what, for how long; the machine's own timing stays what it is.
        say: told what happens.
        short: every kind of fault once and as soon as can be, several at once, instead of one after the other.
        logs: where the logs of all parts are kept, if anywhere.
    """

    def say_when(line: str) -> None:
        say(f"[{now():7.2f}] {line}")

    report = Report()
    random = Random(seed)
    say_when(f"seed {seed}")
    async with faulty_service(say_when, random, logs) as service:
        kinds = list(KINDS)
        if service.disk is None:
            kinds.remove("a full disk")
            report.impossible["a full disk"] = "a small file system cannot be mounted"
        async with service.serving():
            game = Game(service.history, choose_players(random, PLAYERS), service.api_urls, service.key, THINK_S)
            async with traffic(game, random):
                await asyncio.sleep(_SHORT_WARM_S if short else _WARM_S)
            report.usages.append(await measure_usage(service))
            nemesis = Nemesis(service)
            names = (service.shard_names, sorted(service.api_urls))
            deck = Deck(random, kinds, *names, _SHORT_SECONDS if short else _SECONDS)
            watchers = [Watcher(game, ("stream", "socket")[n % 2], n) for n in range(_WATCHERS)]
            began_at = now()
            async with AsyncExitStack() as watching:
                for watcher in watchers:
                    await watching.enter_async_context(background(watcher.watch()))
                async with traffic(game, random):
                    if short:
                        await asyncio.gather(*(nemesis.strike_all(lane, _SHORT_REST_S) for lane in deck.lanes()))
                    else:
                        await _strike(nemesis, deck, random, began_at + minutes * 60)
                    say_when("everything is mended")
                report.seconds = now() - began_at
                violations, stored = await check_end(service, watchers)
            report.usages.append(await measure_usage(service))
    report.violations += [*nemesis.violations, *violations, *check_usage(*report.usages)]
    report.struck = nemesis.struck
    report.rows = compare_others(service.history, [(str(fault), outage) for fault, outage in nemesis.told])
    if not short:
        report.violations += check_others(report.rows)
    report.measure(service.history)
    for violation in named(report.violations):
        say(f"!! {violation}")
        if violation.user_id is not None:
            for line in describe_player(service.history, stored, violation):
                say(f"     {line}")
    for line in summarize(report):
        say(line)
    return report


async def _strike(nemesis: Nemesis, deck: Deck, random: Random, end_at: float) -> None:
    """Fault after fault, now and then two at once, until the time is over."""
    await asyncio.sleep(_REST_S)
    while now() < end_at:
        faults = [deck.draw()]
        if random.random() < _TWICE_SHARE:
            other = deck.draw()
            if KINDS[other.kind].role != KINDS[faults[0].kind].role and other.part != faults[0].part:
                faults.append(other)
            else:
                await nemesis.strike(other)
                await asyncio.sleep(_REST_S)
        await asyncio.gather(*map(nemesis.strike, faults))
        await asyncio.sleep(_REST_S)
