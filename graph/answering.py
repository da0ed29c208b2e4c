"""From a GraphQL request to the bytes of its answer."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, NamedTuple

import orjson

from domain.access import Caller
from domain.board import check_board
from domain.errors import NotFound, ShardboardError, Unavailable
from domain.resilience.admission import Admission
from graph import cost, variables
from graph.compile.operation import Arguments, CompiledOperation, RootField
from graph.compile.reader import RefusedValueError
from graph.context import Context
from graph.disclosure import Disclosure
from graph.documents import Documents, Prepared, RefusedDocument
from graph.errors import request_error, shown
from graph.execute import Answer, execute_by_core, execute_operation, failed
from graph.pages import LeaderboardConnection
from graph.persisted import PersistedOperations
from graph.request import GraphRequest
from graph.schema import GRAPHQL_SCHEMA
from service.access import Access
from service.admit import admit_reads, admit_submissions
from service.parts import Parts
from service.rate_limits import Allowance
from wire.deadlines import Deadlines
from wire.hot_answers import HotAnswers, Render

KEPT_OPERATION = "leaderboard"
"""The root field whose answers are kept."""


class Reply(NamedTuple):
    """The body of an answer.

    `refused`: the request was refused before any of its operation ran. `retry_after_s`: when the errors in it say that
    another try is worth it, the longest of these times.
    """

    body: bytes
    refused: bool
    retry_after_s: int | None = None


class Answering:
    """Answers the requests of one process, from kept bytes where they still hold.

    place: for work on an operation that was not looked at where HTTP requests are, see `Admission.place`.
    """

    def __init__(
        self, parts: Parts, disclosure: Disclosure, persisted: PersistedOperations, admission: Admission
    ) -> None:
        self._parts = parts
        self.place = admission.place
        self._persisted = persisted
        self._documents = Documents(GRAPHQL_SCHEMA, disclosure)
        self._deadlines = Deadlines(parts.deadline_s)
        self._hot = HotAnswers[bytes](parts.board_version)
        self.find_kept = self._hot.find

    async def find_text(self, request: GraphRequest) -> GraphRequest | RefusedDocument:
        """A request that has only the id of its document, with the text."""
        assert request.document_id is not None
        try:
            return request._replace(query=await self._persisted.find(request.document_id))
        except ShardboardError as error:
            return RefusedDocument(request_error(error)["errors"], is_step=isinstance(error, NotFound))

    def prepare(self, request: GraphRequest) -> Prepared | RefusedDocument:
        """The operation that `request` asks for."""
        forbidden = self._persisted.check(request)
        if forbidden is not None:
            return RefusedDocument(request_error(forbidden)["errors"])
        prepared = self._documents.prepare(request.query, request.operation_name)
        if isinstance(prepared, RefusedDocument):
            return prepared
        self._persisted.keep(request)
        excess = variables.find_excess(request.variables)
        if excess is None and prepared.depends:
            excess = cost.find_excess(
                cost.Costs(GRAPHQL_SCHEMA, prepared.document, request.variables).of(prepared.operation)
            )
        return prepared if excess is None else RefusedDocument(shown([excess]))

    @property
    def access(self) -> Access:
        """Who may do what."""
        return self._parts.access

    def context(self, caller: Caller) -> Context:
        """What a request of `caller` works with."""
        return Context(self._parts, caller)

    async def admit(self, prepared: Prepared, caller: Caller) -> Allowance | None:
        """Let an operation in and count it; gives what its caller has left, None where nothing limits it.

        Raises:
            Unauthenticated, Forbidden, RateLimited: it is not let in; nothing of it ran.
        """
        if prepared.is_mutation:
            return await admit_submissions(self.access, caller, prepared.asked.submissions)
        return await admit_reads(self.access, caller, prepared.asked.reads)

    async def answer(self, key: bytes, prepared: Prepared, request: GraphRequest, context: Context) -> Reply:
        """The answer to `request`, which came as the bytes `key`, within the deadline of a request.

        Args:
            prepared: its operation, a query or a mutation that was let in.
        """
        hot = _hot_field(prepared, request.variables)
        if hot is not None:
            compiled, field, arguments = hot
            board = arguments["board"]

            def make() -> Awaitable[Render[bytes] | bytes]:
                return self._make_hot(prepared, compiled, field, arguments)

            return Reply(await self._hot.answer(key, board, make), False)
        try:
            answer = await self._deadlines.within(
                execute_operation(GRAPHQL_SCHEMA, prepared, context, request.variables)
            )
        except Unavailable as error:
            answer = request_error(error) | {"data": None}
        return Reply(_written(answer), "data" not in answer, _retry_after(answer) if "errors" in answer else None)

    async def _make_hot(
        self,
        prepared: Prepared,
        compiled: CompiledOperation,
        field: RootField,
        arguments: Arguments,
    ) -> Render[bytes] | bytes:
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


def _hot_field(
    prepared: Prepared, raw_variables: dict[str, Any]
) -> tuple[CompiledOperation, RootField, Arguments] | None:
    """The only field of an operation that shows the top of an existing board, with its arguments."""
    compiled = prepared.compiled
    field = compiled.only if compiled is not None else None
    if compiled is None or field is None or field.name != KEPT_OPERATION:
        return None
    try:
        arguments = compiled.bind(raw_variables)[0]
        check_board(arguments["board"])
    except (RefusedValueError, NotFound):
        return None
    return compiled, field, arguments


def _retry_after(answer: Answer) -> int | None:
    rests = [error["extensions"].get("retryAfter") for error in answer["errors"]]
    return max((rest_s for rest_s in rests if rest_s is not None), default=None)


def _written(answer: Answer) -> bytes:
    return orjson.dumps(answer, option=orjson.OPT_UTC_Z)
