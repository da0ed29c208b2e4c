"""Kills parts at steps of a move: which, when and how is decided by the seed alone."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tests.chaos.clock import now
from tests.chaos.history import Outage
from tests.chaos.service import Service

# What a mover says at each step; the first that fits counts.
_STEPS = (
    ("planned", re.compile(r"^\d+ move\(s\), about")),
    ("copy", re.compile(r"buckets: copying( \(|$)")),
    ("copying", re.compile(r"buckets: copying: ")),
    ("copied", re.compile(r"buckets: the copy is whole")),
    ("comparing", re.compile(r"buckets: comparing all rows")),
    ("switching", re.compile(r"buckets: switched ")),
    ("switched", re.compile(r" owns all of it")),
    ("cleaned", re.compile(r"buckets: cleaned up ")),
    ("paused", re.compile(r"buckets: paused;")),
    ("aborting", re.compile(r"buckets: taking it back")),
    ("looking", re.compile(r"^(looking at|migrating|telling|starting a|stopping the) ")),
)
# The phase that the move under way is in after a step, for the count of what was hit.
_PHASES = {
    "planned": "planned",
    "copy": "copying",
    "copying": "copying",
    "copied": "following",
    "comparing": "following",
    "switching": "following",
    "switched": "switched",
    "cleaned": "switched",
    "aborting": "aborting",
    "looking": "adding or removing",
}
# By phase: after which steps it can be hit, and which of them at most: of groups switched a mover tells once a second,
# and a move takes about as long, so that the delay decides which group is hit.
_HITS: dict[str, Sequence[tuple[str, int]]] = {
    "planned": [("planned", 1)],
    "copying": [("copy", 2), ("copying", 2)],
    "following": [("copied", 2), ("comparing", 2), ("switching", 3), ("switching", 3)],
    "switched": [("all switched", 1), ("cleaned", 2)],
    "aborting": [("aborting", 1)],
    "adding": [("looking", 4)],
    "removing": [("looking", 2)],
}
_OF_MOVES = (
    "mover", "source postgres", "target postgres", "other postgres", "source pgbouncer", "target pgbouncer", "api",
    "valkey", "source stream",
)  # fmt: skip
# While shards come and go nothing moves.
VICTIMS = dict.fromkeys(_HITS, _OF_MOVES) | dict.fromkeys(("adding", "removing"), ("mover", "other postgres"))
_DELAYS_MS = (0, 0, 2, 5, 15, 40, 100, 250)
_AWAY_S = (0.0, 0.0, 0.0, 1.0, 3.0)
# A stream is never killed: it stands still for so long, or a little longer.
_STALL_S = 0.15

_MOVE = re.compile(r"(?:^1|\] \d+): (\S+) → (\S+?),? ")
_PLAN = re.compile(r"^(\d+) move\(s\), about")
_NUMBER = re.compile(r"(?:^|\] )(\d+): ")


@dataclass(frozen=True, slots=True)
class Fault:
    """A kill: of `victim`, `delay_ms` after the `nth` time that a mover said `step`.

    away_s: as in `Service.kill`.
    pick: which one, where there are several such victims.
    """

    step: str
    nth: int
    delay_ms: int
    victim: str
    away_s: float = 0.0
    pick: int = 0

    def __str__(self) -> str:
        away = f" for {self.away_s:g} s" if self.away_s else ""
        return f"{self.victim}{away}, {self.delay_ms} ms after {self.step!r} no. {self.nth}"


def draw_fault(random: Random, phase: str, victim: str) -> Fault:
    """A fault that hits a victim in a phase of a move."""
    step, most = random.choice(_HITS[phase])
    away_s = 0.0 if victim == "mover" else random.choice(_AWAY_S)
    return Fault(step, random.randint(1, most), random.choice(_DELAYS_MS), victim, away_s, random.randrange(64))


class Nemesis:
    """Listens to movers and kills.

    hits: how often each victim was hit in each phase.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._armed: list[Fault] = []
        self._said: Counter[str] = Counter()
        self._ends = ("", "")
        self._phase = "planned"
        self._moves = 0
        self._striking: set[asyncio.Task[None]] = set()
        self.hits: Counter[tuple[str, str]] = Counter()

    def arm(self, faults: Sequence[Fault]) -> None:
        """Take up new faults; earlier ones whose step never came are dropped."""
        for fault in self._armed:
            self._service.say(f"  not reached: {fault}")
        self._armed = list(faults)
        self._said.clear()
        for fault in faults:
            self._service.say(f"  armed: {fault}")

    def hear(self, line: str, mover: asyncio.subprocess.Process) -> None:
        """A line of a mover; strikes where a fault waits for it."""
        if found := _PLAN.search(line):
            self._moves = int(found[1])
        if found := _MOVE.search(line):
            self._ends = (found[1], found[2])
        step = next((name for name, pattern in _STEPS if pattern.search(line)), None)
        if step is None:
            return
        self._phase = _PHASES.get(step, self._phase)
        number = _NUMBER.search(line)
        steps = [step]
        if step == "switched" and number and int(number[1]) == self._moves:
            steps.append("all switched")
        for name in steps:
            self._said[name] += 1
            for fault in [each for each in self._armed if (each.step, each.nth) == (name, self._said[name])]:
                self._armed.remove(fault)
                task = asyncio.create_task(self._strike(fault, mover))
                self._striking.add(task)
                task.add_done_callback(self._striking.discard)

    async def at_rest(self) -> None:
        """Wait until every fault that was set off has struck, and every part is back."""
        await asyncio.gather(*self._striking)
        await self._service.healed()

    async def _strike(self, fault: Fault, mover: asyncio.subprocess.Process) -> None:
        await asyncio.sleep(fault.delay_ms / 1000)
        kind, _, part = fault.victim.rpartition(" ")
        if part == "mover":
            if mover.returncode is not None:
                self._service.say(f"  too late for {fault}")
                return
            mover.kill()
            self._service.history.outages.append(Outage("mover", "mover", now(), now()))
            name, struck = "", True
        else:
            name = self._name_of(kind, part, fault.pick)
            if part == "stream":
                struck = self._service.stall(name, _STALL_S + fault.away_s / 4)
            else:
                struck = self._service.kill(part, name, fault.away_s)
        told = "KILLED" if struck else "not running:"
        self._service.say(f"  {told} {fault.victim} {name} ({self._phase}; {fault})")
        if struck:
            self.hits[self._phase, fault.victim] += 1

    def _name_of(self, kind: str, part: str, pick: int) -> str:
        source, target = self._ends
        if part == "valkey":
            return "valkey"
        if part == "api":
            names = sorted(self._service.api_urls)
        elif kind == "other":
            names = [name for name in self._service.shard_names if name not in self._ends]
        else:
            names = [source if kind == "source" else target]
        return names[pick % len(names)]
