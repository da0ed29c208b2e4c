"""A database that gets less done than is asked of it: what is too much is refused and told so, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

from infra.local.cluster import LocalCluster
from tests.acceptance.client import SUBMIT, SUBMIT_MANY, Api, stored, without_ids
from tests.apis import clients_of, running_apis, until_ranks_are_whole
from tests.factories import make_id, users_of_shard
from tests.waiting import until

USERS = users_of_shard(1, 30)
OTHERS = users_of_shard(2, 5)
QUEUE_MAX, BATCH_MAX = 5, 2
ACCEPTED_MAX = QUEUE_MAX + BATCH_MAX


@pytest.fixture(scope="module")
async def small(cluster: LocalCluster) -> AsyncIterator[list[Api]]:
    variables = {"SHARDBOARD_QUEUE_ROWS_MAX": str(QUEUE_MAX), "SHARDBOARD_BATCH_ROWS_MAX": str(BATCH_MAX)}
    async with running_apis(cluster, ("small",), **variables) as children, clients_of(children) as apis:
        yield apis


async def submit(api: Api, user: int, id_: str) -> httpx.Response:
    fields = {"userId": str(user), "username": "Ada", "score": 1, "submissionId": id_}
    return await api.http.post("/graphql", json={"query": SUBMIT, "variables": {"input": fields}})


def refusal(response: httpx.Response) -> dict[str, Any] | None:
    """The one error of an answer; None where there is none."""
    answer = response.json()
    return without_ids(answer)["errors"][0] if "errors" in answer else None


async def test_what_is_too_much_is_refused_and_can_be_sent_again(clean: LocalCluster, small: list[Api]) -> None:
    (api,) = small
    await until_ranks_are_whole(clean)
    await api.submit(userId=str(USERS[0]), username="Ada", score=1)
    ids = {user: str(make_id()) for user in USERS}
    locker = await asyncpg.connect(clean.shards[0].direct_url)
    try:
        async with locker.transaction():
            await locker.execute("lock table game_sessions in share mode")
            tasks = {user: asyncio.create_task(submit(api, user, ids[user])) for user in USERS}
            # One batch is under way and the queue behind it is full: the others are told at once.
            await until(lambda: sum(task.done() for task in tasks.values()) >= len(USERS) - ACCEPTED_MAX)
            # Who needs another shard notices nothing, neither does who asks for health or for a rank.
            for user in OTHERS:
                assert refusal(await submit(api, user, str(make_id()))) is None
            assert (await api.ask(f'{{ rank(userId: "{USERS[0]}") {{ totalScore }} }}'))["rank"] == {"totalScore": 1}
            assert (await api.http.get("/health")).json()["status"] == "healthy"
            results = (
                await api.http.post(
                    "/graphql",
                    json={
                        "query": SUBMIT_MANY,
                        "variables": {
                            "inputs": [
                                {"userId": str(user), "username": "Ada", "score": 1} for user in (USERS[0], OTHERS[0])
                            ]
                        },
                    },
                )
            ).json()["data"]["submitScores"]
            assert [result["error"] and result["error"]["code"] for result in results] == ["UNAVAILABLE", None]
        answers = {user: await task for user, task in tasks.items()}
    finally:
        await locker.close()
    answered = {user for user, response in answers.items() if refusal(response) is None}
    # The batch under way had one row or two.
    assert ACCEPTED_MAX - 1 <= len(answered) <= ACCEPTED_MAX
    shed = answers.keys() - answered
    for response in (answers[user] for user in shed):
        error = refusal(response)
        assert error is not None
        assert error["extensions"] == {"code": "UNAVAILABLE", "retryAfter": 1}
        assert error["message"] == (
            "Shard shard1 has more work waiting than it can do; try again with the same submissionId."
        )
        assert response.headers["retry-after"] == "1"
    for user in shed:
        response = await submit(api, user, ids[user])
        assert refusal(response) is None
        assert response.json()["data"]["submitScore"]["duplicate"] is False
    for user in answered:
        assert (await submit(api, user, ids[user])).json()["data"]["submitScore"]["duplicate"] is True
    sessions = Counter(id_ for row in await stored(clean) for id_ in ids.values() if f'"id":"{id_}"' in row)
    assert sessions == dict.fromkeys(ids.values(), 1)
