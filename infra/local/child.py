"""One supervised child process: started, watched, started again when it dies, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domain.errors import OperatorError
from infra.local.processes import ProcessRecord, started_at

_POLL_SECONDS = 0.02
_BACKOFF_SECONDS_MIN, _BACKOFF_SECONDS_MAX = 0.1, 5.0
# A child that ran this long before it died is not in a loop of crashes.
_STEADY_SECONDS = 10.0
_LOG_BYTES_MAX = 32 * 1024 * 1024

Announce = Callable[[str], None]


class ChildDied(OperatorError):
    """The child ended, or did not get ready, while it was being started."""


@dataclass(frozen=True)
class ChildSpec:
    """How one child runs.

    `ready` is asked again and again with the pid until it says True. `stop_signals` are sent one after the other,
    each with the seconds the child is given to end; SIGKILL comes last. `start_tries` is how often the first start is
    tried, with growing waits between. `shard` names the shard that the child belongs to, if it belongs to one.
    """

    role: str
    name: str
    command: Sequence[str]
    log: Path
    ready: Callable[[int], Awaitable[bool]]
    stop_signals: Sequence[tuple[signal.Signals, float]]
    ready_seconds_max: float = 30.0
    start_tries: int = 1
    environment: Mapping[str, str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    shard: str | None = None


class Child:
    """A child process and the task that keeps it alive."""

    def __init__(self, spec: ChildSpec, announce: Announce, changed: Callable[[], None]) -> None:
        """Nothing runs yet.

        Args:
            announce: gets a line when the child dies and when it is back.
            changed: called whenever the pid became another one.
        """
        self.spec = spec
        self._announce = announce
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._record: ProcessRecord | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    @property
    def record(self) -> ProcessRecord | None:
        """The running process, None while there is none."""
        return self._record

    @property
    def pid(self) -> int:
        """The pid of the running process.

        Raises:
            OperatorError: there is none now.
        """
        if self._record is None:
            raise OperatorError(f"{self.spec.name} is not running")
        return self._record.pid

    async def start(self) -> None:
        """Start the child, wait until it is ready, and keep it alive from then on.

        Raises:
            ChildDied: it ended or was not ready in time, with the end of its log.
        """
        try:
            await self._spawn_first()
        except BaseException:
            await self._end()
            raise
        self._keeper = asyncio.create_task(self._keep_alive(), name=f"keep {self.spec.name} alive")

    async def stop(self, *, kill: bool = False) -> None:
        """End the child and leave it so, until `start`. `kill` sends SIGKILL at once, as a crash would."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        await self._end(kill=kill)

    def crash(self) -> None:
        """Send SIGKILL; the child is started again as after any crash. `until_ready` waits for that."""
        self._ready.clear()
        os.kill(self.pid, signal.SIGKILL)

    async def until_ready(self) -> None:
        """Wait until the child is ready; give this a deadline with `asyncio.timeout`."""
        await self._ready.wait()

    async def _spawn_first(self) -> None:
        backoff = _BACKOFF_SECONDS_MIN
        for _ in range(1, self.spec.start_tries):
            try:
                return await self._spawn()
            except ChildDied as error:
                await self._end(kill=True)
                self._announce(f"!! {error}; next try in {backoff:.1f} s")
                await asyncio.sleep(backoff)
                backoff *= 2
        return await self._spawn()

    async def _spawn(self) -> None:
        spec = self.spec
        descriptor = _open_log(spec.log)
        try:
            # Its own session: a Ctrl-C in the terminal reaches the supervisor alone, which stops all in order.
            self._process = await asyncio.create_subprocess_exec(
                *spec.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env=spec.environment,
                start_new_session=True,
                **spec.options,
            )
        except OSError as error:
            raise ChildDied(f"{spec.name} cannot be started: {error}") from error
        finally:
            os.close(descriptor)
        pid = self._process.pid
        self._record = ProcessRecord(spec.role, spec.name, pid, started_at(pid))
        self._changed()
        await self._wait_ready(self._process)
        self._ready.set()

    async def _wait_ready(self, process: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(self.spec.ready_seconds_max):
                while process.returncode is None:
                    if await self.spec.ready(process.pid):
                        return
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise ChildDied(f"{self.spec.name} was not ready in time; {_end_of(self.spec.log)}") from None
        raise ChildDied(f"{self.spec.name} {_fate(process.returncode)}; {_end_of(self.spec.log)}")

    async def _keep_alive(self) -> None:
        backoff = _BACKOFF_SECONDS_MIN
        loop = asyncio.get_running_loop()
        while (process := self._process) is not None:
            since = loop.time()
            code = await process.wait()
            pid = process.pid
            self._forget()
            if loop.time() - since >= _STEADY_SECONDS:
                backoff = _BACKOFF_SECONDS_MIN
            self._announce(f"!! {self.spec.name} (pid {pid}) {_fate(code)}; starting it again in {backoff:.1f} s")
            backoff = await self._respawn(backoff)
            self._announce(f"!! {self.spec.name} is back (pid {self.pid})")

    async def _respawn(self, backoff: float) -> float:
        """Try until it runs again; returns the back-off for the next time."""
        while True:
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, _BACKOFF_SECONDS_MAX)
            try:
                await self._spawn()
            except ChildDied as error:
                await self._end(kill=True)
                self._announce(f"!! {error}; next try in {backoff:.1f} s")
            else:
                return backoff

    async def _end(self, *, kill: bool = False) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            for number, seconds in () if kill else self.spec.stop_signals:
                if await _ended_by(process, number, seconds):
                    break
            else:
                await _ended_by(process, signal.SIGKILL, seconds_max=5.0)
        self._forget()

    def _forget(self) -> None:
        self._process = None
        self._record = None
        self._ready.clear()
        self._changed()


async def _ended_by(process: asyncio.subprocess.Process, number: signal.Signals, seconds_max: float) -> bool:
    with suppress(ProcessLookupError):
        process.send_signal(number)
    try:
        async with asyncio.timeout(seconds_max):
            await process.wait()
    except TimeoutError:
        return False
    return True


def _open_log(path: Path) -> int:
    with suppress(FileNotFoundError):
        if path.stat().st_size > _LOG_BYTES_MAX:
            path.replace(path.with_suffix(".old"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _fate(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with code {code}"
    return f"died of {signal.Signals(-code).name}"


def _end_of(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
    if not lines:
        return f"{log} is empty"
    # Servers go on to say that they are down after they said why.
    reasons = [line for line in lines if "FATAL" in line]
    return f"{log} ends: {(reasons or lines)[-1].strip()}"
