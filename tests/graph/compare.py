"""One operation executed both ways."""

from __future__ import annotations

import re
from typing import Any

import orjson

from graph.documents import Prepared, prepare
from graph.execute import Answer, execute_by_core, execute_operation
from graph.schema import GRAPHQL_SCHEMA
from tests.graph.world import context

_ERROR_ID = re.compile(rb'"id":"[0-9a-f]{32}"')


def prepared(query: str, operation_name: str | None = None) -> Prepared:
    """The operation of a document, which has to be valid."""
    made = prepare(GRAPHQL_SCHEMA, query, operation_name)
    assert isinstance(made, Prepared), made.errors
    return made


def written(answer: Answer) -> bytes:
    """The answer as it is sent, but for the random ids of internal errors."""
    return _ERROR_ID.sub(b'"id":"some"', orjson.dumps(answer, option=orjson.OPT_UTC_Z))


async def both(operation: Prepared, variables: dict[str, Any]) -> tuple[bytes, bytes]:
    """What is served, and what graphql-core alone would answer."""
    served = await execute_operation(GRAPHQL_SCHEMA, operation, context(), variables)
    core = await execute_by_core(GRAPHQL_SCHEMA, operation, context(), variables)
    return written(served), written(core)
