"""One subscription, whoever watches it: where its events come from and what each of them comes to."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator
from typing import Any, NamedTuple

import orjson
from graphql import (
    ExecutionResult,
    Executor,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    SelectionSetNode,
    create_source_event_stream,
    located_error,
)
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from domain.errors import Unavailable
from graph.compile.event import compile_event
from graph.context import Context
from graph.documents import Prepared
from graph.errors import request_error, shown
from graph.execute import Answer, execute_event
from graph.schema import GRAPHQL_SCHEMA
from service.parts import Parts
from wire.deadlines import Deadlines

# What tells one event from the next even where nothing else changed.
_ALWAYS_NEW = ("sequence", "asOf")


class SubscriptionFailed(Exception):
    """It cannot begin or go on; `errors` says why, as clients are told."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__("the subscription failed")
        self.errors = errors


class Result(NamedTuple):
    """What one event comes to. `shown` is its part that a watcher would miss: equal for two that look the same."""

    payload: str
    shown: Any


class Subscription:
    """A valid subscription with the variables of a request."""

    def __init__(self, parts: Parts, prepared: Prepared, variables: dict[str, Any], deadlines: Deadlines) -> None:
        self._parts = parts
        self._prepared = prepared
        self._variables = variables
        self._deadlines = deadlines
        self._compiled = compile_event(GRAPHQL_SCHEMA, prepared.document, prepared.operation)
        self._always_new = set(_keys_of_always_new(prepared))

    async def events(self) -> AsyncIterable[Any]:
        """The source of its events.

        Raises:
            SubscriptionFailed: its variables or arguments are refused.
        """
        executor = StrawberryGraphQLCoreExecutionContext.build(
            GRAPHQL_SCHEMA,
            self._prepared.document,
            context_value=Context(self._parts),
            raw_variable_values=self._variables,
            operation_name=self._prepared.operation_name,
            hide_suggestions=not self._prepared.suggestions,
        )
        if not isinstance(executor, Executor):
            raise SubscriptionFailed(shown(executor))
        source = create_source_event_stream(executor)
        if not isinstance(source, (AsyncIterable, ExecutionResult)):
            source = await source
        if isinstance(source, ExecutionResult):
            raise SubscriptionFailed(shown(source.errors or []))
        return source

    async def result(self, event: Any) -> Result:
        """What `event` comes to; within the deadline of a request, as its fields may ask shards."""
        compiled = self._compiled
        answer: Answer
        if compiled is not None:
            answer = {"data": {compiled.key: compiled.write(event)}}
        else:
            try:
                answer = await self._deadlines.within(
                    execute_event(GRAPHQL_SCHEMA, self._prepared, Context(self._parts), self._variables, event)
                )
            except Unavailable as error:
                answer = request_error(error) | {"data": None}
        return Result(orjson.dumps(answer, option=orjson.OPT_UTC_Z).decode(), self._shown(answer))

    def failure(self, error: Exception) -> SubscriptionFailed:
        """What `error`, which ended the source, is to who watches."""
        (field,) = _root_fields(self._prepared)
        key = (field.alias or field.name).value
        return SubscriptionFailed(shown([located_error(error, [field], [key])]))

    def _shown(self, answer: Answer) -> Any:
        (root,) = (answer.get("data") or {"": None}).values()
        entries = None if root is None else {key: root[key] for key in root if key not in self._always_new}
        return entries, answer.get("errors")


def _root_fields(prepared: Prepared) -> list[FieldNode]:
    """The only root field, once for each time it is written."""
    return list({_response_key(node): node for node in _fields(prepared, [prepared.operation.selection_set])}.values())


def _keys_of_always_new(prepared: Prepared) -> Iterator[str]:
    """The response keys of the fields below the root that differ in every event."""
    roots = [node.selection_set for node in _fields(prepared, [prepared.operation.selection_set]) if node.selection_set]
    return (_response_key(node) for node in _fields(prepared, roots) if node.name.value in _ALWAYS_NEW)


def _fields(prepared: Prepared, selection_sets: list[SelectionSetNode]) -> Iterator[FieldNode]:
    """The fields of one level, fragments written out, left out by a directive or not."""
    fragments = {
        definition.name.value: definition
        for definition in prepared.document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    for selection_set in selection_sets:
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                yield selection
            elif isinstance(selection, FragmentSpreadNode):
                yield from _fields(prepared, [fragments[selection.name.value].selection_set])
            else:
                yield from _fields(prepared, [selection.selection_set])  # type: ignore[attr-defined]


def _response_key(node: FieldNode) -> str:
    return (node.alias or node.name).value
