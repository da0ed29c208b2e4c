"""A stream of changes that stands still at the worst moment: no bucket changes hands before everything is there."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from db.ownership import freeze_buckets, release_buckets
from domain.move import Phase
from infra.local.cluster import LocalCluster
from sharding.reshard import switch
from tests.chaos.reshard.world import BUCKETS, SOURCE, World
from tests.sharding.reshard.fleets import run

# Shorter than a freeze, so that what comes after it is in time, and longer than all that a mover might do meanwhile.
_STALL_S = 0.1


def senders(cluster: LocalCluster, shard: str) -> list[psutil.Process]:
    """The processes that send a shard's changes to subscribers."""
    server = psutil.Process(cluster.shard_child("postgres", shard).pid)
    return [process for process in server.children() if "walsender" in " ".join(process.cmdline())]


@contextmanager
def stalled(cluster: LocalCluster) -> Iterator[None]:
    """Nothing leaves the source while the block lasts."""
    stopped = senders(cluster, SOURCE)
    assert stopped
    for process in stopped:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in stopped:
            process.send_signal(signal.SIGCONT)


async def test_what_was_written_last_before_a_freeze_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalls: list[asyncio.Task[None]] = []

    async def stall_and_freeze(*args: Any, **kwargs: Any) -> Any:
        if len(stalls) < 2:
            began = asyncio.Event()

            async def stall() -> None:
                with stalled(world.cluster):
                    # On the source's disk, and on its way to nobody.
                    await world.play()
                    began.set()
                    await asyncio.sleep(_STALL_S)

            stalls.append(asyncio.create_task(stall()))
            await began.wait()
        return await freeze_buckets(*args, **kwargs)

    monkeypatch.setattr(switch, "freeze_buckets", stall_and_freeze)
    await run(world.fleet)
    await asyncio.gather(*stalls)
    await world.play()
    await world.check({Phase.DONE})
    assert await world.switched() == len(BUCKETS)


async def test_nobody_writes_between_the_comparison_and_the_release(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plays: list[asyncio.Task[None]] = []
    stalls: list[asyncio.Task[None]] = []

    async def stall_and_release(*args: Any, **kwargs: Any) -> Any:
        began = asyncio.Event()

        async def stall() -> None:
            with stalled(world.cluster):
                plays.append(asyncio.create_task(world.play()))
                # Time enough for a write that nothing holds up.
                await asyncio.sleep(_STALL_S / 4)
                began.set()
                await asyncio.sleep(_STALL_S)

        stalls.append(asyncio.create_task(stall()))
        await began.wait()
        # The target takes over while what it might have missed is still on its way.
        return await release_buckets(*args, **kwargs)

    monkeypatch.setattr(switch, "release_buckets", stall_and_release)
    await run(world.fleet)
    await asyncio.gather(*stalls, *plays)
    await world.play()
    await world.check({Phase.DONE})
    assert await world.switched() == len(BUCKETS)
