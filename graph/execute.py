"""An operation, executed: compiled where that can be, by graphql-core otherwise, with the same answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import isawaitable
from typing import Any

from graphql import ExecutionResult, Executor, GraphQLResolveInfo, GraphQLSchema, execute, located_error
from graphql.execution import execute_subscription_event
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graph.compile.operation import RootField
from graph.compile.reader import RefusedValueError
from graph.context import Context
from graph.documents import Prepared
from graph.errors import shown

Answer = dict[str, Any]
"""`data`, `errors` or both. Without `data`, the request was refused and nothing of it ran."""

_NOTHING: Mapping[str, Any] = {}


async def execute_operation(
    schema: GraphQLSchema, prepared: Prepared, context: Context, variables: dict[str, Any]
) -> Answer:
    """The answer to one operation of a valid document."""
    compiled = prepared.compiled
    if compiled is None:
        return await execute_by_core(schema, prepared, context, variables)
    try:
        arguments = compiled.bind(variables)
    except RefusedValueError:
        return await execute_by_core(schema, prepared, context, variables)
    only = compiled.only
    if only is not None:
        try:
            source = await only.resolve(context, arguments[0])
        except Exception as error:
            return failed(only, error)
        outcomes = {only.key: source}
    else:
        outcomes = await compiled.resolve(context, arguments)
    data = compiled.write(outcomes)
    if data is None:
        return await execute_by_core(schema, prepared, context, variables, outcomes)
    return {"data": data}


async def execute_by_core(
    schema: GraphQLSchema,
    prepared: Prepared,
    context: Context,
    variables: dict[str, Any],
    outcomes: Mapping[str, Any] = _NOTHING,
) -> Answer:
    """The answer as graphql-core makes it.

    Args:
        outcomes: what root resolvers that have run returned or raised, by response key; they do not run again.
    """
    result = execute(
        schema,
        prepared.document,
        context_value=context,
        variable_values=variables,
        operation_name=prepared.operation_name,
        is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]  # it returns a plain bool
        executor_class=StrawberryGraphQLCoreExecutionContext,
        middleware=[_replay(outcomes)] if outcomes else None,
        hide_suggestions=not prepared.suggestions,
    )
    if isawaitable(result):
        result = await result
    assert isinstance(result, ExecutionResult)
    return _answer_of(result)


def _answer_of(result: ExecutionResult) -> Answer:
    if not result.errors:
        return {"data": result.data}
    errors = shown(result.errors)
    if result.data is None and all(error.path is None for error in result.errors):
        return {"errors": errors}
    return {"errors": errors, "data": result.data}


async def execute_event(
    schema: GraphQLSchema, prepared: Prepared, context: Context, variables: dict[str, Any], event: Any
) -> Answer:
    """The answer that one event of a subscription comes to. `context` belongs to this event alone: it loads anew."""
    executor = StrawberryGraphQLCoreExecutionContext.build(
        schema,
        prepared.document,
        root_value=event,
        context_value=context,
        raw_variable_values=variables,
        operation_name=prepared.operation_name,
        is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]  # it returns a plain bool
        hide_suggestions=not prepared.suggestions,
    )
    assert isinstance(executor, Executor), "its variables were good when the subscription began"
    result = execute_subscription_event(executor)
    if isawaitable(result):
        result = await result
    return _answer_of(result)


def failed(field: RootField, error: Exception) -> Answer:
    """The answer when the only resolver of an operation failed: what graphql-core makes of it, without its costs."""
    errors = shown([located_error(error, field.nodes, [field.key])])
    return {"errors": errors, "data": {field.key: None} if field.nullable else None}


def _replay(outcomes: Mapping[str, Any]) -> Callable[..., Any]:
    def resolve(next_: Callable[..., Any], source: Any, info: GraphQLResolveInfo[Context], **arguments: Any) -> Any:
        key = str(info.path.key)
        if info.path.prev is not None or key not in outcomes:
            return next_(source, info, **arguments)
        return _again(outcomes[key])

    return resolve


async def _again(outcome: Any) -> Any:
    # A coroutine as the resolver itself was: what one root field's error does to the others depends on it.
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
