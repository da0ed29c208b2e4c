"""A mover in a process of its own, as an operator has it in a terminal."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from infra.local.cluster import LocalCluster

_CODE = Path(__file__).parents[2]
_SECONDS_MAX = 60.0


class Terminal:
    """A running command and what it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._out = asyncio.create_task(process.stdout.read())  # type: ignore[union-attr]

    async def until_says(self, part: str) -> str:
        """The next line to stderr that has `part` in it."""
        async with asyncio.timeout(_SECONDS_MAX):
            while line := await self.process.stderr.readline():  # type: ignore[union-attr]
                self.lines.append(line.decode().rstrip())
                if part in self.lines[-1]:
                    return self.lines[-1]
        raise AssertionError(f"it ended without saying {part!r}; it said {self.lines}")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it."""
        self.process.send_signal(number)

    async def ended(self) -> tuple[int, str]:
        """Its exit code and what it wrote to stdout, once it has ended."""
        async with asyncio.timeout(_SECONDS_MAX):
            while line := await self.process.stderr.readline():  # type: ignore[union-attr]
                self.lines.append(line.decode().rstrip())
            code = await self.process.wait()
            return code, (await self._out).decode()


@asynccontextmanager
async def terminal(cluster: LocalCluster, *arguments: object) -> AsyncIterator[Terminal]:
    """`shardboard` with these arguments on the cluster; killed at the end of the block if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli.main", *map(str, arguments), "--data", str(cluster.data)),
        cwd=_CODE,
        env=os.environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    running = Terminal(process)
    try:
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await running.ended()
