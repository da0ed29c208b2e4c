"""A circuit breaker: who needs a part that does not answer is told at once instead of waiting.

The textbook's breaker (Michael Nygard, "Release It!") counts failures and lets a caller's request try whether the part
is back. Here a call that got no answer only raises a doubt; what opens and closes is a probe of the breaker's own, a
question that every working part answers. So no input, however slow or wrong, opens it, and no caller has to wait to
find out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from enum import Enum

from domain.errors import Unavailable
from domain.resilience import limits
from domain.resilience.backoff import PROBE, Backoff
from domain.resilience.deadline import detached
from domain.tasks import end_tasks

logger = logging.getLogger(__name__)


class State(Enum):
    """What the breaker makes of the part."""

    CLOSED = "closed"
    DOUBTED = "doubted"
    """A call got no answer; the first probe is under way, and callers go on as before."""
    OPEN = "open"
    HALF_OPEN = "half-open"
    """As open, and another probe is under way."""


class Breaker:
    """The breaker before one part.

    Args:
        name: of the part, for the log.
        probe: asks the part what costs nothing; raises where it does not answer, and may be cancelled.
        refuse: makes the error for whoever needs the part while it is away.
        probe_s_max: how long the answer may take.
        rests: between two probes.
    """

    def __init__(
        self,
        name: str,
        probe: Callable[[], Awaitable[object]],
        refuse: Callable[[], Unavailable],
        *,
        probe_s_max: float,
        rests: Backoff = PROBE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._probe = probe
        self._refuse = refuse
        self._probe_s_max = probe_s_max
        self._rests = rests
        self._clock = clock
        self._state = State.CLOSED
        self._has_answered = False
        self._probed_at = float("-inf")
        self._probing: asyncio.Task[None] | None = None
        self._watchers: list[Callable[[Unavailable], None]] = []

    @property
    def state(self) -> State:
        """What the breaker makes of the part now."""
        return self._state

    def watch(self, opened: Callable[[Unavailable], None]) -> None:
        """Call `opened` whenever the breaker opens, with the error for those who wait for the part."""
        self._watchers.append(opened)

    def require(self) -> None:
        """Let a call pass.

        Raises:
            Unavailable: the part is away.
        """
        if self._state is State.OPEN or self._state is State.HALF_OPEN:
            raise self._refuse()

    def answered(self) -> None:
        """A call got an answer, be it a refusal."""
        self._has_answered = True

    def doubt(self) -> None:
        """A call got no answer: find out whether the part gives any."""
        if self._probing is None and self._clock() >= self._probed_at + limits.DOUBT_REST_S:
            self._state, self._has_answered = State.DOUBTED, False
            self._probing = detached(self._find_out())

    async def close(self) -> None:
        """End the probing, if any; the part is needed no more."""
        if self._probing is not None:
            await end_tasks([self._probing])

    async def _find_out(self) -> None:
        try:
            for rest_s in self._rests.rests():
                trouble = await self._ask()
                # What a call was answered meanwhile counts as much as the probe's answer.
                if trouble is None or self._has_answered:
                    break
                self._open(trouble)
                await asyncio.sleep(rest_s)
                self._state = State.HALF_OPEN
            if self._state is not State.DOUBTED:
                logger.warning("%s answers again", self._name)
        finally:
            self._state, self._probing, self._probed_at = State.CLOSED, None, self._clock()

    async def _ask(self) -> Exception | None:
        """Why the part does not answer; None where it does."""
        try:
            async with asyncio.timeout(self._probe_s_max):
                await self._probe()
        except Exception as error:
            return error
        return None

    def _open(self, trouble: Exception) -> None:
        if self._state is State.DOUBTED:
            logger.warning("%s does not answer (%r); who needs it is told so until it does", self._name, trouble)
            self._state = State.OPEN
            for opened in self._watchers:
                opened(self._refuse())
        self._state = State.OPEN
