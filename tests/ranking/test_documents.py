"""Documents that all processes know by their hash."""

from __future__ import annotations

import asyncio

import pytest

from domain.errors import Unavailable
from ranking import documents
from ranking.documents import KEPT_S, SharedDocuments
from ranking.keys import DOCUMENTS_TEXTS, DOCUMENTS_USED
from ranking.store import Store


async def test_what_one_process_keeps_the_others_find(store: Store) -> None:
    one, other = SharedDocuments(store), SharedDocuments(store)
    assert await other.find("a") is None
    await one.keep("a", "{ rank } # ✨")
    assert await other.find("a") == "{ rank } # ✨"
    assert await other.find("b") is None


async def test_they_are_bounded_and_go_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "DOCUMENTS_MAX", 3)
    shared = SharedDocuments(store)
    for name in ("a", "b", "c"):
        await shared.keep(name, f"text of {name}")
        # As if each was kept a second after the one before it.
        await store.redis.zadd(DOCUMENTS_USED, {name: ord(name)})
    assert await shared.find("a") == "text of a"
    await shared.keep("d", "text of d")
    assert [await shared.find(name) for name in ("a", "b", "c", "d")] == ["text of a", None, "text of c", "text of d"]
    assert await store.redis.hlen(DOCUMENTS_TEXTS) == await store.redis.zcard(DOCUMENTS_USED) == 3
    for key in (DOCUMENTS_TEXTS, DOCUMENTS_USED):
        assert KEPT_S - 60 < await store.redis.ttl(key) <= KEPT_S


async def test_many_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "DOCUMENTS_MAX", 10)
    shared = SharedDocuments(store)
    await asyncio.gather(*(shared.keep(str(number), "text") for number in range(100)))
    assert await store.redis.hlen(DOCUMENTS_TEXTS) == await store.redis.zcard(DOCUMENTS_USED) == 10


async def test_without_redis() -> None:
    store = Store("redis://127.0.0.1:1/0", timeout_s=1)
    try:
        with pytest.raises(Unavailable):
            await SharedDocuments(store).find("a")
        with pytest.raises(Unavailable):
            await SharedDocuments(store).keep("a", "text")
    finally:
        await store.close()
