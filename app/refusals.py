"""Answers that are given before a request reaches its API, in the words of that API."""

from __future__ import annotations

import orjson

from domain.errors import ShardboardError
from graph.errors import request_error
from rest.endpoint import PREFIX
from rest.problems import refusal
from wire.request import JSON


def describe_refusal(path: str, status: int, error: ShardboardError) -> tuple[bytes, bytes]:
    """The media type and the body of the answer with `status` to a request for `path`."""
    if path.startswith(PREFIX):
        return refusal(status, error)
    return JSON + b"; charset=utf-8", orjson.dumps(request_error(error))
