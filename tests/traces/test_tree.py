"""What a collector sees of requests: whole trees, in the traces of those who asked, and nothing of the players."""

from __future__ import annotations

import asyncio
import json
from secrets import token_hex
from typing import Any

import pytest

from infra.local.cluster import LocalCluster
from tests.acceptance.client import SUBMIT, Api
from tests.factories import shard_number_of
from tests.traces.collector import Collector, Seen
from tests.traces.requests import Client
from tests.waiting import until

USER, SCORE, NAME, MODE = "918273645546372819", 77_665_544, "Zaphod Beeblebrox", "heart-of-gold"
INPUT = {"userId": USER, "username": NAME, "score": SCORE, "gameMode": MODE}

Tree = dict[str, Any]


def tree_of(spans: list[Seen], parent: str) -> Tree:
    """The spans below one by their names."""
    return {f"{s.kind} {s.name}": tree_of(spans, s.id) for s in spans if s.parent == parent}


async def ended(collector: Collector, trace: str) -> list[Seen]:
    """All spans of a request's trace, which is over when the server's span has come: it ends last."""
    await until(lambda: any(span.kind == "SERVER" for span in collector.of(trace)))
    return collector.of(trace)


@pytest.fixture
async def client(traced_apis: list[Api]) -> Client:
    """A client of a process that has sent its scripts to Redis."""
    await traced_apis[0].submit(userId="1", username="first", score=1)
    return Client(traced_apis[0])


async def test_a_submission_is_one_tree_in_the_trace_of_its_client(client: Client, collector: Collector) -> None:
    spans = await ended(collector, await client.post(SUBMIT, {"input": INPUT}))
    assert tree_of(spans, client.span) == {
        "SERVER POST /graphql": {
            "INTERNAL mutation submitScore": {
                "INTERNAL record sessions batch": {"CLIENT SELECT record_sessions": {}},
                "INTERNAL apply rows batch": {"CLIENT EVALSHA apply": {}},
            }
        }
    }
    by_name = {span.name: span for span in spans}
    operation = by_name["mutation submitScore"]
    batches = by_name["record sessions batch"], by_name["apply rows batch"]
    assert operation.links == {batch.id for batch in batches}
    assert [batch.links for batch in batches] == [{operation.id}, {operation.id}]
    assert not any(span.failed for span in spans)


async def test_attributes_follow_the_conventions(client: Client, collector: Collector, clean: LocalCluster) -> None:
    spans = await ended(collector, await client.post(SUBMIT, {"input": INPUT}))
    attributes = {span.name: span.attributes for span in spans}
    assert attributes["POST /graphql"] == {
        "http.request.method": "POST",
        "http.route": "/graphql",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "url.path": "/graphql",
        "url.scheme": "http",
    }
    assert attributes["mutation submitScore"] == {
        "graphql.operation.name": "submitScore",
        "graphql.operation.type": "mutation",
    }
    sql = attributes["SELECT record_sessions"]
    shard = next(each for each in clean.shards if each.name == sql["shardboard.shard"])
    assert sql == {
        "db.namespace": "shardboard",
        "db.operation.name": "SELECT",
        "db.query.summary": "SELECT record_sessions",
        "db.system.name": "postgresql",
        "server.address": "127.0.0.1",
        "server.port": int(shard.url.rpartition(":")[2].partition("/")[0]),
        "shardboard.shard": shard.name,
    }
    assert attributes["record sessions batch"] == {
        "shardboard.part": f"Shard {shard.name}",
        "shardboard.batch.size": 1,
    }
    assert attributes["EVALSHA apply"] == {
        "db.operation.name": "EVALSHA",
        "db.stored_procedure.name": "apply",
        "db.system.name": "redis",
        "server.address": "127.0.0.1",
        "server.port": int(clean.redis_url.rpartition(":")[2].partition("/")[0]),
    }


async def test_a_batch_is_linked_with_each_request_in_it(client: Client, collector: Collector) -> None:
    # One player, so one shard: what comes while a batch is under way makes the next one.
    traces = set(await asyncio.gather(*(client.post(SUBMIT, {"input": INPUT}) for _ in range(40))))

    def operations() -> list[Seen]:
        return [s for s in collector.spans if s.trace in traces and s.name == "mutation submitScore"]

    await asyncio.gather(*(ended(collector, trace) for trace in traces))
    asked = operations()
    assert len(asked) == 40
    for work, call in (("record sessions batch", "SELECT record_sessions"), ("apply rows batch", "EVALSHA apply")):
        batches = [s for s in collector.spans if s.trace in traces and s.name == work]
        assert sum(batch.attributes["shardboard.batch.size"] for batch in batches) == 40
        assert len(batches) < 40
        # Who is in which batch, as the batches and as the requests tell it.
        told_by_batches = {(batch.id, id_) for batch in batches for id_ in batch.links}
        ids = {batch.id for batch in batches}
        assert told_by_batches == {(id_, each.id) for each in asked for id_ in each.links & ids}
        assert sorted(id_ for _, id_ in told_by_batches) == sorted(each.id for each in asked)
        for batch in batches:
            assert batch.parent in batch.links
            assert [s.name for s in collector.spans if s.parent == batch.id] == [call]


