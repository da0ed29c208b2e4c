"""Requests that schemathesis makes up from the OpenAPI document: each is answered as the document says."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import count
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth

from rest.openapi import make_document
from tests.acceptance.client import Api
from tests.acceptance.generated import send_cases
from tests.factories import make_id

EXAMPLES = 25
"""Of each route."""

# Ids of now, which is what the service takes; the others are for the requests that are wrong on purpose.
schemathesis.openapi.format("uuid", st.builds(lambda: str(make_id())))

_user_ids = count(1)


def make_sensible(case: Any) -> None:
    """What a document cannot say of a session: one place for its id, no signature by chance, a total in its range."""
    if isinstance(case.body, dict) and case.method == "POST":
        case.body.pop("signature", None)
        case.body["user_id"] = next(_user_ids)
        if case.body.get("submission_id") is not None and case.headers:
            case.headers.pop("Idempotency-Key", None)


def send_whatever(api: Api, mode: GenerationMode) -> Counter[tuple[str, int]]:
    """How often which route answered with which status."""
    answered: Counter[tuple[str, int]] = Counter()
    session = requests.Session()
    headers = {"authorization": f"Bearer {api.credential}"}
    schema = schemathesis.openapi.from_dict(make_document())
    schema.config.update(base_url=api.url)

    def send(case: Any) -> None:
        if mode is GenerationMode.POSITIVE:
            make_sensible(case)
        # Whether a credential is asked for is another test's: schemathesis would take this one for made up.
        response = case.call_and_validate(session=session, headers=headers, excluded_checks=[ignored_auth])
        answered[case.path, response.status_code] += 1

    send_cases(schema, mode, send, each=EXAMPLES, seed=20_261_130)
    return answered


POSITIVE = {
    ("/api/scores", 200),
    ("/api/leaderboard", 200),
    ("/api/users/{user_id}/rank", 404),
    ("/api/users/{user_id}/history", 200),
}
NEGATIVE = {
    ("/api/scores", 400),
    ("/api/leaderboard", 400),
    ("/api/users/{user_id}/rank", 400),
    ("/api/users/{user_id}/history", 400),
}


@pytest.mark.parametrize(
    ("mode", "expected"), [(GenerationMode.POSITIVE, POSITIVE), (GenerationMode.NEGATIVE, NEGATIVE)]
)
async def test_every_request_is_answered_as_the_document_says(
    api: Api, mode: GenerationMode, expected: set[tuple[str, int]]
) -> None:
    answered = await asyncio.to_thread(send_whatever, api, mode)
    assert expected <= set(answered), answered
