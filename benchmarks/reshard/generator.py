"""The load as a process of its own: `python -m benchmarks.reshard.generator`, driven by benchmarks/reshard/load.py.

It reads an `Order` as a line of JSON from its standard input and sends until that is closed. It writes two lines: that
it has begun, and what it has found; the samples go to a file for each stream.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from benchmarks.reshard.requests import make_head, rank_reads, submissions
from benchmarks.reshard.schedule import Schedule
from benchmarks.reshard.stream import Stream

_TICK_S = 0.001
_DRAIN_S_MAX = 12.0
_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Order:
    """What to send.

    `players` is the file of players, `samples` a directory; `submissions` and `ranks` are requests a second.
    """

    url: str
    key: str | None
    players: str
    samples: str
    submissions: float
    ranks: float
    submission_connections: int
    rank_connections: int


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one stream, beside the samples in the file `samples`."""

    samples: str
    wrong: int
    first_wrong: str


def main() -> None:
    """Do what the order says."""
    order = Order(**json.loads(sys.stdin.readline()))
    uvloop.run(_run(order))


async def _run(order: Order) -> None:
    address = urlsplit(order.url)
    assert address.hostname is not None
    assert address.port is not None
    endpoint, head = (address.hostname, address.port), make_head(order.url, order.key)
    players = Path(order.players).read_bytes().splitlines()  # noqa: ASYNC240 - nothing else runs yet
    # Requests leave no cycles behind, and a look through a million players would hold up what is due.
    gc.disable()
    schedules = [Schedule(time.monotonic() + _LOOK_S, rate) for rate in (order.submissions, order.ranks)]
    streams = {
        "submissions": Stream(endpoint, schedules[0], submissions(head, players), order.submission_connections),
        "ranks": Stream(endpoint, schedules[1], rank_reads(head, players), order.rank_connections),
    }
    for stream in streams.values():
        await stream.open()
    _say({"began_at": time.monotonic()})
    await _send_until_told(list(streams.values()))
    _say({name: asdict(_write(stream, Path(order.samples) / name)) for name, stream in streams.items()})


async def _send_until_told(streams: list[Stream]) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()

    def read() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            told.set()

    def tick() -> None:
        now = time.monotonic()
        for stream in streams:
            stream.send_due(now)
        if not told.is_set():
            loop.call_later(_TICK_S, tick)

    loop.add_reader(0, read)
    tick()
    while not told.is_set():
        await asyncio.sleep(_LOOK_S)
        for stream in streams:
            stream.give_up_late(time.monotonic())
    for stream in streams:
        stream.end(time.monotonic())
    drained_by = time.monotonic() + _DRAIN_S_MAX
    while not all(stream.is_done for stream in streams) and time.monotonic() < drained_by:
        await asyncio.sleep(_LOOK_S)
        for stream in streams:
            stream.send_due(time.monotonic())
            stream.give_up_late(time.monotonic())
    for stream in streams:
        stream.close()


def _write(stream: Stream, path: Path) -> Found:
    with path.open("wb") as file:
        stream.samples.tofile(file)
    return Found(str(path), stream.wrong, stream.first_wrong)


def _say(line: object) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
