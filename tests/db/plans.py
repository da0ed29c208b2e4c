"""What plans the server makes of the statements inside of functions, as auto_explain tells them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import make_url

from infra.local.cluster import LocalCluster
from tests.db.shards import connected

Node = dict[str, Any]


async def plans_of(
    server: LocalCluster, statement: str, *arguments: object, settings: Sequence[str] = ()
) -> list[Node]:
    """The plans, with what was measured, of everything that `statement` ran on the server's only shard."""
    plans: list[Node] = []
    url = make_url(server.shards[0].direct_url).set(username="postgres", password=server.identity.superuser_password)
    async with connected(url.render_as_string(hide_password=False)) as connection:

        def listen(_: object, message: Any) -> None:
            _, found, text = message.message.partition("plan:\n")
            if found:
                plans.append(json.loads(text)["Plan"])

        connection.add_log_listener(listen)
        await connection.execute("load 'auto_explain'")
        await connection.execute("set auto_explain.log_min_duration = 0; set auto_explain.log_nested_statements = on")
        await connection.execute("set auto_explain.log_analyze = on; set auto_explain.log_format = json")
        for setting in settings:
            await connection.execute(f"set {setting}")
        await connection.execute("set client_min_messages = log")
        await connection.fetch(statement, *arguments)
        await connection.execute("set client_min_messages = warning")
        # Messages are handed out in the next tick of the loop.
        await asyncio.sleep(0)
        connection.remove_log_listener(listen)
    return plans


def nodes_of(plan: Node) -> Iterator[Node]:
    """Every node of a plan."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes_of(child)


def rows_touched(node: Node) -> float:
    """How many rows a node gave out or threw away, over all of its loops."""
    thrown = sum(node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Join Filter", "Index Recheck"))
    return float(node["Actual Loops"] * (node["Actual Rows"] + thrown))
