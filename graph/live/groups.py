"""Equal subscriptions, executed once for all who watch them."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import aclosing
from time import monotonic
from typing import Any, Protocol

import orjson

from domain import tracing
from domain.errors import RateLimited
from domain.metrics.catalogue import FANOUT_DURATION
from domain.tasks import end_tasks
from graph.documents import Prepared
from graph.errors import request_error
from graph.live.subscription import Subscription, SubscriptionFailed
from service.parts import Parts
from wire.deadlines import Deadlines

logger = logging.getLogger(__name__)

GROUPS_MAX = 1_000
"""Different subscriptions watched at once, a process."""

# Whom a result is given to before other work of the process has its turn.
_SHOWN_AT_ONCE = 200
_RETRY_AFTER_S = 5


class Watcher(Protocol):
    """Who watches a subscription. Its methods return at once: nobody waits for a client that reads slowly.

    transport: how, for the metrics.
    """

    @property
    def transport(self) -> str: ...  # noqa: D102

    def show(self, payload: str) -> None:
        """The newest result, as JSON. It replaces one that could not be sent yet."""

    def fail(self, errors: list[dict[str, Any]]) -> None:
        """The subscription is refused or failed, and ended."""

    def end(self) -> None:
        """The subscription ended."""


class Groups:
    """The groups of one process, by what they watch."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._deadlines = Deadlines(parts.deadline_s)
        self._groups: dict[tuple[str, str | None, bytes], Group] = {}

    def join(self, prepared: Prepared, variables: dict[str, Any], watcher: Watcher) -> Group | None:
        """Show `watcher` the newest result and all that follow; None where it was refused, and told so."""
        assert prepared.normalised is not None
        declared = {node.variable.name.value for node in prepared.operation.variable_definitions or ()}
        given = {name: value for name, value in variables.items() if name in declared}
        key = (prepared.normalised, prepared.operation_name, orjson.dumps(given, option=orjson.OPT_SORT_KEYS))
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= GROUPS_MAX:
                message = f"{GROUPS_MAX} different subscriptions are watched already; try again later."
                watcher.fail(request_error(RateLimited(message, _RETRY_AFTER_S))["errors"])
                return None
            subscription = Subscription(self._parts, prepared, given, self._deadlines)
            group = self._groups[key] = Group(subscription, lambda: self._groups.pop(key))
        group.add(watcher)
        return group

    def count_watchers(self) -> Counter[str]:
        """How many watch now, by transport."""
        return Counter(watcher.transport for group in self._groups.values() for watcher in group.everybody())

    async def close(self) -> None:
        """End all of them."""
        await end_tasks([group.task for group in list(self._groups.values())])


class Group:
    """One subscription and who watches it; ends by itself when nobody does.

    Args:
        forget: called once, when nobody may join any more.
    """

    def __init__(self, subscription: Subscription, forget: Any) -> None:
        self._subscription = subscription
        self._forget = forget
        self._forgotten = False
        self._watchers: dict[Watcher, None] = {}
        # Who came after the first result and was shown nothing yet.
        self._newcomers: dict[Watcher, None] = {}
        self._sequence = -1
        self._shown: Any = None
        self._payload: str | None = None
        self._taking = asyncio.Lock()
        self._greeting: asyncio.Task[None] | None = None
        self.task = asyncio.create_task(self._run())

    def add(self, watcher: Watcher) -> None:
        """Show a result of now, and all that follow."""
        if self._payload is None:
            self._watchers[watcher] = None
            return
        self._newcomers[watcher] = None
        if self._greeting is None:
            self._greeting = asyncio.create_task(self._greet())

    def remove(self, watcher: Watcher) -> None:
        """Show it nothing more."""
        self._watchers.pop(watcher, None)
        self._newcomers.pop(watcher, None)
        if not (self._watchers or self._newcomers):
            self._leave()
            self.task.cancel()

    def _leave(self) -> None:
        if not self._forgotten:
            self._forgotten = True
            self._forget()

    def everybody(self) -> list[Watcher]:
        """Who watches, those who were shown nothing yet included."""
        return [*self._watchers, *self._newcomers]

    async def _run(self) -> None:
        try:
            await self._follow()
        except SubscriptionFailed as failed:
            self._leave()
            for watcher in self.everybody():
                watcher.fail(failed.errors)
        else:
            self._leave()
            for watcher in self.everybody():
                watcher.end()
        finally:
            self._leave()
            if self._greeting is not None:
                await end_tasks([self._greeting])

    async def _follow(self) -> None:
        try:
            async with aclosing(await self._subscription.events()) as events:  # type: ignore[type-var]
                async for event in events:
                    with tracing.step("watchers event", {"shardboard.watchers": len(self._watchers)}):
                        await self._take(event)
        except SubscriptionFailed:
            raise
        except Exception as error:
            raise self._subscription.failure(error) from error

    async def _greet(self) -> None:
        """Show newcomers the state as it is now: the one that the others were shown may be older than what a newcomer
        has just written. One look at the source serves all who came before it.
        """
        try:
            while newcomers := list(self._newcomers):
                async with aclosing(await self._subscription.events()) as events:  # type: ignore[type-var]
                    async for event in events:
                        await self._take(event)
                        break
                for watcher in newcomers:
                    # One may have left, meanwhile.
                    if watcher in self._newcomers and self._payload is not None:
                        del self._newcomers[watcher]
                        self._watchers[watcher] = None
                        watcher.show(self._payload)
        except Exception as error:
            failed = error if isinstance(error, SubscriptionFailed) else self._subscription.failure(error)
            for watcher in list(self._newcomers):
                self.remove(watcher)
                watcher.fail(failed.errors)
        finally:
            self._greeting = None

    async def _take(self, event: Any) -> None:
        """Show what `event` comes to, unless something newer was shown or it looks the same."""
        async with self._taking:
            if event.sequence <= self._sequence:
                return
            began_at = monotonic()
            result = await self._subscription.result(event)
            self._sequence = event.sequence
            if result.shown != self._shown:
                self._shown, self._payload = result.shown, result.payload
                await self._show(result.payload)
                FANOUT_DURATION.of().observe(monotonic() - began_at)

    async def _show(self, payload: str) -> None:
        watchers = list(self._watchers)
        for start in range(0, len(watchers), _SHOWN_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            for watcher in watchers[start : start + _SHOWN_AT_ONCE]:
                # One may have left, meanwhile.
                if watcher in self._watchers:
                    watcher.show(payload)
