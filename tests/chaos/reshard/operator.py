"""An operator at the command line, who gives a command again until what was begun has ended."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from tests.chaos.clock import now
from tests.chaos.history import Violation
from tests.chaos.reshard.nemesis import Nemesis
from tests.chaos.service import AWAY, Service
from tests.db.shards import connected

_CODE = Path(__file__).parents[3]
# After a part was away, or a mover killed, a command may be refused for so long.
_EXCUSED_S = 10.0
_AGAIN_REST_S = 0.3
# What a command says to one who is late: the moves went on while it was on its way to them.
_TOO_LATE = ("No move is under way", "Every bucket of the plan has been switched")
# What it says where only taking the move back helps.
_STUCK = ("is refused", "cannot go on", "cannot be switched")
KILLED = -9
_PATIENCE_S = 300.0
_UNENDED = """
    select ordinal + 1 as number, phase, wish, keep_copies
    from bucket_moves
    where phase not in ('done', 'aborted')
    order by planned_at, ordinal
"""
_PAUSE = "select max(pause_ms_max) from bucket_moves"

OnLine = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command said, and its exit code: −9 where it was killed."""

    code: int
    lines: list[str]

    @property
    def last(self) -> str:
        """Its last words."""
        return next((line for line in reversed(self.lines) if line), "nothing")


@dataclass(frozen=True, slots=True)
class Unended:
    """A move that has not ended, as its source keeps it."""

    number: int
    phase: str
    wish: str
    keep_copies: bool

    @property
    def waits_for_clean_up(self) -> bool:
        """Whether all that is left of it is what `shards clean-up` deletes."""
        return self.phase == "switched" and (self.keep_copies or self.wish == "abort")


class Operator:
    """Runs commands; every line that they say is told to the nemesis.

    violations: commands that failed without a part being away or a mover killed.
    pause_ms_max: the longest pause that a move was recorded with so far.
    """

    def __init__(self, service: Service, nemesis: Nemesis) -> None:
        self._service = service
        self._nemesis = nemesis
        self.violations: list[Violation] = []
        self.pause_ms_max = 0.0

    async def run(self, *arguments: str, on_line: OnLine = lambda line: None) -> Finished:
        """Run `shardboard` with these arguments to its end, whatever that is."""
        self._service.say(f"$ shardboard {' '.join(arguments):.100}")
        began_at = now()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app.cli.main", *arguments, "--data", str(self._service.cluster.data)),
            cwd=_CODE,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdout is not None
        lines: list[str] = []
        try:
            async for raw in process.stdout:
                line = raw.decode().rstrip()
                lines.append(line)
                self._nemesis.hear(line, process)
                on_line(line)
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        finished = Finished(code, lines)
        self._service.say(f"  → {code} after {now() - began_at:.1f} s: {finished.last}")
        if code > 0:
            self._judge(arguments, finished)
        return finished

    async def carry_out(self, *command: str, again: bool, on_line: OnLine = lambda line: None) -> None:
        """Give a command that moves buckets, and go on with it until every move has ended.

        Args:
            again: whether to give it anew after its moves were resumed: it finds what is left to do, or nothing.

        Raises:
            TimeoutError: the moves do not end.
        """
        arguments: tuple[str, ...] = command
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                finished = await self.run(*arguments, on_line=on_line)
                # Not all of the plan may have been written down before its mover was killed.
                cut_short = arguments != command or finished.code == KILLED
                if any(words in finished.last for words in _STUCK):
                    # Nothing is lost, but no crash may lead to this.
                    self.violations.append(Violation("moves go on", finished.last))
                    arguments = ("shards", "abort")
                elif any(not move.waits_for_clean_up for move in await self.unended()):
                    arguments = ("shards", "resume")
                elif (cut_short and not again) or (not cut_short and finished.code == 0):
                    return
                else:
                    arguments = command
                if finished.code:
                    await asyncio.sleep(_AGAIN_REST_S)

    async def surely(self, *command: str) -> None:
        """Give a command until it succeeds; it may be given twice.

        Raises:
            TimeoutError: it does not.
        """
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                finished = await self.run(*command)
                if finished.code == 0:
                    return
                await asyncio.sleep(_AGAIN_REST_S)

    async def unended(self) -> list[Unended]:
        """Moves that have not ended, of all shards; waits for shards that are away."""
        found: list[Unended] = []
        for shard in list(self._service.cluster.shards):
            rows, pause_ms = await self._ask(shard.direct_url)
            found += [Unended(*row) for row in rows]
            self.pause_ms_max = max(self.pause_ms_max, pause_ms or 0.0)
        return found

    async def _ask(self, url: str) -> tuple[list[asyncpg.Record], float | None]:
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                try:
                    async with connected(url) as connection:
                        return await connection.fetch(_UNENDED), await connection.fetchval(_PAUSE)
                except AWAY:
                    await asyncio.sleep(_AGAIN_REST_S)

    def _judge(self, arguments: tuple[str, ...], finished: Finished) -> None:
        at = now()
        roles = ("mover", "postgres", "pgbouncer", "valkey")
        too_late = any(words in finished.last for words in _TOO_LATE)
        if not too_late and not self._service.history.outages_in(at - _EXCUSED_S, at, *roles):
            what = f"`shardboard {' '.join(arguments)}` ended with {finished.code}: {finished.last}"
            self.violations.append(Violation("commands work", what))
