"""The REST routes, asked over HTTP of a running process: exact answers, errors and headers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from domain.ids import instant_of, make_uuid7
from domain.instants import rfc3339
from infra.local.cluster import LocalCluster
from tests.acceptance.client import Api, stored
from tests.factories import make_id

BIG = 2**63 - 1


async def post(api: Api, body: Any, **headers: str) -> httpx.Response:
    return await api.http.post("/api/scores", json=body, headers={n.replace("_", "-"): v for n, v in headers.items()})


async def submit(api: Api, user_id: int, score: int, **fields: Any) -> dict[str, Any]:
    response = await post(api, {"user_id": user_id, "username": f"player {user_id}", "score": score} | fields)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def problem(response: httpx.Response) -> tuple[int, str, str]:
    """The status, code and detail of a problem, whose form has to be right."""
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert list(body)[:5] == ["type", "title", "status", "detail", "code"]
    assert (body["type"], body["status"]) == ("about:blank", response.status_code)
    assert body["id"] == response.headers["x-request-id"]
    return response.status_code, body["code"], body["detail"]


async def test_a_score_is_recorded_and_the_rank_is_in_the_answer(api: Api) -> None:
    await submit(api, 7, 2000)
    id_ = str(make_id())
    body = {"user_id": 42, "username": " Ada ", "score": 1200, "game_mode": "duo", "duration_seconds": 300}
    response = await post(api, body | {"submission_id": id_.upper()})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {
        "success": True,
        "user_id": 42,
        "new_total_score": 1200,
        "rank": 2,
        "message": "The score is recorded.",
        "submission_id": id_,
        "duplicate": False,
    }
    # The same session as GraphQL has it.
    found = await api.ask('{ history(userId: "42") { nodes { id score gameMode durationSeconds } } }')
    assert found["history"]["nodes"] == [{"id": id_, "score": 1200, "gameMode": "duo", "durationSeconds": 300}]
    standing = (await api.ask('{ rank(userId: "42") { username totalScore } }'))["rank"]
    assert standing == {"username": "Ada", "totalScore": 1200}


@pytest.mark.parametrize("place", ["body", "header", "quoted header", "both"])
async def test_a_retry_counts_once_wherever_the_id_is(api: Api, clean: LocalCluster, place: str) -> None:
    id_ = str(make_id())
    body: dict[str, Any] = {"user_id": 42, "username": "Ada", "score": 10}
    headers = {}
    if place in ("body", "both"):
        body["submission_id"] = id_
    if place != "body":
        headers["idempotency_key"] = f'"{id_}"' if "quoted" in place else id_.replace("-", "")
    first = (await post(api, body, **headers)).json()
    assert (first["duplicate"], first["new_total_score"], first["submission_id"]) == (False, 10, id_)
    before = await stored(clean)
    again = (await post(api, body, **headers)).json()
    assert again == first | {"duplicate": True, "message": "This session was recorded before; nothing changed."}
    # GraphQL knows it as well.
    payload = await api.submit(userId="42", username="Ada", score=10, submissionId=id_)
    assert (payload["duplicate"], payload["standing"]["totalScore"]) == (True, 10)
    assert problem(await post(api, body | {"score": 11}, **headers)) == (
        409,
        "CONFLICT",
        f"submission_id {id_} was used before with other content; a retry must repeat the session exactly, another "
        "session needs an id of its own.",
    )
    assert await stored(clean) == before


async def test_without_an_id_each_post_counts(api: Api) -> None:
    assert [(await submit(api, 42, 10))["new_total_score"] for _ in range(2)] == [10, 20]
    assert [(await submit(api, 42, 10, submission_id=None))["new_total_score"]] == [30]


USER_IDS: list[tuple[Any, int]] = [
    (BIG, BIG),
    (-(2**63), -(2**63)),
    (str(BIG - 1), BIG - 1),
    ("-5", -5),
    ("007", 7),
    (3.0, 3),
]


async def test_a_user_id_is_a_number_or_its_decimals_and_comes_back_as_a_number(api: Api) -> None:
    for given, means in USER_IDS:
        answer = (await post(api, {"user_id": given, "username": "Ada", "score": 5.0})).json()
        assert (answer["user_id"], answer["new_total_score"]) == (means, 5)
        assert (await api.http.get(f"/api/users/{means}/rank")).json()["user_id"] == means
        top = (await api.http.get("/api/leaderboard", params={"limit": 100})).json()["leaderboard"]
        assert means in [each["user_id"] for each in top]


FITS = (
    ". It is one JSON object with user_id, username and score, and may have game_mode, duration_seconds, "
    "submission_id and signature."
)


BAD_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"user_id": "x"}, "user_id must be a signed 64-bit integer in decimal, such as \"42\"; got 'x'."),
    ({"user_id": 2**63}, f"user_id must lie between -{2**63} and {BIG}; got {2**63}."),
    ({"user_id": 1.5}, "The body does not fit: Expected `int | str`, got `float` - at `$.user_id`" + FITS),
    ({"user_id": 1e18}, "The body does not fit: Expected `int | str`, got `float` - at `$.user_id`" + FITS),
    ({"user_id": True}, "The body does not fit: Expected `int | str`, got `bool` - at `$.user_id`" + FITS),
    ({"user_id": None}, "The body does not fit: Expected `int | str`, got `null` - at `$.user_id`" + FITS),
    ({"username": "  "}, "username must have 1 to 100 characters and not be blank; got 0."),
    ({"username": "a\0"}, "username must not hold the character NUL (U+0000)."),
    ({"score": 2**53}, f"score must lie between -{2**53 - 1} and {2**53 - 1}; got {2**53}."),
    ({"score": "5"}, "The body does not fit: Expected `int`, got `str` - at `$.score`" + FITS),
    ({"game_mode": "m" * 51}, "game_mode must have 1 to 50 characters and not be blank; got 51."),
    ({"duration_seconds": -1}, "duration_seconds must be 0 .. 2147483647; got -1."),
    (
        {"submission_id": "x"},
        "submission_id must be a UUID such as 019aa0e2-7c00-7000-8000-000000000000; got 'x'.",
    ),
    ({"signature": "x"}, "signature must be `t=<seconds>,k=<game>,v1=<64 hex digits>`."),
    (
        {"signature": "t=1,k=a,v1=" + "0" * 64},
        "submission_id must be given where there is a signature: it is signed, too.",
    ),
    ({"scores": 1}, "The body does not fit: Object contains unknown field `scores`" + FITS),
]


async def test_what_cannot_be_recorded_is_told_by_its_name(api: Api, clean: LocalCluster) -> None:
    for changed, detail in BAD_FIELDS:
        response = await post(api, {"user_id": 1, "username": "Ada", "score": 1} | changed)
        assert problem(response) == (400, "BAD_USER_INPUT", detail)
    assert await stored(clean) == []


BAD_BODIES = [
    (
        b"",
        "The body cannot be read: not valid JSON: Input is a zero-length, empty document: line 1 column 1 (char 0).",
    ),
    (b"[1]", "The body does not fit: Expected `object`, got `array`" + FITS),
    (b'{"user_id": 1}', "The body does not fit: Object missing required field `username`" + FITS),
    (b'{"score": 1, "score": 2}', 'The body cannot be read: the entry "score" is there twice.'),
]


async def test_a_body_that_is_no_session_is_told_so(api: Api) -> None:
    for body, detail in BAD_BODIES:
        response = await api.http.post("/api/scores", content=body, headers={"content-type": "application/json"})
        assert problem(response) == (400, "BAD_USER_INPUT", detail)


async def test_an_idempotency_key_is_judged_by_its_own_name(api: Api, clean: LocalCluster) -> None:
    body = {"user_id": 1, "username": "Ada", "score": 1}
    assert problem(await post(api, body, idempotency_key="once")) == (
        400,
        "BAD_USER_INPUT",
        "Idempotency-Key must be a UUID such as 019aa0e2-7c00-7000-8000-000000000000; got 'once'.",
    )
    old = make_uuid7(int((datetime.now(UTC) - timedelta(days=31)).timestamp() * 1000))
    _, _, detail = problem(await post(api, body, idempotency_key=str(old)))
    assert detail.startswith("Idempotency-Key carries the time ")
    both = await post(api, body | {"submission_id": str(make_id())}, idempotency_key=str(make_id()))
    assert problem(both) == (
        400,
        "BAD_USER_INPUT",
        "The header Idempotency-Key and submission_id name different sessions; send one of them, or the same.",
    )
    twice = [("idempotency-key", str(make_id())), ("idempotency-key", str(make_id()))]
    assert problem(await api.http.post("/api/scores", json=body, headers=twice)) == (
        400,
        "BAD_USER_INPUT",
        "The header Idempotency-Key is there twice; send it once.",
    )
    assert await stored(clean) == []


async def test_bodies_of_another_type_or_too_long_are_refused(api: Api, clean: LocalCluster) -> None:
    response = await api.http.post("/api/scores", data={"user_id": "1"})
    assert problem(response) == (
        415,
        "BAD_USER_INPUT",
        "The body must be sent as Content-Type: application/json.",
    )
    long = await post(api, {"user_id": 1, "username": "a" * 65_536, "score": 1})
    assert problem(long) == (413, "BAD_USER_INPUT", "The body may have 65536 bytes.")
    assert long.json()["title"] == "Content Too Large"
    assert long.headers["connection"] == "close"
    assert await stored(clean) == []


async def test_a_total_that_would_leave_its_range_changes_nothing(api: Api, clean: LocalCluster) -> None:
    await submit(api, 42, 2**53 - 1)
    before = await stored(clean)
    status, code, _ = problem(await post(api, {"user_id": 42, "username": "Ada", "score": 1}))
    assert (status, code) == (400, "BAD_USER_INPUT")
    assert await stored(clean) == before


async def test_the_leaderboard_is_what_graphql_shows(api: Api) -> None:
    began = datetime.now(UTC)
    for user_id, score in ((5, 10), (-3, 10), (12, 20), (9, 0)):
        await submit(api, user_id, score)
    response = await api.http.get("/api/leaderboard")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.headers["cache-control"] == "private, no-cache"
    answer = response.json()
    assert list(answer) == ["leaderboard", "cached", "timestamp"]
    assert answer["leaderboard"] == [
        {"rank": rank, "user_id": user_id, "username": f"player {user_id}", "total_score": total, "games_played": 1}
        for rank, user_id, total in ((1, 12, 20), (2, -3, 10), (2, 5, 10), (4, 9, 0))
    ]
    assert answer["cached"] is False
    assert began - timedelta(seconds=1) < datetime.fromisoformat(answer["timestamp"]) < datetime.now(UTC)
    two = (await api.http.get("/api/leaderboard", params={"limit": 2})).json()
    assert [each["user_id"] for each in two["leaderboard"]] == [12, -3]


async def test_an_empty_leaderboard_is_an_empty_list(api: Api) -> None:
    assert (await api.http.get("/api/leaderboard")).json()["leaderboard"] == []


async def test_kept_answers_say_so_until_the_board_changes(api: Api) -> None:
    await submit(api, 1, 10)
    first = await api.http.get("/api/leaderboard")
    again = await api.http.get("/api/leaderboard?limit=10")
    assert (first.json()["cached"], again.json()) == (False, first.json() | {"cached": True})
    # The validator is of the board, not of the bytes that say whether they were kept.
    assert first.headers["etag"] == again.headers["etag"]
    assert first.headers["etag"].startswith('W/"')
    for total in range(11, 31):
        await submit(api, 1, 1)
        top = (await api.http.get("/api/leaderboard")).json()
        assert (top["cached"], top["leaderboard"][0]["total_score"]) == (False, total)


async def test_a_change_through_graphql_reaches_what_rest_keeps(api: Api) -> None:
    await submit(api, 1, 10)
    for _ in range(2):
        await api.http.get("/api/leaderboard")
    await api.submit(userId="1", username="Ada", score=5)
    top = (await api.http.get("/api/leaderboard")).json()
    assert (top["cached"], top["leaderboard"][0]["total_score"]) == (False, 15)


CONDITIONAL = ["/api/leaderboard", "/api/users/42/rank", "/api/users/42/history"]


async def test_who_has_an_answer_already_is_not_sent_it_again(api: Api) -> None:
    for path in CONDITIONAL:
        await submit(api, 42, 10)
        first = await api.http.get(path)
        etag = first.headers["etag"]
        for known in (etag, f'"other", {etag}', etag.removeprefix("W/"), "*"):
            response = await api.http.get(path, headers={"if-none-match": known})
            assert (response.status_code, response.content) == (304, b"")
            assert response.headers["etag"] == etag
            assert response.headers["cache-control"] == "private, no-cache"
            assert not {"content-type", "content-length", "transfer-encoding"} & set(response.headers)
        await submit(api, 42, 1)
        changed = await api.http.get(path, headers={"if-none-match": etag})
        assert changed.status_code == 200
        assert changed.headers["etag"] != etag


async def test_a_rank_is_what_graphql_shows(api: Api) -> None:
    await submit(api, 7, 20)
    await submit(api, 42, 5)
    await submit(api, 42, 5)
    response = await api.http.get("/api/users/42/rank")
    assert response.json() == {
        "user_id": 42,
        "username": "player 42",
        "total_score": 10,
        "rank": 2,
        "games_played": 2,
        "percentile": 50.0,
    }
    assert problem(await api.http.get("/api/users/43/rank")) == (
        404,
        "NOT_FOUND",
        "There is no player 43: nobody of this id has a score.",
    )
    assert problem(await api.http.get("/api/users/me/rank")) == (
        400,
        "BAD_USER_INPUT",
        "user_id must be a signed 64-bit integer in decimal, such as \"42\"; got 'me'.",
    )


async def test_a_history_is_read_page_by_page(api: Api) -> None:
    ids = [make_id(seconds_ago=100 - number) for number in range(25)]
    await asyncio.gather(*(submit(api, 42, n, submission_id=str(id_)) for n, id_ in enumerate(ids)))
    await submit(api, 43, 1)
    answer = (await api.http.get("/api/users/42/history")).json()
    assert list(answer) == ["user_id", "sessions", "total_sessions"]
    assert (answer["user_id"], answer["total_sessions"]) == (42, 25)
    assert answer["sessions"] == [
        {
            "id": str(ids[score]),
            "score": score,
            "game_mode": None,
            "timestamp": rfc3339(instant_of(ids[score])),
            "duration_seconds": None,
        }
        for score in range(24, 4, -1)
    ]

    async def scores(**parameters: Any) -> list[int]:
        found = (await api.http.get("/api/users/42/history", params=parameters)).json()
        return [session["score"] for session in found["sessions"]]

    assert await scores(limit=3, offset=4) == [20, 19, 18]
    assert await scores(limit=3, after=str(ids[20])) == [19, 18, 17]
    assert await scores(limit=3, after=str(ids[20]).replace("-", "").upper(), offset=2) == [17, 16, 15]
    assert await scores(offset=23) == [1, 0]
    assert await scores(offset=1000) == []
    # The header leads through all of them, whatever comes meanwhile.
    walked: list[int] = []
    url: httpx.URL | None = httpx.URL(f"{api.url}/api/users/42/history?limit=10")
    while url is not None:
        response = await api.http.get(url)
        walked += [session["score"] for session in response.json()["sessions"]]
        following = response.links.get("next")
        url = None if following is None else response.url.join(following["url"])
        await submit(api, 42, 999)
    assert walked == list(range(24, -1, -1))


async def test_who_never_played_has_an_empty_history(api: Api) -> None:
    response = await api.http.get("/api/users/12345/history")
    assert response.json() == {"user_id": 12345, "sessions": [], "total_sessions": 0}
    assert "link" not in response.headers


BAD_ADDRESSES = [
    ("leaderboard?limit=0", "limit must lie between 1 and 100; got 0."),
    ("leaderboard?limit=101", "limit must lie between 1 and 100; got 101."),
    ("leaderboard?limit=", "limit must be an integer from 1 to 100; got ''."),
    ("leaderboard?limit=ten", "limit must be an integer from 1 to 100; got 'ten'."),
    ("leaderboard?limit=1&limit=2", "The parameter limit is there 2 times; send it once."),
    ("leaderboard?limt=1", "There is no parameter 'limt'; this address takes limit."),
    ("users/1/rank?limit=1", "There is no parameter 'limit'; this address takes none."),
    ("users/1/history?limit=101", "limit must lie between 1 and 100; got 101."),
    (
        "users/1/history?offset=1001",
        "offset must lie between 0 and 1000; got 1001. Go on with after=<id of the last session seen>, however far.",
    ),
    (
        "users/1/history?after=AAAA",
        "after must be a UUID such as 019aa0e2-7c00-7000-8000-000000000000; got 'AAAA'.",
    ),
    ("users/9223372036854775808/history", f"user_id must lie between -{2**63} and {BIG}; got {2**63}."),
    ("leaderboard?limit=%ff", "The parameters of the URL cannot be read: "),
]


async def test_what_cannot_be_read_is_told_by_its_name(api: Api) -> None:
    for address, detail in BAD_ADDRESSES:
        status, code, found = problem(await api.http.get(f"/api/{address}"))
        assert (status, code) == (400, "BAD_USER_INPUT")
        assert found.startswith(detail)


async def test_a_query_string_that_is_too_long_is_refused(api: Api) -> None:
    response = await api.http.get("/api/leaderboard?limit=" + "1" * 2000)
    assert problem(response) == (414, "BAD_USER_INPUT", "The query string may have 2000 bytes.")
    assert response.json()["title"] == "URI Too Long"


NOWHERE = ["/api/", "/api/score", "/api/users/1", "/api/users/1/rank/", "/api/users/1/ranks"]


async def test_there_is_nothing_elsewhere(api: Api) -> None:
    for path in NOWHERE:
        assert problem(await api.http.get(path)) == (
            404,
            "NOT_FOUND",
            "There is nothing here. The API has /api/scores, /api/leaderboard, /api/users/{user_id}/rank and "
            "/api/users/{user_id}/history.",
        )


METHODS = [
    ("/api/scores", "POST, OPTIONS", ("GET", "HEAD", "PUT", "DELETE", "PATCH")),
    ("/api/leaderboard", "GET, HEAD, OPTIONS", ("POST", "PUT", "DELETE", "PATCH")),
    ("/api/users/1/rank", "GET, HEAD, OPTIONS", ("POST", "PUT")),
    ("/api/users/1/history", "GET, HEAD, OPTIONS", ("POST", "PUT")),
]


async def test_methods_are_allowed_or_named(api: Api) -> None:
    for path, allowed, others in METHODS:
        options = await api.http.options(path)
        assert (options.status_code, options.headers["allow"], options.content) == (204, allowed, b"")
        for method in others:
            response = await api.http.request(method, path)
            assert (response.status_code, response.headers["allow"]) == (405, allowed)
            if method != "HEAD":
                assert problem(response) == (405, "BAD_USER_INPUT", f"This address is for {allowed}.")


READS = ["/api/users/42/rank", "/api/users/42/history", "/api/users/1/rank"]


async def test_head_answers_as_get_does_without_the_body(api: Api) -> None:
    for path in READS:
        await submit(api, 42, 10)
        get, head = await api.http.get(path), await api.http.head(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert {n: v for n, v in head.headers.items() if n not in ("date", "x-request-id")} == {
            n: v for n, v in get.headers.items() if n not in ("date", "x-request-id")
        }


async def test_requests_have_the_id_that_they_come_with_or_one_of_their_own(api: Api) -> None:
    given = await api.http.get("/api/leaderboard", headers={"x-request-id": "match-17"})
    assert given.headers["x-request-id"] == "match-17"
    made = [(await api.http.get("/api/nowhere")).headers["x-request-id"] for _ in range(2)]
    assert len({*made, "match-17"}) == 3
    odd = await api.http.get("/api/nowhere", headers={"x-request-id": "a b"})
    assert odd.json()["id"] == odd.headers["x-request-id"] != "a b"


async def test_ids_are_made_by_the_service_where_there_is_none(api: Api) -> None:
    answer = await submit(api, 1, 1)
    assert abs(instant_of(UUID(answer["submission_id"])) - datetime.now(UTC)) < timedelta(seconds=10)


async def test_requests_are_measured_by_their_routes(api: Api) -> None:
    await api.http.get("/api/users/404/rank")
    async with httpx.AsyncClient() as nobody:
        text = (await nobody.get(f"{api.url}/metrics")).text
    counted = [line for line in text.splitlines() if line.startswith("shardboard_request_duration_seconds_count")]
    (line,) = [one for one in counted if 'protocol="rest"' in one and 'code="NOT_FOUND"' in one and "rank" in one]
    assert 'operation="/api/users/{user_id}/rank"' in line
    assert float(line.rpartition(" ")[2]) >= 1