async def test_a_bulk_has_one_link_with_each_batch(client: Client, collector: Collector) -> None:
    inputs = [{"userId": USER, "username": NAME, "score": n} for n in range(20)]
    query = "mutation ($inputs: [SubmitScoreInput!]!) { submitScores(inputs: $inputs) { error { code } } }"
    spans = await ended(collector, await client.post(query, {"inputs": inputs}))
    (operation,) = [span for span in spans if span.name == "mutation submitScores"]
    batches = [span for span in spans if span.name.endswith(" batch")]
    assert [batch.attributes["shardboard.batch.size"] for batch in batches] == [20, 20]
    assert operation.links == {batch.id for batch in batches}


async def test_nothing_of_a_player_is_told(client: Client, traced_apis: list[Api], collector: Collector) -> None:
    submitted = await traced_apis[0].submit(**INPUT)
    history = f"history(userId: {USER}, gameMode: {json.dumps(MODE)}) {{ totalCount }}"
    reads = f"query Of_{USER} {{ rank(userId: {USER}) {{ rank }} {history} }}"
    traces = [
        await client.post(SUBMIT, {"input": INPUT | {"submissionId": submitted["session"]["id"]}}),
        # Refused, with a message that names what was sent.
        await client.post(SUBMIT, {"input": INPUT | {"submissionId": submitted["session"]["id"], "score": SCORE + 1}}),
        await client.post(reads),
        await client.post(f'{{ rank(userId: "{USER}x") {{ rank }} }}'),
        (await client.get(f"/graphql?query={{rank(userId:{USER}){{rank}}}}"))[0],
        (await client.get(f"/players/{USER}?key={traced_apis[0].credential}"))[0],
    ]
    spans = [span for trace in traces for span in await ended(collector, trace)]
    told = json.dumps([[span.name, span.attributes] for span in spans])
    key = traced_apis[0].credential
    secrets = (USER, str(SCORE), str(SCORE + 1), NAME, MODE, str(key), submitted["session"]["id"], "$1", "userId")
    assert [secret for secret in secrets if secret in told] == []
    asked = [span for span in spans if span.kind != "CLIENT"]
    assert {span.attributes.get("error.type") for span in asked} == {None, "BAD_USER_INPUT", "CONFLICT"}
    assert not any(span.failed for span in asked)


async def test_a_client_that_is_not_recorded_is_not_recorded_here(client: Client, collector: Collector) -> None:
    passed_over = await client.post(SUBMIT, {"input": INPUT}, sampled=False)
    await ended(collector, await client.post(SUBMIT, {"input": INPUT}))
    assert collector.of(passed_over) == []


async def test_a_path_is_told_by_its_route(client: Client, collector: Collector) -> None:
    trace, response = await client.get("/health")
    assert response.status_code == 200
    (server,) = [span for span in await ended(collector, trace) if span.kind == "SERVER"]
    assert (server.name, server.attributes["http.route"]) == ("GET /health", "/health")


async def test_rest_is_told_as_graphql_is(client: Client, traced_apis: list[Api], collector: Collector) -> None:
    trace = token_hex(16)
    body = {"user_id": USER, "username": NAME, "score": SCORE}
    await traced_apis[0].http.post("/api/scores", json=body, headers=client.headers(trace))
    assert tree_of(await ended(collector, trace), client.span) == {
        "SERVER POST /api/scores": {
            "INTERNAL record sessions batch": {"CLIENT SELECT record_sessions": {}},
            "INTERNAL apply rows batch": {"CLIENT EVALSHA apply": {}},
        }
    }
    for path, route, status in (
        (f"/api/users/{USER}/rank", "/api/users/{user_id}/rank", 200),
        (f"/api/users/{USER}/history?limit=3", "/api/users/{user_id}/history", 200),
        ("/api/users/17/rank", "/api/users/{user_id}/rank", 404),
        (f"/api/users/{USER}/nothing", None, 404),
    ):
        trace, response = await client.get(path)
        spans = await ended(collector, trace)
        (server,) = [span for span in spans if span.kind == "SERVER"]
        assert server.name == f"GET {route}" if route else server.name == "GET"
        assert server.attributes.get("http.route") == server.attributes.get("url.path") == route
        assert server.attributes["http.response.status_code"] == response.status_code == status
        assert USER not in json.dumps([[span.name, span.attributes] for span in spans])


async def test_each_process_speaks_for_itself(client: Client, traced_apis: list[Api], collector: Collector) -> None:
    one, other = (
        await client.post(SUBMIT, {"input": INPUT}),
        await Client(traced_apis[1]).post("{ leaderboard { totalCount } }"),
    )
    processes = [{span.process for span in await ended(collector, trace)} for trace in (one, other)]
    assert [len(names) for names in processes] == [1, 1]
    assert processes[0] != processes[1]


async def test_what_the_service_is_to_blame_for_has_failed(
    client: Client, traced_apis: list[Api], collector: Collector, clean: LocalCluster
) -> None:
    postgres = clean.child("postgres", shard_number_of(int(USER)))
    await postgres.stop()
    try:
        spans = await ended(collector, await client.post(SUBMIT, {"input": INPUT}))
    finally:
        await postgres.start()
    failed = {span.name: span.attributes["error.type"] for span in spans if span.failed}
    assert failed["mutation submitScore"] == "UNAVAILABLE"
    assert "POST /graphql" not in failed

    async def healthy() -> bool:
        return bool((await traced_apis[0].http.get("/health")).json()["status"] == "healthy")

    await until(healthy)
