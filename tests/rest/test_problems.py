"""How failures look: the status that fits, the contract's code, and nothing of the service's insides."""

from __future__ import annotations

import json
import logging

import pytest

from domain.errors import (
    BadUserInput,
    Conflict,
    Forbidden,
    MapError,
    NotFound,
    RateLimited,
    ShardboardError,
    TookTooLong,
    Unauthenticated,
    Unavailable,
)
from rest.problems import problem_of
from wire.request import RefusedRequestError


@pytest.mark.parametrize(
    ("error", "status", "title", "code"),
    [
        (BadUserInput("x"), 400, "Bad Request", "BAD_USER_INPUT"),
        (Unauthenticated("x"), 401, "Unauthorized", "UNAUTHENTICATED"),
        (Forbidden("x"), 403, "Forbidden", "FORBIDDEN"),
        (NotFound("x"), 404, "Not Found", "NOT_FOUND"),
        (Conflict("x"), 409, "Conflict", "CONFLICT"),
        (Unavailable("x"), 503, "Service Unavailable", "UNAVAILABLE"),
        (TookTooLong("x"), 504, "Gateway Timeout", "UNAVAILABLE"),
        (RefusedRequestError(413, "x"), 413, "Content Too Large", "BAD_USER_INPUT"),
        (RefusedRequestError(414, "x"), 414, "URI Too Long", "BAD_USER_INPUT"),
    ],
)
def test_each_failure_has_its_status(error: Exception, status: int, title: str, code: str) -> None:
    found, headers, body, found_code = problem_of(error, "17")
    assert (found, found_code) == (status, code)
    assert dict(headers)[b"content-type"] == b"application/problem+json"
    assert dict(headers)[b"cache-control"] == b"no-store"
    assert json.loads(body) == {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": "x",
        "code": code,
        "id": "17",
    }


def test_who_may_come_back_is_told_when() -> None:
    for error, status in ((RateLimited("x", 7, limit=60), 429), (Unavailable("x", 7), 503)):
        found, headers, body, _ = problem_of(error)
        assert (found, json.loads(body)["retry_after"]) == (status, 7)
        assert dict(headers)[b"retry-after"] == b"7"
    assert dict(problem_of(RateLimited("x", 7, limit=60))[1])[b"ratelimit-limit"] == b"60"
    assert dict(problem_of(Unauthenticated("x"))[1])[b"www-authenticate"] == b"Bearer"


@pytest.mark.parametrize("error", [RuntimeError("select 1 on 10.0.0.1"), MapError("bucket 5 has two owners")])
def test_faults_are_masked_and_logged_under_their_id(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        status, _, body, _ = problem_of(error)
    problem = json.loads(body)
    (record,) = caplog.records
    assert (status, problem["code"], problem["detail"]) == (500, "INTERNAL_SERVER_ERROR", "Internal server error.")
    assert problem["id"] == record.error_id  # type: ignore[attr-defined]
    assert str(error) not in body.decode()
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@pytest.mark.parametrize("error_type", [Conflict, Unavailable])
def test_ids_are_named_as_they_are_here(error_type: type[ShardboardError]) -> None:
    _, _, body, _ = problem_of(error_type("try again with the same submissionId."))
    assert json.loads(body)["detail"] == "try again with the same submission_id."
