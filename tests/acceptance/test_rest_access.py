"""Who may do what over REST: the keys, tokens, limits and signatures of GraphQL, in the words of HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

from domain.access import Scope
from domain.signature import sign
from domain.submission import IdWindow, check_submission
from infra.local.child import Child
from infra.local.cluster import LocalCluster
from service.keys import make_key
from sharding.reshard.fleet import Fleet
from tests.acceptance.client import Api, stored
from tests.acceptance.guarded import SIGNING_SECRET, VARIABLES, numbers, sender, token
from tests.apis import running_apis, until_ranks_are_whole, url_of
from tests.factories import make_id, users_of_shard
from tests.waiting import until

TOP = "/api/leaderboard"
READS = (TOP, "/api/users/42/rank", "/api/users/42/history")
GAME = "https://game.example"
ORIGINS = {"SHARDBOARD_CORS_ORIGINS": f'["{GAME}"]', "SHARDBOARD_DEADLINE_MS": "1000"}


@pytest.fixture(scope="module")
async def _children(cluster: LocalCluster) -> AsyncIterator[list[Child]]:
    async with running_apis(cluster, ("guarded-rest",), **VARIABLES, **ORIGINS) as children:
        yield children


@pytest.fixture
async def url(clean: LocalCluster, _children: list[Child]) -> str:
    await until_ranks_are_whole(clean)
    return url_of(_children[0])


@pytest.fixture
def player() -> int:
    """A player of this test alone; the numbers of GraphQL's tests are below."""
    return 500_000 + next(numbers)


def session(user_id: int = 42, **fields: Any) -> dict[str, Any]:
    return {"user_id": user_id, "username": "Ada", "score": 5, "submission_id": str(make_id())} | fields


async def post(api: Api, body: dict[str, Any]) -> httpx.Response:
    return await api.http.post("/api/scores", json=body)


