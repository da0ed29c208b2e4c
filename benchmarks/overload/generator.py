"""The load as a process of its own: `python -m benchmarks.overload.generator`, driven by `measure` beside it.

It reads an `Order` as a line of JSON, finds out what the service can do, asks for half of that, for three times that,
and for half again, and writes a line of JSON: a `Phase` for each.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from benchmarks.overload.stream import SheddingStream
from benchmarks.reshard.latencies import percentile
from benchmarks.reshard.requests import MakeRequest, make_head, submissions
from benchmarks.reshard.schedule import Schedule

# As many as the other measurements keep busy.
CAPACITY_CONNECTIONS = 64
# What is due finds a free one, unless answers take long: 3,000 of them sustain 10,000 requests a second of 0.3 s each.
CONNECTIONS = 3_000
_TICK_S = 0.001
_LOOK_S = 0.2
_DRAIN_S_MAX = 12.0
_EVER = 1e7


@dataclass(frozen=True, slots=True)
class Order:
    """What to send: `players` is the file of players, `times` how much more than the service can do."""

    url: str
    key: str | None
    players: str
    seconds: float
    times: float


@dataclass(frozen=True, slots=True)
class Phase:
    """What was found while so many requests a second fell due; times in ms from when they were due."""

    per_second: float
    seconds: float
    accepted: int
    shed: int
    wrong: int
    blunt: int
    first_wrong: str
    p50_ms: float
    p99_ms: float
    shed_p50_ms: float
    shed_p99_ms: float
    late_p99_ms: float

    @property
    def accepted_per_second(self) -> float:
        """Answers a second that were what was asked for."""
        return self.accepted / self.seconds


def main() -> None:
    """Do what the order says."""
    order = Order(**json.loads(sys.stdin.readline()))
    uvloop.run(_run(order))


async def _run(order: Order) -> None:
    address = urlsplit(order.url)
    assert address.hostname is not None
    assert address.port is not None
    players = Path(order.players).read_bytes().splitlines()  # noqa: ASYNC240 - nothing else runs yet
    make = submissions(make_head(order.url, order.key), players)
    load = _Load((address.hostname, address.port), make, order.seconds)
    gc.disable()
    await load.run(_EVER, CAPACITY_CONNECTIONS)
    capacity = await load.run(_EVER, CAPACITY_CONNECTIONS)
    rate = capacity.accepted_per_second
    phases = {
        "capacity": capacity,
        "before": await load.run(rate / 2, CONNECTIONS),
        "overload": await load.run(rate * order.times, CONNECTIONS),
        "after": await load.run(rate / 2, CONNECTIONS),
        "later": await load.run(rate / 2, CONNECTIONS),
    }
    print(json.dumps({name: asdict(phase) for name, phase in phases.items()}), flush=True)


class _Load:
    def __init__(self, address: tuple[str, int], make: MakeRequest, seconds: float) -> None:
        self._address = address
        self._make: Callable[[], bytes] = make
        self._seconds = seconds

    async def run(self, per_second: float, connections: int) -> Phase:
        """Let so many requests a second fall due; all of them are answered before this returns."""
        stream = SheddingStream(self._address, Schedule(math.inf, per_second), self._make, connections)
        await stream.open()
        began_at = time.monotonic()
        stream.begin(Schedule(began_at, per_second))
        await self._send(stream, began_at + self._seconds, closed=per_second == _EVER)
        phase = _sum_up(stream, per_second, self._seconds)
        gc.collect()
        return phase

    async def _send(self, stream: SheddingStream, until: float, *, closed: bool) -> None:
        loop = asyncio.get_running_loop()
        sending = True

        def tick() -> None:
            stream.send_due(time.monotonic())
            if sending:
                loop.call_later(_TICK_S, tick)

        tick()
        while (now := time.monotonic()) < until:
            await asyncio.sleep(min(_LOOK_S, until - now))
            stream.give_up_late(time.monotonic())
        if closed:
            stream.end_closed()
        else:
            stream.end(time.monotonic())
        drained_by = time.monotonic() + _DRAIN_S_MAX
        while not stream.is_done and time.monotonic() < drained_by:
            await asyncio.sleep(_TICK_S)
            stream.give_up_late(time.monotonic())
        sending = False
        stream.close()


def _sum_up(stream: SheddingStream, per_second: float, seconds: float) -> Phase:
    count = stream.count()
    closed = per_second == _EVER
    begins = 1 if closed else 0

    def times(samples: list[float]) -> list[float]:
        found = (answered_at - at for at, answered_at in zip(samples[begins::3], samples[2::3], strict=True))
        return sorted(1000 * found_s for found_s in found if found_s != math.inf)

    samples, shed = stream.samples.tolist(), stream.shed.tolist()
    accepted, refused = times(samples), times(shed)
    both = samples + shed
    late = sorted(1000 * (sent_at - due_at) for due_at, sent_at in zip(both[::3], both[1::3], strict=True))
    return Phase(
        per_second=count.accepted / seconds if closed else per_second,
        seconds=seconds,
        accepted=count.accepted,
        shed=count.shed,
        wrong=count.wrong,
        blunt=count.blunt,
        first_wrong=stream.first_wrong,
        p50_ms=percentile(accepted, 50),
        p99_ms=percentile(accepted, 99),
        shed_p50_ms=percentile(refused, 50),
        shed_p99_ms=percentile(refused, 99),
        late_p99_ms=0.0 if closed else percentile(late, 99),
    )


if __name__ == "__main__":
    main()
