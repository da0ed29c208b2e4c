"""An API process that can be looked into and whose wall clock can be moved: `python -m tests.chaos.faults.api <file>`.

On SIGUSR1 it writes how many tasks it has to `<file>.tasks`; on SIGUSR2 it reads from `<file>.clock` by how many
seconds its wall clock goes ahead. All else is `shardboard serve`.
"""

from __future__ import annotations

import asyncio
import datetime as datetime_module
import inspect
import signal
import sys
import time
from pathlib import Path
from types import FrameType

# Loaded before the clock is installed, or it would not know of what `serve` imports.
from app.cli.main import main

TASKS, CLOCK = ".tasks", ".clock"
_PACKAGES = ("app", "graph", "rest", "wire", "service", "ranking", "sharding", "db", "domain")


class MovedClock:
    """The wall clock of this process; monotonic clocks go on as they are."""

    ahead_s = 0.0

    def install(self) -> None:
        """Be what every module of the service asks for the time."""
        real_time, real_time_ns, real = time.time, time.time_ns, datetime_module.datetime
        clock = self
        time.time = lambda: real_time() + clock.ahead_s
        time.time_ns = lambda: real_time_ns() + int(clock.ahead_s * 1_000_000_000)

        class Moved(real):  # type: ignore[misc,valid-type]
            @classmethod
            def now(cls, tz: datetime_module.tzinfo | None = None) -> datetime_module.datetime:
                return real.now(tz) + datetime_module.timedelta(seconds=clock.ahead_s)

        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] in _PACKAGES and "datetime.now(" in inspect.getsource(module):
                module.datetime = Moved  # type: ignore[attr-defined]


def serve(control: Path) -> None:
    """Serve until told to stop."""
    clock = MovedClock()
    clock.install()

    def count(_: int, __: FrameType | None) -> None:
        tasks = len(asyncio.all_tasks(asyncio.get_running_loop()))
        written = control.with_suffix(".new")
        written.write_text(str(tasks))
        written.rename(control.with_suffix(TASKS))

    def move(_: int, __: FrameType | None) -> None:
        clock.ahead_s = float(control.with_suffix(CLOCK).read_text())

    signal.signal(signal.SIGUSR1, count)
    signal.signal(signal.SIGUSR2, move)
    sys.argv = ["shardboard", "serve"]
    main()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
