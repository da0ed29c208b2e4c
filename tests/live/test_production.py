"""A process as the open internet meets it: it tells nothing of its schema, runs what is listed, and knows its pages."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from infra.local.cluster import LocalCluster
from tests.acceptance.client import without_ids
from tests.live.inprocess import served_here
from tests.live.sockets import opened, ready
from tests.live.streams import got

GAME = "https://game.example"
SCHEMA = "{ __schema { queryType { name } } }"
NO_SCHEMA = "GraphQL introspection has been disabled, but the requested query contained the field '__schema'."
LISTED = "{ leaderboard { totalCount } }"
NOT_LISTED = {
    "message": "Only the operations that the operator has listed run here; this is none of them.",
    "extensions": {"code": "FORBIDDEN"},
}


async def test_the_schema_is_told_over_no_transport(clean: LocalCluster) -> None:
    async with served_here(clean, production=True) as service, httpx.AsyncClient(base_url=service.url) as http:
        posted = (await http.post("/graphql", json={"query": SCHEMA})).json()
        assert posted["errors"][0]["message"] == NO_SCHEMA
        async with got(service.url, SCHEMA) as stream:
            event = await stream.event()
            assert event is not None
            assert event.data["errors"][0]["message"] == NO_SCHEMA
        async with ready(service.url) as socket:
            assert (await socket.refused("1", SCHEMA))[0]["message"] == NO_SCHEMA
            (error,) = await socket.refused("2", "subscription { topChange { board } }")
            assert error["message"] == "Cannot query field 'topChange' on type 'Subscription'."
        # No page either, where there would be one.
        page = await http.get("/graphql", headers={"accept": "text/html"})
        assert (page.status_code, page.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_USER_INPUT")
        assert (await http.get("/settings.json")).json()["graphiql"] is False


async def test_only_what_is_listed_runs(clean: LocalCluster, tmp_path: Path) -> None:
    path = tmp_path / "operations.json"
    path.write_text(json.dumps({"top": LISTED}))
    top = {"persistedQuery": {"version": 1, "sha256Hash": "top"}}
    empty = {"data": {"leaderboard": {"totalCount": 0}}}
    async with (
        served_here(clean, operations_file=path, operations_only=True) as service,
        httpx.AsyncClient(base_url=service.url) as http,
        ready(service.url) as socket,
    ):
        assert (await http.post("/graphql", json={"extensions": top})).json() == empty
        assert (await http.post("/graphql", json={"query": LISTED})).json() == empty
        assert await socket.run("1", LISTED) == empty
        for query in ("{ __typename }", LISTED + " ", "mutation { submitScore(input: {}) { duplicate } }"):
            strict = {"accept": "application/graphql-response+json"}
            response = await http.post("/graphql", json={"query": query, "extensions": top}, headers=strict)
            assert (response.status_code, without_ids(response.json())) == (400, {"errors": [NOT_LISTED]})
            assert without_ids(await socket.refused("2", query)) == [NOT_LISTED]
        other = {"persistedQuery": {"version": 1, "sha256Hash": "other"}}
        unknown = await http.post("/graphql", json={"extensions": other})
        assert without_ids(unknown.json()) == {"errors": [NOT_LISTED]}


async def test_pages_of_other_sites(clean: LocalCluster) -> None:
    async with served_here(clean, cors_origins=[GAME]) as service, httpx.AsyncClient(base_url=service.url) as http:
        body = {"query": "{ __typename }"}
        allowed = await http.post("/graphql", json=body, headers={"origin": GAME})
        assert allowed.headers["access-control-allow-origin"] == GAME
        other = await http.post("/graphql", json=body, headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
        asked = {"origin": GAME, "access-control-request-method": "POST"}
        assert (await http.options("/graphql", headers=asked)).status_code == 204
        for origin in (GAME, service.url, None):
            async with opened(service.url, origin=origin) as socket:
                await socket.init()
        with pytest.raises(InvalidStatus) as refused:
            async with opened(service.url, origin="https://evil.example"):
                pass
        assert refused.value.response.status_code == 403
        assert service.connections == 0


async def test_without_a_list_there_are_none(clean: LocalCluster) -> None:
    async with served_here(clean) as service, httpx.AsyncClient(base_url=service.url) as http:
        answer = await http.post("/graphql", json={"query": "{ __typename }"}, headers={"origin": GAME})
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        asked = {"origin": GAME, "access-control-request-method": "POST"}
        assert (await http.options("/graphql", headers=asked)).status_code == 405
        with pytest.raises(InvalidStatus):
            async with opened(service.url, origin=GAME):
                pass
