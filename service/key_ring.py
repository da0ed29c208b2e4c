"""The keys that this process accepts: those of its settings, and those that the shards keep."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Iterable, Mapping

from db.api_keys import read_api_keys
from db.postgres import Postgres
from domain.access import Caller
from domain.errors import ShardboardError, Unauthenticated, Unavailable
from domain.keys import DEFAULT_SCOPES, ApiKey, KeyKind, hash_key, key_id_of, merge_keys
from domain.tasks import end_tasks

logger = logging.getLogger(__name__)

# How soon a revoked key stops working in every process.
_REFRESH_INTERVAL_S = 2.0
# A key that was just made works within so long; somebody who tries keys costs the shards no more statements than this.
_REFRESH_REST_S = 0.5
# Who sends a key that is not known here waits for the shards no longer than this.
_ASK_S_MAX = 1.0

REVOKED = "This key was revoked."
_UNKNOWN = "The credential is not known here; `shardboard keys make` makes a key."


class KeyRing:
    """Recognises keys.

    Args:
        postgreses: the shards that there are now.
        settings_keys: the texts of keys that the settings name, by their kind.
    """

    def __init__(
        self, postgreses: Callable[[], Iterable[Postgres]], settings_keys: Mapping[KeyKind, str | None]
    ) -> None:
        self._postgreses = postgreses
        self._settings_keys = [
            (hash_key(text), Caller("key", f"key:{kind}-of-the-settings", DEFAULT_SCOPES[kind]))
            for kind, text in settings_keys.items()
            if text
        ]
        self._told: dict[str, list[ApiKey]] = {}
        self._keys: dict[str, tuple[ApiKey, Caller]] = {}
        self._complete = False
        self._refreshed_at = float("-inf")
        self._asking = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._watchers: dict[str, set[Callable[[], None]]] = {}

    def start(self) -> None:
        """Follow what the shards know of keys until closed."""
        self._keeping = asyncio.create_task(self._keep_fresh())

    async def close(self) -> None:
        """Stop following."""
        await end_tasks([task for task in (self._keeping, self._next) if task is not None])

    async def find(self, text: str) -> Caller:
        """Whose key this is.

        Raises:
            Unauthenticated: nobody's, or it was revoked or has expired.
            Unavailable: no shard answers, so it cannot be told.
        """
        secret_sha256 = hash_key(text)
        for known_sha256, caller in self._settings_keys:
            if hmac.compare_digest(known_sha256, secret_sha256):
                return caller
        key_id = key_id_of(text)
        if key_id is None:
            raise Unauthenticated(_UNKNOWN)
        if key_id not in self._keys:
            await self._refresh_soon()
        found = self._keys.get(key_id)
        if found is None:
            if not self._complete:
                raise Unavailable("The key cannot be checked: shards do not answer; try again shortly.")
            raise Unauthenticated(_UNKNOWN)
        key, caller = found
        if not hmac.compare_digest(key.secret_sha256, secret_sha256):
            raise Unauthenticated(_UNKNOWN)
        if key.revoked_at is not None:
            raise Unauthenticated(REVOKED)
        if caller.expires_at is not None and caller.expires_at <= time.time():
            raise Unauthenticated("This key has expired.")
        return caller

    def watch(self, caller: Caller, revoked: Callable[[], None]) -> Callable[[], None]:
        """Call `revoked` once when the key of a caller is revoked, until the function that is returned is called."""
        watchers = self._watchers.setdefault(caller.name, set())
        watchers.add(revoked)

        def leave() -> None:
            watchers.discard(revoked)
            if not watchers and self._watchers.get(caller.name) is watchers:
                del self._watchers[caller.name]

        return leave

    async def refresh(self) -> None:
        """Ask every shard now; one that does not answer is taken at its last word."""
        # One after the other: what was asked for earlier must not come in later.
        async with self._asking:
            await self._refresh()

    async def _refresh(self) -> None:
        postgreses = list(self._postgreses())
        self._refreshed_at = time.monotonic()
        answers = await asyncio.gather(*map(_ask, postgreses))
        self._told = {
            postgres.name: self._told.get(postgres.name, []) if answer is None else answer
            for postgres, answer in zip(postgreses, answers, strict=True)
        }
        # Each shard keeps all keys, so one answer tells of every key but the newest changes.
        self._complete = self._complete or any(answer is not None for answer in answers)
        merged = merge_keys(*self._told.values())
        self._keys = {key.id: (key, _caller(key)) for key in merged.values()}
        for key in merged.values():
            if key.revoked_at is not None:
                # Whoever is told leaves meanwhile.
                for revoked in list(self._watchers.pop(f"key:{key.id}", ())):
                    revoked()

    async def _refresh_soon(self) -> None:
        """Wait for a refresh that begins from now on; all who come before it begins share it."""
        if self._next is None:
            self._next = asyncio.create_task(self._refresh_after_rest())
        await asyncio.wait([self._next], timeout=_REFRESH_REST_S + _ASK_S_MAX)

    async def _refresh_after_rest(self) -> None:
        rest_s = self._refreshed_at + _REFRESH_REST_S - time.monotonic()
        if rest_s > 0:
            await asyncio.sleep(rest_s)
        # Whoever comes from here on may know a key that the shards did not know when they were asked.
        self._next = None
        await self._refresh_surely()

    async def _refresh_surely(self) -> None:
        try:
            await self.refresh()
        except Exception:
            logger.exception("the shards were not asked for keys; they are asked again")

    async def _keep_fresh(self) -> None:
        while True:
            await self._refresh_surely()
            await asyncio.sleep(_REFRESH_INTERVAL_S)


async def _ask(postgres: Postgres) -> list[ApiKey] | None:
    try:
        return await read_api_keys(postgres)
    except ShardboardError:
        return None


def _caller(key: ApiKey) -> Caller:
    return Caller(
        "key",
        f"key:{key.id}",
        key.scopes,
        expires_at=key.expires_at.timestamp() if key.expires_at else None,
        submissions_per_minute=key.submissions_per_minute,
        reads_per_minute=key.reads_per_minute,
    )
