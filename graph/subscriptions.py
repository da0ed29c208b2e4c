"""The root fields that are watched."""

# Descriptions in the schema stand for docstrings, and Strawberry types its decorators with arguments as Any.
# ruff: noqa: D101, D102
# mypy: disable-error-code="untyped-decorator"
from __future__ import annotations

from collections.abc import AsyncGenerator

import strawberry

from domain import standing as domain
from graph.context import Info
from graph.queries import GLOBAL_BOARD
from graph.types import TopChange
from service.watch import watch_top


@strawberry.type
class Subscription:
    @strawberry.subscription(
        graphql_type=TopChange,
        description=(
            "The current top of a board at once, and again each time it changes; bursts are coalesced, the newest "
            "state always arrives."
        ),
    )
    async def top_changed(
        self, info: Info, board: strawberry.ID = GLOBAL_BOARD, first: int = 10
    ) -> AsyncGenerator[domain.Top, None]:
        async for top in watch_top(info.context.parts, board, first):
            yield top
