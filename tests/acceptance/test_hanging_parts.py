"""A part that hangs: every operation is answered within its deadline, with what is known or the right code."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from infra.local.cluster import LocalCluster
from tests.acceptance.client import SUBMIT, SUBMIT_MANY, Api
from tests.apis import clients_of, running_apis, until_ranks_are_whole
from tests.factories import users_of_shard
from tests.waiting import until

DEADLINE_S = 2.0
# A deadline is kept a twentieth late at most; the rest is what busy machines take.
MARGIN_S = 0.6
OWN, *_ = users_of_shard(1, 1)
OTHER, *_ = users_of_shard(2, 1)

READS = {
    "leaderboard": "{ leaderboard(first: 5) { totalCount nodes { userId username totalScore rank } } }",
    "rank": f'{{ rank(userId: "{OWN}") {{ userId totalScore }} }}',
    "ranks": f'{{ ranks(userIds: ["{OWN}", "{OTHER}"]) {{ userId totalScore }} }}',
    "around": f'{{ around(userId: "{OWN}") {{ userId totalScore }} }}',
    "history": f'{{ history(userId: "{OWN}") {{ nodes {{ score }} }} }}',
}
WATCH = "subscription { topChanged(first: 5) { entries { userId } } }"


@pytest.fixture(scope="module")
async def impatient(cluster: LocalCluster) -> AsyncIterator[list[Api]]:
    variables = {"SHARDBOARD_DEADLINE_MS": str(int(DEADLINE_S * 1000))}
    async with running_apis(cluster, ("deadlines",), **variables) as children, clients_of(children) as apis:
        yield apis


@contextmanager
def hanging(cluster: LocalCluster, role: str) -> Iterator[None]:
    """The first process of a role stands still, with all its own."""
    process = psutil.Process(cluster.child(role, 1).pid)
    stopped = [process, *process.children(recursive=True)]
    for each in stopped:
        each.suspend()
    try:
        yield
    finally:
        for each in stopped:
            each.resume()


async def timed(work: Awaitable[Any]) -> tuple[Any, float]:
    began = time.monotonic()
    return await work, time.monotonic() - began


async def watch(api: Api) -> dict[str, Any]:
    """The first state that a watcher is shown, or why there is none."""
    headers = {"accept": "text/event-stream"}
    async with api.http.stream("POST", "/graphql", json={"query": WATCH}, headers=headers) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                answer: dict[str, Any] = json.loads(line.removeprefix("data: "))
                return answer
    raise AssertionError("the stream ended without a word")


def fields(user: int) -> dict[str, object]:
    return {"userId": str(user), "username": "Ada", "score": 1}


async def ask_everything(api: Api, numbers: Iterator[int]) -> dict[str, dict[str, Any]]:
    """All operations at once, each answered in time."""

    def send(query: str, variables: dict[str, Any] | None = None) -> Callable[[], Awaitable[dict[str, Any]]]:
        return lambda: api.send(query, variables, extensions={"number": next(numbers)})

    asked = {name: send(query) for name, query in READS.items()} | {
        "submitScore": send(SUBMIT, {"input": fields(OWN)}),
        "submitScores": send(SUBMIT_MANY, {"inputs": [fields(OWN), fields(OTHER)]}),
        "topChanged": lambda: watch(api),
    }
    answers = dict(zip(asked, await asyncio.gather(*(timed(ask()) for ask in asked.values())), strict=True))
    late = {name: seconds for name, (_, seconds) in answers.items() if seconds > DEADLINE_S + MARGIN_S}
    assert late == {}
    return {name: answer for name, (answer, _) in answers.items()}


def codes(answers: dict[str, dict[str, Any]]) -> dict[str, set[str]]:
    """What went wrong, by operation."""
    found = {
        name: {error["extensions"]["code"] for error in answer.get("errors", [])} for name, answer in answers.items()
    }
    results = (answers["submitScores"].get("data") or {}).get("submitScores") or []
    found["submitScores"] |= {result["error"]["code"] for result in results if result["error"]}
    return {name: each for name, each in found.items() if each}


NEEDS_THE_SHARD = {"history": {"UNAVAILABLE"}, "submitScore": {"UNAVAILABLE"}, "submitScores": {"UNAVAILABLE"}}


@pytest.mark.parametrize(
    ("role", "failing"), [("postgres", NEEDS_THE_SHARD), ("pgbouncer", NEEDS_THE_SHARD), ("valkey", {})]
)
async def test_every_operation_is_answered_in_time(
    clean: LocalCluster, impatient: list[Api], role: str, failing: dict[str, set[str]]
) -> None:
    (api,) = impatient
    await until_ranks_are_whole(clean)
    numbers = iter(range(10**6))
    for user in (OWN, OTHER):
        await api.submit(userId=str(user), username="Ada", score=10)
    with hanging(clean, role):
        for _ in range(2):
            answers = await ask_everything(api, numbers)
            assert codes(answers) == failing
            results = answers["submitScores"]["data"]["submitScores"]
            assert results[1]["payload"]["standing"]["userId"] == str(OTHER)
            assert [answers[name]["data"][name] is None for name in READS if name not in failing] == [False] * (
                len(READS) - len(failing.keys() & READS.keys())
            )

    async def works() -> bool:
        return codes(await ask_everything(api, numbers)) == {}

    await until(works)


async def test_a_recorded_score_never_misses_its_deadline_for_its_rank(
    clean: LocalCluster, impatient: list[Api]
) -> None:
    (api,) = impatient
    await until_ranks_are_whole(clean)
    # Redis has no rank, and the shards count none, as one of them does not answer: each is waited for, one by one.
    with hanging(clean, "valkey"), hanging(clean, "postgres"):
        answer = await api.send(SUBMIT_MANY, {"inputs": [fields(OTHER), fields(OTHER)]})
    results = answer["data"]["submitScores"]
    assert [result["error"] for result in results] == [None, None]
    assert [result["payload"]["standing"]["rank"] for result in results] == [None, None]
