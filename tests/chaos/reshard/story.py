"""What operators do meanwhile: more shards come, and as many go again, with every turn that a plan can take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import psutil

from sharding.placement import BUCKET_COUNT
from tests.chaos.history import Violation
from tests.chaos.reshard.nemesis import VICTIMS, Fault, Nemesis, draw_fault
from tests.chaos.reshard.operator import Operator
from tests.chaos.service import AWAY, SHARDS, Service
from tests.db.shards import connected
from tests.waiting import until

_FROZEN = "select count(*) from bucket_owner where state = 'frozen' and frozen_until > clock_timestamp()"
_SECONDS_MAX = 300.0
_BY = ("buckets", "players", "bytes")


# What each command is hit with: a phase and a victim; None is the next one of the deck.
_Hits = Mapping[str, Sequence[tuple[str, str | None]]]
SHORT: _Hits = {
    "abort": [("aborting", "mover")],
    "rebalance": [("following", "target postgres")],
    "move": [("copying", "source postgres")],
    "drain with a pause": [
        ("copying", "target pgbouncer"),
        ("following", "mover"),
        ("following", "source stream"),
        ("following", "api"),
        ("switched", "valkey"),
    ],
}
LONG: _Hits = {
    "add": [("adding", None)],
    "abort": [("aborting", None), ("copying", None), ("following", None)],
    "rebalance": [("planned", None), ("copying", None), ("following", None), ("following", None), ("switched", None)],
    "move": [("planned", None), ("copying", None), ("following", None), ("switched", None)],
    "drain with a pause": [("copying", None), ("following", None), ("following", None), ("switched", None)],
    "drain": [("planned", None), ("copying", None), ("following", None), ("following", None), ("switched", None)],
    "remove": [("removing", None)],
}


class Deck:
    """Faults to come: every victim in every phase once, shuffled, then all over again."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._left: dict[str, list[str]] = {}

    def draw(self, hits: Sequence[tuple[str, str | None]]) -> list[Fault]:
        """The faults of a command."""
        return [draw_fault(self._random, phase, victim or self._next(phase)) for phase, victim in hits]

    def _next(self, phase: str) -> str:
        left = self._left.setdefault(phase, [])
        if not left:
            left += self._random.sample(VICTIMS[phase], len(VICTIMS[phase]))
        return left.pop()


class _Cue:
    """Listens to a mover: `due` once it said so many lines of moves, `paused` once it rests."""

    def __init__(self, lines: int) -> None:
        self._left = lines
        self.due = asyncio.Event()
        self.paused = asyncio.Event()

    def __call__(self, line: str) -> None:
        self._left -= " buckets: " in line
        if self._left <= 0:
            self.due.set()
        if "buckets: paused;" in line:
            self.paused.set()


