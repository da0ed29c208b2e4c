"""A fault run: rounds of the story, with players, readers, a watcher and a nemesis; each round ends with all checks."""

from __future__ import annotations

from random import Random

from tests.chaos.clock import now
from tests.chaos.history import History, Violation
from tests.chaos.players import Game, choose_players
from tests.chaos.report import describe_player, named
from tests.chaos.reshard.end import check_end
from tests.chaos.reshard.nemesis import Nemesis
from tests.chaos.reshard.operator import Operator
from tests.chaos.reshard.owners import OwnersWatch
from tests.chaos.reshard.report import Report, summarize
from tests.chaos.reshard.story import LONG, SHORT, Deck, Story
from tests.chaos.service import Say, Service, running_service
from tests.chaos.traffic import PLAYERS, THINK_S, background, traffic
from tests.chaos.watcher import Watcher


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
        game = Game(service.history, choose_players(random, PLAYERS), service.api_urls, service.key, THINK_S)
        watcher = Watcher(game)
        async with background(owners.watch()), background(watcher.watch()):
            async with traffic(game, random):
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
    for violation in named(found):
        service.say(f"!! {violation}")
        if violation.user_id is not None:
            for line in describe_player(service.history, stored, violation):
                service.say(f"     {line}")
    report.violations += found
    report.hits += nemesis.hits
    report.seconds += seconds
    report.pause_ms_max = max(report.pause_ms_max, operator.pause_ms_max)
    report.measure(service.history)
