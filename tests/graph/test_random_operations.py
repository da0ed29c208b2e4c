"""Compiled operations answer byte for byte as graphql-core does: any operation, any variables."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.graph import world
from tests.graph.compare import both, prepared
from tests.graph.operations import operations

ANY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def _inhabited(monkeypatch: pytest.MonkeyPatch) -> None:
    world.inhabit(monkeypatch)


@ANY
@given(operations())
async def test_any_operation_over_plain_fields_is_compiled_and_answers_as_graphql_core(
    made: tuple[str, dict[str, Any]],
) -> None:
    query, variables = made
    operation = prepared(query)
    assert operation.compiled is not None
    served, core = await both(operation, variables)
    assert served == core


@ANY
@given(operations(loaded=True))
async def test_any_operation_answers_as_graphql_core(made: tuple[str, dict[str, Any]]) -> None:
    query, variables = made
    served, core = await both(prepared(query), variables)
    assert served == core
