"""Keeping one child alive, whatever it is."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from infra.local.child import Child, ChildDied, ChildSpec
from tests.waiting import until


def spec(tmp_path: Path, code: str, *, ready_seconds_max: float = 10.0) -> ChildSpec:
    """A child that runs `code` and is ready when it has made a file of its pid."""

    async def is_ready(pid: int) -> bool:
        return (tmp_path / str(pid)).exists()

    return ChildSpec(
        role="api",
        name="api1",
        command=[sys.executable, "-c", code, str(tmp_path)],
        log=tmp_path / "log",
        ready=is_ready,
        stop_signals=((signal.SIGTERM, 0.2), (signal.SIGINT, 10.0)),
        ready_seconds_max=ready_seconds_max,
    )


READY = "import os, pathlib, signal, sys; made = pathlib.Path(sys.argv[1]); (made / str(os.getpid())).touch()\n"
FOREVER = READY + "signal.pause()"
BREAKABLE = "import pathlib, sys\nif pathlib.Path(sys.argv[1], 'broken').exists(): sys.exit(3)\n" + FOREVER


async def test_a_child_that_never_gets_up_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    child = Child(spec(tmp_path, "print('first', flush=True); raise SystemExit('no such table')"), print, lambda: None)
    with pytest.raises(ChildDied) as died:
        await child.start()
    assert str(died.value) == f"api1 ended with code 1; {tmp_path}/log ends: no such table"
    assert child.record is None


async def test_a_child_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    child = Child(spec(tmp_path, "import signal; signal.pause()", ready_seconds_max=0.3), print, lambda: None)
    with pytest.raises(ChildDied) as died:
        await child.start()
    assert str(died.value) == f"api1 was not ready in time; {tmp_path}/log is empty"
    assert child.record is None


async def test_a_program_that_does_not_exist(tmp_path: Path) -> None:
    missing = replace(spec(tmp_path, FOREVER), command=[str(tmp_path / "missing")])
    with pytest.raises(ChildDied, match=r"^api1 cannot be started: .*missing"):
        await Child(missing, print, lambda: None).start()


async def test_a_first_start_is_tried_as_often_as_wanted(tmp_path: Path) -> None:
    code = "import pathlib, sys\nmark = pathlib.Path(sys.argv[1], 'tried')\n"
    code += "if not mark.exists(): mark.touch(); sys.exit(5)\n"
    lines: list[str] = []
    child = Child(replace(spec(tmp_path, code + FOREVER), start_tries=2), lines.append, lambda: None)
    await child.start()
    await child.stop()
    assert lines == [f"!! api1 ended with code 5; {tmp_path}/log is empty; next try in 0.1 s"]


async def test_back_off_grows_while_it_keeps_dying_and_stop_ends_that(tmp_path: Path) -> None:
    lines: list[str] = []
    child = Child(spec(tmp_path, BREAKABLE), lines.append, lambda: None)
    await child.start()
    first = child.pid
    (tmp_path / "broken").touch()
    child.crash()
    await until(lambda: len(lines) == 4)
    await child.stop()
    log = tmp_path / "log"
    assert lines == [
        f"!! api1 (pid {first}) died of SIGKILL; starting it again in 0.1 s",
        f"!! api1 ended with code 3; {log} is empty; next try in 0.2 s",
        f"!! api1 ended with code 3; {log} is empty; next try in 0.4 s",
        f"!! api1 ended with code 3; {log} is empty; next try in 0.8 s",
    ]
    assert child.record is None


async def test_what_does_not_hear_the_first_signal_gets_the_second(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY
    code = deaf + "try:\n    signal.pause()\nexcept KeyboardInterrupt:\n    print('interrupted')\n"
    child = Child(spec(tmp_path, code), print, lambda: None)
    await child.start()
    await child.stop()
    assert (tmp_path / "log").read_text() == "interrupted\n"


async def test_stop_and_start_again(tmp_path: Path) -> None:
    changes: list[int | None] = []
    child = Child(spec(tmp_path, FOREVER), print, lambda: changes.append(child.record.pid if child.record else None))
    await child.start()
    first = child.pid
    await child.stop(kill=True)
    assert child.record is None
    await child.start()
    second = child.pid
    child.crash()
    async with asyncio.timeout(10):
        await child.until_ready()
    third = child.pid
    await child.stop()
    assert changes == [first, None, second, None, third, None]
