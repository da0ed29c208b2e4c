"""`python -m rest.openapi` prints the OpenAPI 3.1 document; with `--write` it renews rest/openapi.json."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from domain.board import PAGE_SIZE_MAX, SKIP_MAX
from domain.errors import ErrorCode
from rest import models, read_history, read_leaderboard
from rest.openapi_texts import INTRODUCTION, PROBLEMS, RATE_LIMIT_HEADERS, REQUEST_ID
from rest.problems import title_of
from rest.submit_score import KEY_HEADER

Json = dict[str, Any]

_SCHEMAS = "#/components/schemas/"
_EVERYWHERE = ("400", "401", "403", "429", "503", "504", "500")
_UUID = {"type": "string", "format": "uuid"}
_REQUEST_ID: Json = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
_KEY_OR_NOTHING: list[Json] = [{"credential": []}, {}]


def make_document() -> Json:
    """The document, as JSON has it."""
    _, schemas = msgspec.json.schema_components(
        [
            models.ScoreInput,
            models.ScoreRecorded,
            models.Leaderboard,
            models.PlayerRank,
            models.History,
            models.Problem,
        ],
        ref_template=_SCHEMAS + "{name}",
    )
    schemas["Problem"]["properties"]["code"]["enum"] = [
        code.value for code in ErrorCode if code is not ErrorCode.QUERY_TOO_COMPLEX
    ]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Shardboard",
            "version": "1.0.0",
            "summary": "A sharded leaderboard: submit scores, read ranks.",
            "description": INTRODUCTION,
            "license": {"name": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "scores", "description": "Submit what was played."},
            {"name": "ranks", "description": "Read who is where."},
        ],
        "paths": {
            "/api/scores": {"post": _submit_score()},
            "/api/leaderboard": {"get": _read_leaderboard()},
            "/api/users/{user_id}/rank": {"get": _read_rank()},
            "/api/users/{user_id}/history": {"get": _read_history()},
        },
        "components": {
            "schemas": schemas,
            "responses": {str(status): _problem(status, *texts) for status, texts in PROBLEMS.items()},
            "headers": {
                **{
                    name: {"description": text, "schema": {"type": "string" if "Policy" in name else "integer"}}
                    for name, text in RATE_LIMIT_HEADERS.items()
                },
                "X-Request-Id": {"description": REQUEST_ID, "schema": {"type": "string"}},
                "ETag": {"description": "What `If-None-Match` may hold next time.", "schema": {"type": "string"}},
            },
            "securitySchemes": {
                "credential": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A server key, an admin key or a player's token (JWT).",
                }
            },
        },
    }


def write_document() -> bytes:
    """The document as it is served and committed."""
    return msgspec.json.format(msgspec.json.encode(make_document()), indent=2) + b"\n"


def _submit_score() -> Json:
    key = {
        "name": KEY_HEADER,
        "in": "header",
        "description": "Another place for `submission_id`, with quotes or without; both must be the same.",
        "schema": _UUID,
    }
    example = {
        "user_id": 42,
        "username": "Ada",
        "score": 1200,
        "game_mode": "duo",
        "duration_seconds": 300,
    }
    return {
        "operationId": "submitScore",
        "tags": ["scores"],
        "summary": "Record one played session",
        "description": "Adds its score to the player's total, durably, and says where the player stands then. "
        "Send a `submission_id`; whatever happens on the way, send it again until there is an answer: it counts once.",
        "security": [{"credential": []}],
        "parameters": [key],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _ref("ScoreInput"), "example": example}},
        },
        "responses": {
            "200": _answer("ScoreRecorded", "It is recorded, by this request or by an earlier one."),
            "409": _response("409"),
            "413": _response("413"),
            "415": _response("415"),
            **_problems(),
        },
    }


def _read_leaderboard() -> Json:
    limit = _integer("limit", "How many players.", 1, PAGE_SIZE_MAX, read_leaderboard.LIMIT_USUAL)
    return _read("readLeaderboard", "The best players", "Best first.", "Leaderboard", [limit])


def _read_rank() -> Json:
    read = _read("readRank", "Where a player stands", "Over all players.", "PlayerRank", [_user_id()])
    read["responses"]["404"] = _response("404")
    return read


def _read_history() -> Json:
    after = {
        "name": "after",
        "in": "query",
        "description": "The id of the last session seen: only older ones are shown, however many new ones came.",
        "schema": _UUID,
    }
    parameters = [
        _user_id(),
        _integer("limit", "How many sessions.", 1, PAGE_SIZE_MAX, read_history.LIMIT_USUAL),
        _integer("offset", "How many of them to leave out first; further back, use `after`.", 0, SKIP_MAX, 0),
        after,
    ]
    read = _read(
        "readHistory",
        "A player's sessions",
        "Newest first; empty for somebody who never played. Where there are more, the header `Link` has the next page.",
        "History",
        parameters,
    )
    read["responses"]["200"]["headers"]["Link"] = {
        "description": 'The next page, relative to this address, as `<…>; rel="next"`; missing on the last.',
        "schema": {"type": "string"},
    }
    return read


def _read(operation_id: str, summary: str, description: str, schema: str, parameters: list[Json]) -> Json:
    etag = {
        "name": "If-None-Match",
        "in": "header",
        "description": "The `ETag` of an earlier answer: 304 without a body if it still holds.",
        "schema": {"type": "string"},
    }
    answer = _answer(schema, "As it is now.")
    answer["headers"] = {"ETag": {"$ref": "#/components/headers/ETag"}, **answer["headers"]}
    return {
        "operationId": operation_id,
        "tags": ["ranks"],
        "summary": summary,
        "description": description,
        "security": _KEY_OR_NOTHING,
        "parameters": [*parameters, etag],
        "responses": {
            "200": answer,
            "304": {"description": "What the client has is still so.", "headers": dict(answer["headers"])},
            **_problems(),
        },
    }


def _user_id() -> Json:
    return {
        "name": "user_id",
        "in": "path",
        "required": True,
        "description": "A signed 64-bit integer in decimal.",
        "schema": {"type": "integer", **models.USER_ID_RANGE},
        "example": 42,
    }


def _integer(name: str, description: str, low: int, high: int, default: int) -> Json:
    schema = {"type": "integer", "minimum": low, "maximum": high, "default": default}
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _answer(schema: str, description: str) -> Json:
    limits = {name: {"$ref": f"#/components/headers/{name}"} for name in RATE_LIMIT_HEADERS if name != "Retry-After"}
    return {
        "description": description,
        "headers": limits | _REQUEST_ID,
        "content": {"application/json": {"schema": _ref(schema)}},
    }


def _problems() -> Json:
    return {status: _response(status) for status in _EVERYWHERE}


def _problem(status: int, description: str, code: ErrorCode, detail: str) -> Json:
    example: Json = {
        "type": "about:blank",
        "title": title_of(status),
        "status": status,
        "detail": detail,
        "code": code.value,
    }
    headers: Json = dict(_REQUEST_ID)
    if status in (429, 503):
        example["retry_after"] = 1 if status == 503 else 60
        headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    if status == 401:
        headers["WWW-Authenticate"] = {"description": "`Bearer`.", "schema": {"type": "string"}}
    return {
        "description": description,
        "headers": headers,
        "content": {"application/problem+json": {"schema": _ref("Problem"), "example": example}},
    }


def _response(status: str) -> Json:
    return {"$ref": f"#/components/responses/{status}"}


def _ref(schema: str) -> Json:
    return {"$ref": _SCHEMAS + schema}


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        Path(__file__).with_name("openapi.json").write_bytes(write_document())
    else:
        sys.stdout.buffer.write(write_document())