class Story:
    """One round. It leaves as many shards as it found.

    Args:
        hits: what each command is hit with; a drain that is not named is left out, and so is the shard that it removes.

    removed: the processes of the shards that were removed.
    violations: what went wrong that no client saw.
    """

    def __init__(
        self, service: Service, operator: Operator, nemesis: Nemesis, random: Random, deck: Deck, hits: _Hits
    ) -> None:
        self._service = service
        self._operator = operator
        self._nemesis = nemesis
        self._random = random
        self._deck = deck
        self._hits = hits
        self.removed: list[psutil.Process] = []
        self.violations: list[Violation] = []

    async def tell(self) -> None:
        """Live through it.

        Raises:
            TimeoutError: something does not come to its end.
        """
        used = self._service.names_used
        used |= set(self._service.shard_names)
        added = sum(command.startswith("drain") for command in self._hits)
        for name in [f"shard{number}" for number in range(1, 1_000) if f"shard{number}" not in used][:added]:
            used.add(name)
            self._arm("add")
            await self._operator.surely("shards", "add", name, "--local")
        await self._nemesis.at_rest()
        await self._rebalance_and_abort()
        await self._move_and_revert()
        await self._drain_with_a_pause()
        if "drain" in self._hits:
            await self._drain()
        if len(self._service.shard_names) != SHARDS:
            self.violations.append(Violation("story", f"there are {self._service.shard_names} in the end"))

    async def _rebalance_and_abort(self) -> None:
        """Taken back in the middle, wherever that is. What was switched stays where it is; the rest follows then."""
        self._arm("abort")
        cue = self._cue()
        async with self._under_way(self._operator.run("shards", "rebalance", on_line=cue)) as moving:
            await _either(cue.due.wait(), moving)
            while any(move.phase != "switched" for move in await self._operator.unended()):
                await self._operator.run("shards", "abort")
        await self._operator.carry_out("shards", "clean-up", again=True)
        await self._nemesis.at_rest()
        self._arm("rebalance")
        await self._operator.carry_out("shards", "rebalance", "--by", self._random.choice(_BY), again=True)
        await self._nemesis.at_rest()

    async def _move_and_revert(self) -> None:
        self._arm("move")
        first = self._random.randrange(BUCKET_COUNT - 700)
        target = self._random.choice(self._service.shard_names)
        buckets = [str(bucket) for bucket in await self._not_owned(target) if first <= bucket < first + 600]
        await self._operator.carry_out("shards", "move", ",".join(buckets), "--to", target, again=False)
        await self._operator.carry_out("shards", "revert", "--keep-copies", again=False)
        await self._operator.carry_out("shards", "clean-up", again=True)
        await self._nemesis.at_rest()

    async def _drain_with_a_pause(self) -> None:
        name = self._random.choice(self._service.shard_names)
        self._arm("drain with a pause")
        cue = self._cue()
        draining = self._operator.carry_out("shards", "drain", name, again=True, on_line=cue)
        async with self._under_way(draining) as moving:
            await _either(cue.due.wait(), moving)
            if await self._operator.unended():
                await self._operator.run("shards", "pause")
                await _either(cue.paused.wait(), moving)
                await self._thawed()
                while not moving.done() and any(move.wish == "pause" for move in await self._operator.unended()):
                    await self._operator.run("shards", "resume")
        await self._remove(name)

    async def _drain(self) -> None:
        name = self._random.choice(self._service.shard_names)
        self._arm("drain")
        await self._operator.carry_out("shards", "drain", name, again=True)
        await self._remove(name)

    async def _remove(self, name: str) -> None:
        await self._nemesis.at_rest()
        self.removed += self._service.processes_of(name)
        self._arm("remove")
        await self._operator.surely("shards", "remove", name, "--local")
        await until(lambda: not (self._service.cluster.data / name).exists())
        await self._nemesis.at_rest()

    def _cue(self) -> _Cue:
        # A command takes a second or two to reach the mover, which is a few moves further by then.
        return _Cue(self._random.randint(1, 6))

    @asynccontextmanager
    async def _under_way(self, work: Coroutine[Any, Any, Any]) -> AsyncIterator[asyncio.Task[Any]]:
        """Let a command run beside the block, and end it with it at the latest.

        Raises:
            TimeoutError: it does not end.
        """
        task = asyncio.create_task(work)
        try:
            async with asyncio.timeout(_SECONDS_MAX):
                yield task
                await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _arm(self, turn: str) -> None:
        self._nemesis.arm(self._deck.draw(self._hits.get(turn, ())))

    async def _thawed(self) -> None:
        """See that no bucket stays frozen while nothing moves; a mover that was killed leaves some for a blink."""

        async def nothing_is_frozen() -> bool:
            try:
                return not sum([await self._fetch(name, _FROZEN) for name in self._service.shard_names])
            except AWAY:
                return False

        await until(nothing_is_frozen)

    async def _fetch(self, name: str, statement: str) -> int:
        async with connected(self._service.direct_urls[name]) as connection:
            return int(await connection.fetchval(statement))

    async def _not_owned(self, target: str) -> list[int]:
        async with connected(self._service.direct_urls[target]) as connection:
            owned = {bucket for (bucket,) in await connection.fetch("select bucket from bucket_owner")}
        return [bucket for bucket in range(BUCKET_COUNT) if bucket not in owned]


async def _either(waiting: Coroutine[Any, Any, Any], task: asyncio.Task[Any]) -> None:
    """Wait for what may never come, or for the end of a task without which it does not."""
    waited = asyncio.ensure_future(waiting)
    try:
        await asyncio.wait([waited, task], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waited.cancel()
