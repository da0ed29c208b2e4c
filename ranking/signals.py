"""Who has to know that a board changed: this process at once, the others within a few hundredths of a second."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from domain.resilience.backoff import LISTEN
from domain.tasks import end_tasks
from ranking.keys import CHANGES_CHANNEL
from ranking.store import Store

logger = logging.getLogger(__name__)

# Changes of one process reach the others in bundles, at most so many seconds apart.
_BUNDLE_S = 0.02
# A connection that died without a word looks like one on which nothing happens. So after a silence the listener asks
# for a sign of life, and gives the connection up where none comes in time.
_SILENCE_S = 2.0
_SIGN_OF_LIFE_S = 1.0


class Signals:
    """A version for each board, which grows whenever the board changed here or elsewhere."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._process = token_hex(4)
        self._versions: defaultdict[str, int] = defaultdict(int)
        self._all_changed = 0
        self._callbacks: dict[str, list[Callable[[], None]]] = {}
        self._dirty: set[str] = set()
        self._dirtied = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def version(self, board: str) -> int:
        """The board's version in this process; what was read at one version may be shown until it grows."""
        return self._all_changed + self._versions.get(board, 0)

    def changed(self, board: str) -> None:
        """This process changed the board."""
        self._grow(board)
        self._dirty.add(board)
        self._dirtied.set()

    @contextmanager
    def calling(self, board: str, callback: Callable[[], None]) -> Iterator[None]:
        """Within the block, call `callback` whenever the board's version grew; it must be quick and must not raise."""
        self._callbacks.setdefault(board, []).append(callback)
        try:
            yield
        finally:
            self._callbacks[board].remove(callback)
            if not self._callbacks[board]:
                del self._callbacks[board]

    def _grow(self, board: str) -> None:
        self._versions[board] += 1
        for callback in self._callbacks.get(board, ()):
            callback()

    def _grow_all(self) -> None:
        self._all_changed += 1
        for callbacks in self._callbacks.values():
            for callback in callbacks:
                callback()

    async def start(self) -> None:
        """Begin to tell and to listen."""
        self._tasks = [asyncio.create_task(self._tell()), asyncio.create_task(self._listen())]

    async def close(self) -> None:
        """Stop both, and tell what was not told yet: a command of the command line ends right after its change."""
        await end_tasks(self._tasks)
        await self._tell_now()

    async def _tell(self) -> None:
        rests = LISTEN.rests()
        while True:
            await self._dirtied.wait()
            self._dirtied.clear()
            if await self._tell_now():
                rests = LISTEN.rests()
                await asyncio.sleep(_BUNDLE_S)
            else:
                self._dirtied.set()
                await asyncio.sleep(next(rests))

    async def _tell_now(self) -> bool:
        """Tell the others of the boards that changed here; False where Redis did not take it all."""
        boards, self._dirty = self._dirty, set()
        try:
            for board in boards:
                await self._store.redis.publish(CHANGES_CHANNEL, f"{self._process} {board}")
        except (RedisError, OSError):
            # Perhaps this process alone lost Redis, and the others' listeners know nothing of it.
            self._dirty |= boards
            return False
        return True

    async def _listen(self) -> None:
        hears = True
        rests = LISTEN.rests()
        while True:
            try:
                async with self._store.redis.pubsub() as pubsub:
                    await pubsub.subscribe(CHANGES_CHANNEL)
                    hears = True
                    rests = LISTEN.rests()
                    while True:
                        self._hear(await _next_message(pubsub))
            except (RedisError, OSError) as error:
                if hears:
                    # From now on nobody tells of changes: who shows a board looks for itself, as long as it likes.
                    hears = False
                    self._grow_all()
                    logger.warning("the listener for changed boards lost Redis (%s); it tries again", error)
            await asyncio.sleep(next(rests))

    def _hear(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "subscribe":
            # At first, and whenever redis-py connected anew: what was said while nobody listened is not said again.
            self._grow_all()
        elif message["type"] == "message":
            process, board = message["data"].decode().split(" ", 1)
            if process != self._process:
                self._grow(board)


async def _next_message(pubsub: PubSub) -> Mapping[str, Any]:
    """Whatever comes next on a connection that lives.

    Raises:
        RedisError: it is dead.
    """
    message: Mapping[str, Any] | None = await pubsub.get_message(timeout=_SILENCE_S)
    if message is None:
        await pubsub.ping()
        message = await pubsub.get_message(timeout=_SIGN_OF_LIFE_S)
    if message is None:
        raise RedisConnectionError("no sign of life")
    return message
