"""Faults of the service: told by an id and nothing else, and under this id whole in the log."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from domain.errors import BadUserInput, ErrorCode, OperatorError
from graph.disclosure import OPEN
from graph.documents import Prepared, prepare
from graph.errors import code_and_message, internal_error
from graph.execute import execute_operation
from graph.schema import GRAPHQL_SCHEMA
from tests.graph import world

SECRET = "secret"
ID = re.compile(r"[0-9a-f]{32}")


def whole(log: pytest.LogCaptureFixture) -> tuple[str, BaseException]:
    """The id and the error of the one record that was logged."""
    (record,) = log.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[1] is not None
    error_id: str = record.__dict__["error_id"]
    assert error_id in record.getMessage()
    return error_id, record.exc_info[1]


@pytest.fixture(autouse=True)
def inhabited(monkeypatch: pytest.MonkeyPatch) -> None:
    world.inhabit(monkeypatch)


async def answer(query: str) -> dict[str, Any]:
    made = prepare(GRAPHQL_SCHEMA, query, None, OPEN)
    assert isinstance(made, Prepared)
    return await execute_operation(GRAPHQL_SCHEMA, made, world.context(), {})


@pytest.mark.parametrize("user_id", [world.BROKEN, world.OPERATORS])
async def test_a_field_that_breaks(user_id: int, caplog: pytest.LogCaptureFixture) -> None:
    answered = await answer(f"{{ rank(userId: {user_id}) {{ rank }} }}")
    error_id, error = whole(caplog)
    assert str(error) == SECRET
    assert answered["errors"] == [
        {
            "message": "Internal server error.",
            "locations": [{"line": 1, "column": 3}],
            "path": ["rank"],
            "extensions": {"code": "INTERNAL_SERVER_ERROR", "id": error_id},
        }
    ]


def test_a_request_that_breaks(caplog: pytest.LogCaptureFixture) -> None:
    fault = RuntimeError(SECRET)
    answered = internal_error(fault)
    error_id, error = whole(caplog)
    assert error is fault
    assert answered == {
        "errors": [
            {"message": "Internal server error.", "extensions": {"code": "INTERNAL_SERVER_ERROR", "id": error_id}}
        ]
    }


@pytest.mark.parametrize("fault", [OperatorError(SECRET), RuntimeError(SECRET)])
def test_a_fault_that_has_only_a_message_tells_the_id_in_it(fault: Exception, caplog: pytest.LogCaptureFixture) -> None:
    code, message = code_and_message(fault)
    error_id, error = whole(caplog)
    assert error is fault
    assert (code, message) == (ErrorCode.INTERNAL_SERVER_ERROR, f"Internal server error; its id is {error_id}.")
    assert ID.fullmatch(error_id)


async def test_so_does_a_result_of_a_bulk(caplog: pytest.LogCaptureFixture) -> None:
    inputs = " ".join(f'{{userId: 1, username: "a", score: {score}}}' for score in (1, world.BROKEN, 2))
    answered = await answer(
        f"mutation {{ submitScores(inputs: [{inputs}]) {{ payload {{ duplicate }} error {{ code message }} }} }}"
    )
    error_id, error = whole(caplog)
    assert str(error) == SECRET
    fine = {"payload": {"duplicate": False}, "error": None}
    message = f"Internal server error; its id is {error_id}."
    broken = {"payload": None, "error": {"code": "INTERNAL_SERVER_ERROR", "message": message}}
    assert answered == {"data": {"submitScores": [fine, broken, fine]}}


def test_what_is_expected_is_told_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert code_and_message(BadUserInput("no")) == (ErrorCode.BAD_USER_INPUT, "no")
    assert caplog.records == []
