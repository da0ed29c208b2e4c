"""A process with too much to do sheds operations over sockets and streams, too; who watches stays."""

from __future__ import annotations

import json

import httpx
import pytest

from domain.resilience.admission import Admission
from infra.local.cluster import LocalCluster
from tests.acceptance.client import SUBMIT, stored, without_ids
from tests.live.inprocess import served_here
from tests.live.sockets import TOP, ready

ERRORS = [
    {
        "message": "The service has more to do than it can; try again with the same submissionId.",
        "extensions": {"code": "UNAVAILABLE", "retryAfter": 1},
    }
]
QUERY = '{ rank(userId: "1") { rank } }'
SCORE = {"input": {"userId": "1", "username": "Ada", "score": 5}}


async def test_single_answers_are_shed_and_watchers_are_not(
    clean: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.asgi.Admission", lambda: Admission(least=1, usual=1, most=1, under_way_s_max=60))
    async with served_here(clean) as service, ready(service.url, credential=service.server_key) as socket:
        streamed = httpx.Request(
            "POST", f"{service.url}/graphql", json={"query": QUERY}, headers={"accept": "text/event-stream"}
        )
        async with httpx.AsyncClient() as http:
            with service.application.admission.place(1):
                assert without_ids(await socket.refused("1", QUERY)) == ERRORS
                assert without_ids(await socket.refused("2", SUBMIT, variables=SCORE)) == ERRORS
                answer = await http.send(streamed)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
                assert without_ids(answer.json()) == {"errors": ERRORS}
                await socket.subscribe("3", TOP)
                assert (await socket.top("3"))["entries"] == []
                await socket.complete("3")
            assert await stored(clean) == []

            answered = await socket.run("4", SUBMIT, variables=SCORE)
            assert answered["data"]["submitScore"]["standing"]["totalScore"] == 5
            answer = await http.send(streamed)
            assert answer.status_code == 200
            assert json.loads(answer.text.split("data: ", 1)[1].split("\n")[0]) == {"data": {"rank": {"rank": 1}}}
        assert service.application.admission.taken == 0
