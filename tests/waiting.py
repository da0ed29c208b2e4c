"""Waiting for a condition, with a deadline; never for a time."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

_POLL_SECONDS = 0.02


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds_max: float = 15.0) -> None:
    """Wait until `condition` holds.

    Raises:
        TimeoutError: it did not within `seconds_max`.
    """
    async with asyncio.timeout(seconds_max):
        while True:
            held = condition()
            if inspect.isawaitable(held):
                held = await held
            if held:
                return
            await asyncio.sleep(_POLL_SECONDS)