def refusal(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


async def test_nobody_submits_without_a_good_credential(url: str, clean: LocalCluster) -> None:
    for credential in (None, "wrong", "a.b.c", token(exp=1)):
        async with sender(url, credential) as api:
            response = await post(api, session())
            assert refusal(response) == (401, "UNAUTHENTICATED")
            assert response.headers["www-authenticate"] == "Bearer"
            if credential is not None:
                assert credential not in response.text
                assert refusal(await api.http.get(TOP)) == (401, "UNAUTHENTICATED")
    assert await stored(clean) == []


async def test_a_player_submits_for_itself_and_five_a_minute(url: str, player: int, clean: LocalCluster) -> None:
    async with sender(url, token(player)) as api:
        other = await post(api, session(player + 1))
        assert refusal(other) == (403, "FORBIDDEN")
        assert other.headers["ratelimit-remaining"] == "4"
        for left in (3, 2, 1, 0):
            response = await post(api, session(player))
            assert (response.status_code, response.json()["duplicate"]) == (200, False)
            assert (response.headers["ratelimit-limit"], response.headers["ratelimit-remaining"]) == ("5", str(left))
            assert response.headers["ratelimit-policy"] == "5;w=60"
        response = await post(api, session(player))
        assert refusal(response) == (429, "RATE_LIMITED")
        after_s = response.json()["retry_after"]
        assert 1 <= after_s <= 60
        assert response.headers["retry-after"] == response.headers["ratelimit-reset"] == str(after_s)
        assert response.headers["ratelimit-remaining"] == "0"
    assert len([row for row in await stored(clean) if '"score":5' in row]) == 4


async def test_reads_count_whatever_they_are_answered_with_and_with_those_of_graphql(url: str) -> None:
    address = f"198.51.100.{100 + next(numbers)}"
    async with sender(url, None, address) as api:
        first = await api.http.get(TOP)
        assert first.headers["ratelimit-remaining"] == "2"
        again = await api.http.get(TOP, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.headers["ratelimit-remaining"]) == (304, "1")
        nobody = await api.http.get("/api/users/43/rank")
        assert (nobody.status_code, nobody.headers["ratelimit-remaining"]) == (404, "0")
        for path in READS:
            assert refusal(await api.http.get(path)) == (429, "RATE_LIMITED")
        head = await api.http.head(TOP)
        assert (head.status_code, head.content) == (429, b"")
        answer = (await api.http.post("/graphql", json={"query": "{ leaderboard { totalCount } }"})).json()
        assert answer["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        # What can never work, and what only asks what there is, is not counted.
    async with sender(url, None, f"198.51.100.{100 + next(numbers)}") as api:
        for _ in range(5):
            assert (await api.http.get(f"{TOP}?limit=x")).status_code == 400
            assert (await api.http.options(TOP)).status_code == 204
        assert (await api.http.get(TOP)).headers["ratelimit-remaining"] == "2"


async def test_keys_do_what_their_scopes_say(url: str, fleet: Fleet, clean: LocalCluster) -> None:
    _, reader = await make_key(fleet, "server", "reader", scopes=frozenset({Scope.READ}))
    _, writer = await make_key(fleet, "server", "writer", scopes=frozenset({Scope.SUBMIT}))
    async with sender(url, writer) as api:
        response = await post(api, session())
        assert response.status_code == 200
        assert "ratelimit-limit" not in response.headers
        for path in READS:
            assert refusal(await api.http.get(path)) == (403, "FORBIDDEN")
    before = await stored(clean)
    async with sender(url, reader) as api:
        assert refusal(await post(api, session())) == (403, "FORBIDDEN")
        for path in READS:
            assert (await api.http.get(path)).status_code == 200
    assert await stored(clean) == before


async def test_a_signature_is_the_one_of_graphql(url: str, clean: LocalCluster) -> None:
    given = session()
    submission = check_submission(
        user_id="42", username="Ada", score=5, game_mode=None, duration_seconds=None,
        submission_id=given["submission_id"], window=IdWindow(),
    )  # fmt: skip
    now_s = int(time.time())
    signature = f"t={now_s},k=tetris,v1={sign(SIGNING_SECRET.encode(), submission, now_s)}"
    async with sender(url, clean.identity.server_key) as api:
        # The id is signed wherever it is written.
        key = given.pop("submission_id")
        by_header = await api.http.post(
            "/api/scores", json=given | {"signature": signature}, headers={"idempotency-key": key}
        )
        assert (by_header.status_code, by_header.json()["submission_id"]) == (200, key)
        before = await stored(clean)
        given["submission_id"] = key
        assert (await post(api, given | {"signature": signature})).json()["duplicate"] is True
        wrong = await post(api, given | {"score": 6, "signature": signature})
        assert refusal(wrong) == (403, "FORBIDDEN")
        assert wrong.json()["detail"] == "signature is not the one of this content."
    assert await stored(clean) == before


async def test_pages_of_listed_origins_use_it_and_others_do_not(url: str) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "idempotency-key"}
    async with sender(url, None) as api:
        allowed = await api.http.options("/api/scores", headers={"origin": GAME} | asked)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (204, GAME)
        assert {"idempotency-key", "if-none-match"} <= set(allowed.headers["access-control-allow-headers"].split(", "))
        refused = await api.http.options("/api/scores", headers={"origin": "https://other.example"} | asked)
        assert refusal(refused) == (403, "FORBIDDEN")
        answer = await api.http.get(TOP, headers={"origin": GAME})
        assert answer.headers["access-control-allow-origin"] == GAME
        assert "etag" in answer.headers["access-control-expose-headers"]


async def test_a_shard_that_does_not_get_on_is_a_problem_in_time(url: str, clean: LocalCluster) -> None:
    body = session(users_of_shard(1, 1)[0])
    locker = await asyncpg.connect(clean.shards[0].direct_url)
    try:
        async with sender(url, clean.identity.server_key) as api:
            async with locker.transaction():
                await locker.execute("lock table game_sessions in share mode")
                began = time.monotonic()
                response = await post(api, body)
                assert time.monotonic() - began < 2
                assert refusal(response) in ((503, "UNAVAILABLE"), (504, "UNAVAILABLE"))
                assert "with the same submission_id" in response.json()["detail"]
                # Others' players notice nothing.
                assert (await post(api, session(users_of_shard(2, 1)[0]))).status_code == 200

            async def counts() -> bool:
                return (await post(api, body)).status_code == 200

            await until(counts)
            assert (await post(api, body)).json()["new_total_score"] == 5
    finally:
        await locker.close()
