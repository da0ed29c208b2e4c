"""Draws faults from a seed and strikes: three lanes side by side, or one fault after the other."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from random import Random

from tests.chaos.clock import now
from tests.chaos.faults.kinds import KINDS, Fault, parts_of
from tests.chaos.faults.service import FaultyService
from tests.chaos.history import Outage, Violation

_LANES = {"api": "api", "clock": "api", "valkey": "valkey"}


class Deck:
    """Faults to come: every kind once, shuffled, then all over again.

    Args:
        kinds: of these.
        seconds: for how long each lasts, at least and at most.
    """

    def __init__(
        self, random: Random, kinds: Iterable[str], shards: Sequence[str], apis: Sequence[str],
        seconds: tuple[float, float],
    ) -> None:  # fmt: skip
        self._random = random
        self._kinds = list(kinds)
        self._shards, self._apis = shards, apis
        self._seconds = seconds
        self._left: list[str] = []

    def draw(self) -> Fault:
        """The next one."""
        if not self._left:
            self._left = self._random.sample(self._kinds, len(self._kinds))
        kind = self._left.pop()
        part = self._random.choice(parts_of(kind, self._shards, self._apis))
        return Fault(kind, part, self._random.uniform(*self._seconds), self._random.randrange(64))

    def lanes(self) -> list[list[Fault]]:
        """Every kind once, apart by what they hit, so that those of one lane never meet in one part."""
        lanes: dict[str, list[Fault]] = {}
        for _ in range(len(self._kinds)):
            fault = self.draw()
            lanes.setdefault(_LANES.get(KINDS[fault.kind].role, "shard"), []).append(fault)
        return list(lanes.values())


class Nemesis:
    """Strikes.

    struck: how often which kind was.
    told: every fault with the times when it began and was over.
    violations: parts that did not come back.
    """

    def __init__(self, service: FaultyService) -> None:
        self._service = service
        self.struck: Counter[str] = Counter()
        self.told: list[tuple[Fault, Outage]] = []
        self.violations: list[Violation] = []

    async def strike_all(self, faults: Sequence[Fault], rest_s: float) -> None:
        """One after the other, each when the one before it is mended."""
        for fault in faults:
            await self.strike(fault)
            await asyncio.sleep(rest_s)

    async def strike(self, fault: Fault) -> None:
        """Let a fault happen and wait until the part works again."""
        kind = KINDS[fault.kind]
        name = "valkey" if kind.role == "valkey" else fault.part
        outage = Outage(kind.role, name, now(), kind=kind.outage_kind, is_harmless=kind.is_harmless)
        self._service.history.outages.append(outage)
        self.told.append((fault, outage))
        self._service.say(f"  {fault}")
        async with kind.strike(self._service, fault):
            self.struck[fault.kind] += 1
            if not kind.is_at_once:
                await asyncio.sleep(fault.seconds)
            if kind.is_dark:
                self._service.history.dark.append((outage.began_at, now()))
        try:
            await self._service.until_works(kind.role, fault.part)
        except TimeoutError:
            self.violations.append(Violation("heals", f"after {fault} the part does not work again"))
        outage.ended_at = now()
        self._service.say(f"  {fault}: over after {outage.ended_at - outage.began_at:.1f} s")
