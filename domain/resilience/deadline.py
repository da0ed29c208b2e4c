"""The deadline of the request that the running code works for, known to all that is called on its way.

It travels with the context: tasks that a request starts have it, too. Work for several requests, or for none, is
started with `detached` and says itself until when it is wanted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextvars import Context, ContextVar
from typing import Any, TypeVar

Result = TypeVar("Result")

_due_at: ContextVar[float | None] = ContextVar("due_at", default=None)

get_due_at = _due_at.get
"""When, by `time.monotonic`, the request is given up; None outside of requests."""

set_due_at = _due_at.set
"""Work for a request with this deadline from now on, in this context."""


def within(s_max: float) -> float:
    """`s_max`, or what is left until the deadline where that is less; never below zero."""
    due_at = _due_at.get()
    return s_max if due_at is None else max(0.0, min(s_max, due_at - time.monotonic()))


def detached(work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
    """A task that goes on after the request that happened to start it, without its deadline."""
    return asyncio.get_running_loop().create_task(work, context=Context())
