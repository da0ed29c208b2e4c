"""A client of the API, and a look past it into the shards."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import asyncpg
import httpx

from infra.local.cluster import LocalCluster

_number = count()

STANDING = "rank userId username totalScore gamesPlayed lastPlayed percentile"
SESSION = "id userId score gameMode durationSeconds playedAt"
SUBMIT = f"""
    mutation ($input: SubmitScoreInput!) {{
        submitScore(input: $input) {{ session {{ {SESSION} }} standing {{ {STANDING} }} duplicate }}
    }}
"""
SUBMIT_MANY = f"""
    mutation ($inputs: [SubmitScoreInput!]!) {{
        submitScores(inputs: $inputs) {{
            payload {{ session {{ {SESSION} }} standing {{ {STANDING} }} duplicate }}
            error {{ code message }}
        }}
    }}
"""


class Api:
    """One API process, spoken to over HTTP.

    Args:
        credential: a key or a player's token, sent with every request; None for somebody without one.
    """

    def __init__(self, url: str, credential: str | None) -> None:
        self.url = url
        self.credential = credential
        self.http = httpx.AsyncClient(
            base_url=url,
            timeout=20,
            limits=httpx.Limits(max_connections=100),
            headers={"authorization": f"Bearer {credential}"} if credential else {},
        )

    async def send(self, query: str, variables: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        """The whole answer to an operation."""
        body = {"query": query, "variables": variables or {}, **fields}
        response = await self.http.post("/graphql", json=body)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "application/json; charset=utf-8"
        answer: dict[str, Any] = response.json()
        return answer

    async def ask(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The data of an operation, which has to succeed and is never taken from kept answers."""
        answer = await self.send(query, variables, extensions={"number": next(_number)})
        assert list(answer) == ["data"], answer
        data: dict[str, Any] = answer["data"]
        return data

    async def refused(self, query: str, variables: dict[str, Any] | None = None) -> tuple[str, str]:
        """The code and message of the one error of an operation, which has to fail."""
        answer = await self.send(query, variables, extensions={"number": next(_number)})
        (error,) = answer["errors"]
        return error["extensions"]["code"], error["message"]

    async def submit(self, **fields: Any) -> dict[str, Any]:
        """The payload of `submitScore`."""
        payload: dict[str, Any] = (await self.ask(SUBMIT, {"input": fields}))["submitScore"]
        return payload

    async def submit_many(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The results of `submitScores`."""
        results: list[dict[str, Any]] = (await self.ask(SUBMIT_MANY, {"inputs": inputs}))["submitScores"]
        return results


async def stored(cluster: LocalCluster) -> list[str]:
    """Every session, standing and player on all shards, as text: the same before and after what changes nothing."""
    lists = await asyncio.gather(*(_stored_on(shard.direct_url) for shard in cluster.shards))
    return sorted(row for rows in lists for row in rows)


async def _stored_on(direct_url: str) -> list[str]:
    connection = await asyncpg.connect(direct_url, timeout=5)
    try:
        rows = await connection.fetch(
            "select row_to_json(g)::text from game_sessions as g"
            " union all select row_to_json(l)::text from leaderboard as l"
            " union all select row_to_json(p)::text from players as p"
        )
    finally:
        await connection.close()
    return [row[0] for row in rows]


def without_ids(answer: Any) -> Any:
    """An answer, or its errors, without the ids of requests, of which each error must have one."""
    for error in answer if isinstance(answer, list) else answer["errors"]:
        assert error["extensions"].pop("id")
    return answer
