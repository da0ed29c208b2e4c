"""The form of requests and answers, after the GraphQL-over-HTTP specification."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from graphql import build_client_schema, get_introspection_query, print_schema

from graph.schema import GRAPHQL_SCHEMA
from infra.local.cluster import LocalCluster
from tests.acceptance.client import Api, stored, without_ids

JSON_TYPE = "application/json; charset=utf-8"
STRICT_TYPE = "application/graphql-response+json; charset=utf-8"
STRICT = {"accept": "application/graphql-response+json"}
BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PREFLIGHT = {"graphql-require-preflight": "1"}
SUBMIT = 'mutation { submitScore(input: {userId: 7, username: "a", score: 1}) { duplicate } }'


def refusal(response: httpx.Response) -> tuple[int, str, str]:
    """The status, code and message of a refused request."""
    assert list(response.json()) == ["errors"]
    (error,) = response.json()["errors"]
    assert list(error) == ["message", "extensions"]
    return response.status_code, error["extensions"]["code"], error["message"]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, JSON_TYPE),
        ("*/*", JSON_TYPE),
        ("application/json", JSON_TYPE),
        ("application/graphql-response+json", STRICT_TYPE),
        ("application/graphql-response+json, application/json;q=0.9", STRICT_TYPE),
        (BROWSER["accept"], JSON_TYPE),
    ],
)
async def test_the_answer_is_of_the_type_that_was_asked_for(api: Api, accept: str | None, content_type: str) -> None:
    response = await api.http.post(
        "/graphql", json={"query": "{ __typename }"}, headers={"accept": accept} if accept else {}
    )
    assert response.status_code == 200
    assert response.headers["content-type"] == content_type
    assert response.headers["content-length"] == str(len(response.content))
    assert response.text == '{"data":{"__typename":"Query"}}'


@pytest.mark.parametrize(
    ("body", "strict_status"),
    [
        ({"query": "{ nothing }"}, 400),
        ({"query": "{"}, 400),
        ({"query": "query A { __typename } query B { __typename }"}, 400),
        ({"query": "query ($u: ID!) { rank(userId: $u) { rank } }"}, 400),
        ({"query": '{ rank(userId: "x") { rank } }'}, 200),
        ({"query": '{ history(userId: "x") { totalCount } }'}, 200),
    ],
)
async def test_only_a_refused_request_has_another_status_and_only_in_the_strict_type(
    api: Api, body: dict[str, Any], strict_status: int
) -> None:
    plain = await api.http.post("/graphql", json=body)
    strict = await api.http.post("/graphql", json=body, headers=STRICT)
    assert (plain.status_code, strict.status_code) == (200, strict_status)
    told = plain.json()
    assert without_ids(told) == without_ids(strict.json())
    assert ("data" in told) == (strict_status == 200)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The body cannot be read: not valid JSON: "),
        (b"{", "The body cannot be read: not valid JSON: "),
        (b'{"query": "\xff"}', "The body cannot be read: not valid JSON: "),
        (b'{"query": "\\ud800"}', "The body cannot be read: not valid JSON: "),
        (b'{"query": NaN}', "The body cannot be read: not valid JSON: "),
        (
            b'{"query": "{ __typename }", "query": "{ a }"}',
            'The body cannot be read: the entry "query" is there twice.',
        ),
        (b"[" * 50_000 + b"]" * 50_000, "The body cannot be read: not valid JSON: "),
        (
            b'{"query": "{ __typename }", "variables": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
            "The body cannot be read: not valid JSON: ",
        ),
        (b"5", "The body must be one JSON object with the entry `query`, not a batch."),
        (b'"{ __typename }"', "The body must be one JSON object with the entry `query`, not a batch."),
        (b"true", "The body must be one JSON object with the entry `query`, not a batch."),
        (b"[]", "The body must be one JSON object with the entry `query`, not a batch."),
        (b'[{"query": "{ __typename }"}]', "The body must be one JSON object with the entry `query`, not a batch."),
        (b"null", "The body must be one JSON object with the entry `query`, not a batch."),
        (b"{}", "The entry `query` must hold the text of a GraphQL document."),
        (b'{"query": ""}', "The entry `query` must hold the text of a GraphQL document."),
        (b'{"query": 5}', "The entry `query` must hold the text of a GraphQL document."),
        (b'{"query": "{ a }", "variables": []}', "The entry `variables` must be an object or null."),
        (b'{"query": "{ a }", "variables": "{}"}', "The entry `variables` must be an object or null."),
        (b'{"query": "{ a }", "operationName": 5}', "The entry `operationName` must be a string or null."),
        (b'{"query": "{ a }", "extensions": 5}', "The entry `extensions` must be an object or null."),
    ],
)
@pytest.mark.parametrize("headers", [{}, STRICT])
async def test_a_malformed_body_is_refused(api: Api, content: bytes, message: str, headers: dict[str, str]) -> None:
    response = await api.http.post("/graphql", content=content, headers={"content-type": "application/json"} | headers)
    status, code, said = refusal(response)
    assert (status, code) == (400, "BAD_USER_INPUT")
    assert said.startswith(message)


async def test_empty_members_are_as_good_as_none(api: Api) -> None:
    body = {"query": "{ __typename }", "variables": None, "operationName": None, "extensions": None}
    assert (await api.http.post("/graphql", json=body)).json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize("content_type", ["text/plain", "application/graphql", "application/json; charset=latin-1", ""])
async def test_a_body_of_another_type_is_refused(api: Api, content_type: str) -> None:
    response = await api.http.post(
        "/graphql", content=b'{"query": "{ __typename }"}', headers={"content-type": content_type}
    )
    expected = (415, "BAD_USER_INPUT", "The body must be sent as Content-Type: application/json.")
    assert refusal(response) == expected


TOO_LARGE = (413, "BAD_USER_INPUT", "The body may have 65536 bytes, or 1000000 with submitScores.")


async def in_pieces(body: bytes) -> Any:
    for start in range(0, len(body), 50_000):
        yield body[start : start + 50_000]


def padded(query: str, length: int, **fields: Any) -> bytes:
    """The body of a request, made `length` bytes long by spaces."""
    return json.dumps({"query": query, **fields}).encode().ljust(length)


@pytest.mark.parametrize("length", [65_537, 1_000_001])
async def test_a_body_beyond_64_kilobytes_is_refused(api: Api, clean: LocalCluster, length: int) -> None:
    headers = {"content-type": "application/json"}
    for query in (SUBMIT, "{ __typename }"):
        for body in (padded(query, length), in_pieces(padded(query, length))):
            response = await api.http.post("/graphql", content=body, headers=headers)
            assert refusal(response) == TOO_LARGE
            assert response.headers["connection"] == "close"
    assert await stored(clean) == []


async def test_a_bulk_may_have_a_megabyte(api: Api, clean: LocalCluster) -> None:
    headers = {"content-type": "application/json"}
    many = "mutation ($inputs: [SubmitScoreInput!]!) { submitScores(inputs: $inputs) { payload { duplicate } } }"
    inputs = [{"userId": "7", "username": "a", "score": 1}]
    body = padded(many, 1_000_000, variables={"inputs": inputs})
    refused = await api.http.post("/graphql", content=body + b" ", headers=headers)
    assert refusal(refused) == TOO_LARGE
    assert await stored(clean) == []
    response = await api.http.post("/graphql", content=in_pieces(body), headers=headers)
    assert response.json() == {"data": {"submitScores": [{"payload": {"duplicate": False}}]}}


async def test_a_body_in_pieces_is_read_whole(api: Api) -> None:
    async def pieces() -> Any:
        yield b'{"query": '
        yield b'"{ __typename }"}'

    response = await api.http.post("/graphql", content=pieces(), headers={"content-type": "application/json"})
    assert response.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_refused(api: Api, method: str) -> None:
    response = await api.http.request(method, "/graphql", json={"query": "{ __typename }"})
    assert refusal(response) == (405, "BAD_USER_INPUT", "GraphQL is served to POST and GET.")
    assert response.headers["allow"] == "GET, POST"


async def test_a_get_reads(api: Api) -> None:
    await api.submit(userId="7", username="Ada ✨", score=1)
    parameters = {
        "query": "query One { __typename } query Two($u: ID!) { rank(userId: $u) { username } }",
        "operationName": "Two",
        "variables": '{"u": "7"}',
    }
    response = await api.http.get("/graphql", params=parameters, headers=PREFLIGHT)
    assert response.json() == {"data": {"rank": {"username": "Ada ✨"}}}


@pytest.mark.parametrize(
    ("headers", "runs"),
    [
        ({}, False),
        ({"accept": "application/json"}, False),
        ({"content-type": "text/plain"}, False),
        ({"content-type": "application/x-www-form-urlencoded"}, False),
        ({"graphql-require-preflight": ""}, False),
        ({"graphql-require-preflight": "1"}, True),
        ({"apollo-require-preflight": "true"}, True),
        ({"x-apollo-operation-name": "Top"}, True),
        ({"content-type": "application/json; charset=utf-8"}, True),
    ],
)
async def test_a_get_needs_a_header_that_other_sites_cannot_send(api: Api, headers: dict[str, str], runs: bool) -> None:
    response = await api.http.get("/graphql", params={"query": "{ __typename }"}, headers=headers)
    if runs:
        assert response.json() == {"data": {"__typename": "Query"}}
        return
    status, code, message = refusal(response)
    assert (status, code) == (400, "BAD_USER_INPUT")
    assert "GraphQL-Require-Preflight" in message


async def test_one_that_asks_for_events_by_name_needs_none(api: Api) -> None:
    # EventSource sends no header of its own; what it may run changes nothing.
    events = {"accept": "text/event-stream"}
    read = await api.http.get("/graphql", params={"query": "{ __typename }"}, headers=events)
    assert read.text.startswith('event: next\ndata: {"data":{"__typename":"Query"}}')
    assert (await api.http.get("/graphql", params={"query": SUBMIT}, headers=events)).status_code == 405


async def test_a_get_never_writes(api: Api, clean: LocalCluster) -> None:
    response = await api.http.get("/graphql", params={"query": SUBMIT}, headers=PREFLIGHT)
    assert refusal(response) == (405, "BAD_USER_INPUT", "A GET only reads; send mutations by POST.")
    assert response.headers["allow"] == "POST"
    assert await stored(clean) == []


@pytest.mark.parametrize(
    ("query_string", "message"),
    [
        ("", "The entry `query` must hold the text of a GraphQL document."),
        ("query=%ff", "The parameters of the URL cannot be read: "),
        (
            "query={__typename}&query={__typename}",
            "The parameters of the URL cannot be read: one of them is",
        ),
        ('query={__typename}&variables={"a":1,"a":2}', 'The parameters of the URL cannot be read: the entry "a" is'),
        ("query={__typename}&variables={", "The parameters of the URL cannot be read: "),
        ("query={__typename}&variables=[]", "The entry `variables` must be an object or null."),
        ("&".join(f"a{n}=1" for n in range(30)), "The parameters of the URL cannot be read: "),
    ],
)
async def test_a_malformed_get_is_refused(api: Api, query_string: str, message: str) -> None:
    status, code, said = refusal(await api.http.get(f"/graphql?{query_string}", headers=PREFLIGHT))
    assert (status, code) == (400, "BAD_USER_INPUT")
    assert said.startswith(message)


async def test_a_client_that_takes_anything_gets_no_page(api: Api) -> None:
    for accept in ("*/*", "application/json", "application/graphql-response+json, */*"):
        response = await api.http.get(
            "/graphql", params={"query": "{ __typename }"}, headers={"accept": accept} | PREFLIGHT
        )
        assert response.json() == {"data": {"__typename": "Query"}}


async def test_a_subscription_is_not_for_plain_http(api: Api) -> None:
    response = await api.http.post("/graphql", json={"query": "subscription { topChanged { board } }"})
    assert response.status_code == 406
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "graphql-transport-ws" in error["message"]
    assert "text/event-stream" in error["message"]


async def test_the_explorer_can_read_the_schema(api: Api) -> None:
    introspected = (await api.send(get_introspection_query()))["data"]
    assert print_schema(build_client_schema(introspected)) == print_schema(GRAPHQL_SCHEMA)


async def test_an_operation_beyond_the_limits_is_refused_whole(api: Api, clean: LocalCluster) -> None:
    fields = " ".join(
        f'm{n}: submitScore(input: {{userId: 7, username: "a", score: 1}}) {{ duplicate }}' for n in range(21)
    )
    assert await api.refused(f"mutation {{ {fields} }}") == (
        "QUERY_TOO_COMPLEX",
        "An operation may have 20 root fields, aliases counted; got 21.",
    )
    assert await stored(clean) == []


async def test_no_other_path_is_graphql(api: Api) -> None:
    assert (await api.http.post("/graphql/", json={"query": "{ __typename }"})).status_code == 405
    assert (await api.http.get("/graphql/more")).status_code == 404
