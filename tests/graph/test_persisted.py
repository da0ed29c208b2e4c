"""Operations named by an id: what is known, what is kept, and what may run."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any, cast

import pytest

from domain.errors import BadUserInput, Forbidden, NotFound, Unavailable
from graph import persisted
from graph.persisted import PersistedOperations
from graph.request import GraphRequest
from ranking.documents import SharedDocuments
from tests.waiting import until

TEXT = "{ __typename }"
ID = hashlib.sha256(TEXT.encode()).hexdigest()


class Shared:
    """What other processes know."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.asked = 0
        self.away = False
        self.hold = asyncio.Event()
        self.hold.set()

    async def find(self, document_id: str) -> str | None:
        self.asked += 1
        if self.away:
            raise Unavailable("away")
        return self.texts.get(document_id)

    async def keep(self, document_id: str, text: str) -> None:
        await self.hold.wait()
        if self.away:
            raise Unavailable("away")
        self.texts[document_id] = text


def made(shared: Shared, listed: dict[str, str] | None = None, *, only: bool = False) -> PersistedOperations:
    return PersistedOperations(cast(SharedDocuments, shared), listed or {}, only=only)


def request(query: str = TEXT, document_id: str | None = ID) -> GraphRequest:
    variables: dict[str, Any] = {}
    return GraphRequest(query, None, variables, document_id)


async def test_what_is_kept_is_found_here_and_elsewhere() -> None:
    shared = Shared()
    here, elsewhere = made(shared), made(shared)
    with pytest.raises(NotFound, match=r"^PersistedQueryNotFound$"):
        await here.find(ID)
    assert here.check(request()) is None
    here.keep(request())
    await until(lambda: shared.texts == {ID: TEXT})
    asked = shared.asked
    assert await here.find(ID) == TEXT
    assert shared.asked == asked
    assert await elsewhere.find(ID) == TEXT
    assert await elsewhere.find(ID) == TEXT
    assert shared.asked == asked + 1


async def test_a_hash_of_another_document_is_refused() -> None:
    operations = made(Shared())
    refusal = operations.check(request("{ a: __typename }"))
    assert isinstance(refusal, BadUserInput)
    assert str(refusal) == "The document does not have the hash that was sent with it."
    operations.keep(request())
    assert isinstance(operations.check(request("{ a: __typename }")), BadUserInput)
    assert operations.check(request()) is None
    await operations.close()


async def test_a_document_without_a_hash_is_not_kept() -> None:
    shared = Shared()
    operations = made(shared)
    operations.keep(request(document_id=None))
    assert (operations._known, operations._sharing) == ({}, set())


async def test_what_redis_holds_is_checked_against_its_hash() -> None:
    shared = Shared()
    shared.texts[ID] = "mutation { evil }"
    with pytest.raises(NotFound):
        await made(shared).find(ID)


async def test_without_redis_each_process_knows_its_own() -> None:
    shared = Shared()
    shared.away = True
    operations = made(shared)
    with pytest.raises(NotFound, match=r"^PersistedQueryNotFound$"):
        await operations.find(ID)
    operations.keep(request())
    assert await operations.find(ID) == TEXT
    await until(lambda: not operations._sharing)


async def test_a_process_keeps_a_bounded_number_and_sends_few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persisted, "KNOWN_MAX", 30)
    shared = Shared()
    shared.hold.clear()
    operations = made(shared)
    for number in range(50):
        text = f"{{ a{number}: __typename }}"
        operations.keep(request(text, hashlib.sha256(text.encode()).hexdigest()))
    assert len(operations._known) == 30
    assert len(operations._sharing) == 20
    shared.hold.set()
    await until(lambda: len(shared.texts) == 20)
    await operations.close()


async def test_listed_operations_are_known_by_any_id() -> None:
    operations = made(Shared(), {"top-v1": TEXT})
    assert await operations.find("top-v1") == TEXT
    assert operations.check(request("{ anything }", None)) is None


async def test_they_can_be_the_only_ones() -> None:
    shared = Shared()
    shared.texts[ID] = TEXT
    operations = made(shared, {"top-v1": "{ leaderboard { totalCount } }"}, only=True)
    assert await operations.find("top-v1") == "{ leaderboard { totalCount } }"
    with pytest.raises(Forbidden):
        await operations.find(ID)
    assert shared.asked == 0
    assert operations.check(request("{ leaderboard { totalCount } }", None)) is None
    for query, document_id in ((TEXT, None), (TEXT, ID), (TEXT, "top-v1"), ("{leaderboard { totalCount } }", None)):
        assert isinstance(operations.check(request(query, document_id)), Forbidden)
