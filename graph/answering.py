"""From a GraphQL request to the bytes of its answer."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, NamedTuple

import orjson

from domain.board import check_board
from domain.errors import NotFound, Unavailable
from graph.compile.operation import Arguments, CompiledOperation, RootField
from graph.compile.reader import RefusedValueError
from graph.context import Context
from graph.deadlines import Deadlines
from graph.documents import Documents, Prepared, RefusedDocument
from graph.errors import request_error
from graph.execute import Answer, execute_by_core, execute_operation, failed
from graph.hot_answers import HotAnswers, Render
from graph.pages import LeaderboardConnection
from graph.request import GraphRequest
from graph.schema import GRAPHQL_SCHEMA
from service.parts import Parts


class Reply(NamedTuple):
    """The body of an answer. `refused`: the request was refused before any of its operation ran."""

    body: bytes
    refused: bool


class Answering:
    """Answers the requests of one process, from kept bytes where they still hold."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._documents = Documents(GRAPHQL_SCHEMA)
        self._deadlines = Deadlines(parts.deadline_s)
        self._hot = HotAnswers(parts.board_version)
        self.find_kept = self._hot.find

    def prepare(self, request: GraphRequest) -> Prepared | RefusedDocument:
        """The operation that `request` asks for."""
        return self._documents.prepare(request.query, request.operation_name)

    async def answer(self, key: bytes, prepared: Prepared, request: GraphRequest) -> Reply:
        """The answer to `request`, which came as the bytes `key`, within the deadline of a request.

        Args:
            prepared: its operation, a query or a mutation.
        """
        hot = _hot_field(prepared, request.variables)
        if hot is not None:
            compiled, field, arguments = hot
            board = arguments["board"]

            def make() -> Awaitable[Render | bytes]:
                return self._make_hot(prepared, compiled, field, arguments, request.variables)

            return Reply(await self._hot.answer(key, board, make), False)
        try:
            answer = await self._deadlines.within(
                execute_operation(GRAPHQL_SCHEMA, prepared, Context(self._parts), request.variables)
            )
        except Unavailable as error:
            answer = request_error(error) | {"data": None}
        return Reply(_written(answer), "data" not in answer)

    async def _make_hot(
        self,
        prepared: Prepared,
        compiled: CompiledOperation,
        field: RootField,
        arguments: Arguments,
        variables: dict[str, Any],
    ) -> Render | bytes:
        """The top of a board, to be written once as read and again as kept; an answer with errors is not kept."""
        try:
            page: LeaderboardConnection = await self._deadlines.within(field.resolve(Context(self._parts), arguments))
        except Exception as error:
            return _written(failed(field, error))
        if compiled.write({field.key: page}) is None:
            # Its values do not fit their types, a fault that graphql-core words.
            return _written(
                await execute_by_core(GRAPHQL_SCHEMA, prepared, Context(self._parts), {}, {field.key: page})
            )

        def render(cached: bool) -> bytes:
            page.cached = cached
            return _written({"data": compiled.write({field.key: page})})

        return render


def _hot_field(prepared: Prepared, variables: dict[str, Any]) -> tuple[CompiledOperation, RootField, Arguments] | None:
    """The only field of an operation that shows the top of an existing board, with its arguments."""
    compiled = prepared.compiled
    field = compiled.only if compiled is not None else None
    if compiled is None or field is None or field.name != "leaderboard":
        return None
    try:
        arguments = compiled.bind(variables)[0]
        check_board(arguments["board"])
    except (RefusedValueError, NotFound):
        return None
    return compiled, field, arguments


def _written(answer: Answer) -> bytes:
    return orjson.dumps(answer, option=orjson.OPT_UTC_Z)
