"""Who may do what, asked over HTTP of a running process."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.access import Scope
from domain.signature import sign
from domain.submission import IdWindow, check_submission
from infra.local.child import Child
from infra.local.cluster import LocalCluster
from service.keys import make_key, revoke_key
from sharding.reshard.fleet import Fleet
from tests.acceptance.client import SUBMIT, Api, stored
from tests.acceptance.guarded import SIGNING_SECRET, VARIABLES, numbers, sender, token
from tests.apis import running_apis, until_ranks_are_whole, url_of
from tests.factories import make_id
from tests.waiting import until

STRICT = {"accept": "application/graphql-response+json"}
TOP = "{ leaderboard { totalCount } }"
BULK = """
    mutation ($inputs: [SubmitScoreInput!]!) {
        submitScores(inputs: $inputs) { payload { duplicate } error { code message } }
    }
"""


@pytest.fixture(scope="module")
async def _children(cluster: LocalCluster) -> AsyncIterator[list[Child]]:
    async with running_apis(cluster, ("guarded",), **VARIABLES) as children:
        yield children


@pytest.fixture
async def url(clean: LocalCluster, _children: list[Child]) -> str:
    await until_ranks_are_whole(clean)
    return url_of(_children[0])


@pytest.fixture
def player() -> int:
    """A player of this test alone."""
    return 1000 + next(numbers)


def session(user_id: int = 42, **fields: Any) -> dict[str, Any]:
    return {"userId": str(user_id), "username": "Ada", "score": 5, "submissionId": str(make_id())} | fields


async def post(
    api: Api, query: str, variables: dict[str, Any] | None = None, *, strict: bool = False
) -> tuple[int, Any, Any]:
    """The status, the answer and its headers. A process remembers whom it refused, so each test has its own callers."""
    headers = STRICT if strict else {}
    response = await api.http.post("/graphql", json={"query": query, "variables": variables or {}}, headers=headers)
    return response.status_code, response.json(), response.headers


def code_of(answer: dict[str, Any]) -> str:
    (error,) = answer["errors"]
    code: str = error["extensions"]["code"]
    return code


async def test_nobody_submits_without_a_credential(url: str, clean: LocalCluster) -> None:
    async with sender(url, None) as api:
        for query, variables in ((SUBMIT, {"input": session()}), (BULK, {"inputs": [session()]})):
            status, answer, headers = await post(api, query, variables, strict=True)
            assert (status, code_of(answer)) == (401, "UNAUTHENTICATED")
            assert headers["www-authenticate"] == "Bearer"
            assert "data" not in answer
            status, answer, _ = await post(api, query, variables)
            assert (status, code_of(answer)) == (200, "UNAUTHENTICATED")
    assert await stored(clean) == []


@pytest.mark.parametrize("credential", ["wrong", "sb_server_abcdefghijkm_" + "x" * 43, "a.b.c", token(exp=1)])
async def test_a_wrong_credential_reads_nothing_either(url: str, credential: str) -> None:
    async with sender(url, credential) as api:
        status, answer, _ = await post(api, TOP, strict=True)
        assert (status, code_of(answer)) == (401, "UNAUTHENTICATED")
        assert credential not in answer["errors"][0]["message"]


async def test_trying_credentials_counts_as_reading(url: str) -> None:
    async with sender(url, "wrong") as api:
        assert [code_of((await post(api, TOP))[1]) for _ in range(5)] == ["UNAUTHENTICATED"] * 3 + ["RATE_LIMITED"] * 2


async def test_a_server_key_submits_for_anybody_and_reads_without_limit(url: str, clean: LocalCluster) -> None:
    async with sender(url, clean.identity.server_key) as api:
        for user_id in range(6):
            assert not (await api.submit(**session(user_id)))["duplicate"]
        for _ in range(6):
            status, answer, headers = await post(api, TOP)
            assert (status, answer["data"]["leaderboard"]["totalCount"]) == (200, 6)
            assert "ratelimit-limit" not in headers


async def test_a_player_submits_for_itself_and_five_a_minute(url: str, player: int, clean: LocalCluster) -> None:
    async with sender(url, token(player)) as api:
        status, answer, _ = await post(api, SUBMIT, {"input": session(player + 1)})
        assert (status, code_of(answer)) == (200, "FORBIDDEN")
        for left in (3, 2, 1, 0):
            status, answer, headers = await post(api, SUBMIT, {"input": session(player)})
            assert answer["data"]["submitScore"]["duplicate"] is False
            assert (headers["ratelimit-limit"], headers["ratelimit-remaining"]) == ("5", str(left))
            assert headers["ratelimit-policy"] == "5;w=60"
        status, answer, headers = await post(api, SUBMIT, {"input": session(player)}, strict=True)
        assert (status, code_of(answer)) == (429, "RATE_LIMITED")
        after_s = answer["errors"][0]["extensions"]["retryAfter"]
        assert 1 <= after_s <= 60
        assert headers["retry-after"] == headers["ratelimit-reset"] == str(after_s)
        assert headers["ratelimit-remaining"] == "0"
    # Another token of the same player is the same player.
    async with sender(url, token(player, jti="other")) as api:
        assert (await api.refused(SUBMIT, {"input": session(player)}))[0] == "RATE_LIMITED"
    assert len([row for row in await stored(clean) if '"score":5' in row]) == 4


async def test_aliases_count_each_and_stand_or_fall_together(url: str, player: int, clean: LocalCluster) -> None:
    def aliases(count: int) -> str:
        fields = " ".join(
            f'm{n}: submitScore(input: {{userId: {player}, username: "a", score: 1}}) {{ duplicate }}'
            for n in range(count)
        )
        return f"mutation {{ {fields} }}"

    async with sender(url, token(player)) as api:
        status, answer, _ = await post(api, aliases(6), strict=True)
        assert (status, code_of(answer)) == (429, "RATE_LIMITED")
        assert "this request alone has 6" in answer["errors"][0]["message"]
        assert await stored(clean) == []
        assert len((await post(api, aliases(4)))[1]["data"]) == 4
        assert code_of((await post(api, aliases(2)))[1]) == "RATE_LIMITED"
        assert len((await post(api, aliases(1)))[1]["data"]) == 1
    async with sender(url, None) as api:
        tops = " ".join(f"t{n}: leaderboard(first: 1) {{ totalCount }}" for n in range(4))
        assert code_of((await post(api, f"{{ {tops} }}"))[1]) == "RATE_LIMITED"


async def test_the_inputs_of_a_bulk_count_each_and_stand_alone(url: str, player: int) -> None:
    async with sender(url, token(player)) as api:
        inputs = [
            session(player),
            session(player + 1),
            session(player),
            session(player),
            session(player, score=2**60),
            session(player),
            session(player),
        ]
        status, answer, headers = await post(api, BULK, {"inputs": inputs}, strict=True)
        results = answer["data"]["submitScores"]
        assert status == 200
        assert [result["error"] and result["error"]["code"] for result in results] == [
            *(None, "FORBIDDEN", None, None, "BAD_USER_INPUT"),
            *("RATE_LIMITED", "RATE_LIMITED"),
        ]
        assert headers["ratelimit-remaining"] == "0"
        assert int(headers["retry-after"]) >= 1


async def test_an_address_reads_so_often_and_no_more(url: str) -> None:
    async with sender(url, None, "192.0.2.1") as api:
        left = [(await post(api, TOP))[2]["ratelimit-remaining"] for _ in range(3)]
        assert left == ["2", "1", "0"]
        status, answer, _ = await post(api, TOP, strict=True)
        assert (status, code_of(answer)) == (429, "RATE_LIMITED")
        # What is kept as bytes is no way around it.
        assert code_of((await post(api, TOP))[1]) == "RATE_LIMITED"
    async with sender(url, None, address="192.0.2.2") as other:
        assert (await post(other, TOP))[2]["ratelimit-remaining"] == "2"
    # What a client makes up before the proxy's own word changes nothing.
    async with sender(url, None, address="203.0.113.5, 192.0.2.1") as liar:
        assert code_of((await post(liar, TOP))[1]) == "RATE_LIMITED"


async def test_a_key_with_limits_and_scopes_of_its_own(url: str, fleet: Fleet, clean: LocalCluster) -> None:
    _, reader = await make_key(fleet, "server", "reader", scopes=frozenset({Scope.READ}), reads_per_minute=1)
    _, writer = await make_key(fleet, "server", "writer", scopes=frozenset({Scope.SUBMIT}), submissions_per_minute=2)
    async with sender(url, reader) as api:
        assert (await post(api, TOP))[2]["ratelimit-remaining"] == "0"
        assert code_of((await post(api, TOP))[1]) == "RATE_LIMITED"
        assert (await post(api, SUBMIT, {"input": session()}, strict=True))[0] == 403
    async with sender(url, writer) as api:
        status, answer, _ = await post(api, TOP, strict=True)
        assert (status, code_of(answer)) == (403, "FORBIDDEN")
        for user_id in (1, 2):
            await api.submit(**session(user_id))
        assert code_of((await post(api, SUBMIT, {"input": session(3)}))[1]) == "RATE_LIMITED"
    assert len([row for row in await stored(clean) if '"score":5' in row]) == 2


async def test_a_key_that_is_revoked_stops_working(url: str, fleet: Fleet) -> None:
    key, text = await make_key(fleet, "server", "old", scopes=frozenset({Scope.READ}))
    async with sender(url, text) as api:
        assert (await post(api, TOP, strict=True))[0] == 200
        await revoke_key(fleet, key.id)

        async def is_refused() -> bool:
            return (await post(api, TOP, strict=True))[0] == 401

        await until(is_refused)


async def test_a_signed_submission_counts_once_and_only_as_signed(url: str, clean: LocalCluster) -> None:
    given = session()
    submission = check_submission(
        user_id="42", username="Ada", score=5, game_mode=None, duration_seconds=None,
        submission_id=given["submissionId"], window=IdWindow(),
    )  # fmt: skip
    now_s = int(time.time())
    signature = f"t={now_s},k=tetris,v1={sign(SIGNING_SECRET.encode(), submission, now_s)}"
    async with sender(url, clean.identity.server_key) as api:
        assert (await api.submit(**given, signature=signature))["duplicate"] is False
        before = await stored(clean)
        assert (await api.submit(**given, signature=signature))["duplicate"] is True
        for changed in ({"score": 6}, {"submissionId": str(make_id())}, {"userId": "43"}):
            code, message = await api.refused(SUBMIT, {"input": given | changed | {"signature": signature}})
            assert (code, message) == ("FORBIDDEN", "input.signature is not the one of this content.")
        (result,) = await api.submit_many([given | {"signature": "nonsense"}])
        assert result["error"]["code"] == "BAD_USER_INPUT"
    assert await stored(clean) == before


async def test_reads_can_be_closed_and_signatures_demanded(clean: LocalCluster) -> None:
    variables = VARIABLES | {"SHARDBOARD_READS_OPEN": "false", "SHARDBOARD_SIGNATURES": "players"}
    async with running_apis(clean, ("closed",), **variables) as (child,):
        await until_ranks_are_whole(clean)
        async with sender(url_of(child), None) as api:
            status, answer, _ = await post(api, TOP, strict=True)
            assert (status, code_of(answer)) == (401, "UNAUTHENTICATED")
            assert (await api.http.get("/health")).status_code == 200
        async with sender(url_of(child), clean.identity.server_key) as api:
            assert (await api.submit(**session()))["duplicate"] is False
        async with sender(url_of(child), token()) as api:
            assert (await post(api, TOP))[1] == {"data": {"leaderboard": {"totalCount": 1}}}
            assert await api.refused(SUBMIT, {"input": session()}) == (
                "FORBIDDEN",
                "input.signature is missing: submissions must be signed here.",
            )
