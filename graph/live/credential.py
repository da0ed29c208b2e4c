"""A connection lasts no longer than the credential that opened it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from domain.access import Caller
from domain.errors import Unauthenticated
from service.access import Access
from service.key_ring import REVOKED

# A timer of an event loop counts from the start of the machine; one that is set for months would be of no use to it.
_TIMER_S_MAX = 86_400.0


def watch_credential(access: Access, caller: Caller, end: Callable[[Unauthenticated], None]) -> CredentialWatch | None:
    """Call `end` when the credential of a caller ends; None for one that does not."""
    if caller.kind == "key" or caller.expires_at is not None:
        return CredentialWatch(access, caller, end)
    return None


class CredentialWatch:
    """Calls `end` once, when the credential of a caller expires or is revoked, unless it is left before."""

    __slots__ = ("_caller", "_end", "_leave", "_timer")

    def __init__(self, access: Access, caller: Caller, end: Callable[[Unauthenticated], None]) -> None:
        self._caller = caller
        self._end: Callable[[Unauthenticated], None] | None = end
        self._timer: asyncio.TimerHandle | None = None
        self._leave = access.keys.watch(caller, self._revoked) if caller.kind == "key" else None
        self._look()

    def leave(self) -> None:
        """Look no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._leave is not None:
            self._leave()
            self._leave = None
        # Whom it tells holds this in turn: it would wait for a full garbage collection, rare here.
        self._end = None

    def _look(self) -> None:
        expires_at = self._caller.expires_at
        if expires_at is None:
            return
        left_s = expires_at - time.time()
        if left_s <= 0:
            self._finish(Unauthenticated("The credential has expired; come back with a new one."))
        else:
            self._timer = asyncio.get_running_loop().call_later(min(left_s, _TIMER_S_MAX), self._look)

    def _revoked(self) -> None:
        self._finish(Unauthenticated(REVOKED))

    def _finish(self, error: Unauthenticated) -> None:
        end = self._end
        self.leave()
        if end is not None:
            end(error)
