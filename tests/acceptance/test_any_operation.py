"""Operations that schemathesis makes up from the served schema: whatever they ask, none is a fault of the service."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
import requests
import schemathesis
from graphql import StringValueNode
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from tests.acceptance.client import Api
from tests.acceptance.generated import send_cases

EXAMPLES = 15
"""Of each root field."""

FAULTS = {"INTERNAL_SERVER_ERROR", "UNAVAILABLE"}

schemathesis.graphql.scalar("Score", st.integers(-(2**60), 2**60).map(schemathesis.graphql.nodes.Int))
schemathesis.graphql.scalar(
    "UUID", (st.uuids().map(str) | st.text(max_size=40)).map(lambda text: StringValueNode(value=text))
)
schemathesis.graphql.scalar("DateTime", st.datetimes().map(lambda at: StringValueNode(value=at.isoformat())))


def ask_whatever(api: Api, mode: GenerationMode) -> Counter[str]:
    """How often which code, or none, was answered."""
    answered: Counter[str] = Counter()
    schema = schemathesis.graphql.from_url(f"{api.url}/graphql")
    session = requests.Session()
    session.headers["authorization"] = f"Bearer {api.credential}"

    def ask(case: Any) -> None:
        response = case.call(session=session, headers={"accept": "application/json"})
        assert response.status_code < 500, (response.status_code, case.body, response.text)
        answer = json.loads(response.content)
        codes = [error["extensions"]["code"] for error in answer.get("errors", ())]
        assert not FAULTS & set(codes), (case.body, answer)
        answered.update(codes or ["data"])

    send_cases(schema, mode, ask, each=EXAMPLES, seed=20_261_124)
    return answered


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(GenerationMode.POSITIVE, {"data", "BAD_USER_INPUT", "NOT_FOUND"}), (GenerationMode.NEGATIVE, {"BAD_USER_INPUT"})],
)
async def test_no_operation_is_a_fault_of_the_service(api: Api, mode: GenerationMode, expected: set[str]) -> None:
    assert expected <= set(await asyncio.to_thread(ask_whatever, api, mode))
