"""Requests that are parts of traces of their clients."""

from __future__ import annotations

from secrets import token_hex
from typing import Any

import httpx

from tests.acceptance.client import Api


class Client:
    """A client that begins a trace with each request.

    Attributes:
        span: the id of its own span, the parent of the service's.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self.span = token_hex(8)

    async def post(self, query: str, variables: dict[str, Any] | None = None, *, sampled: bool = True) -> str:
        """Ask by GraphQL; gives the id of the trace."""
        trace = token_hex(16)
        body = {"query": query, "variables": variables or {}, "extensions": {"trace": trace}}
        response = await self._api.http.post("/graphql", json=body, headers=self.headers(trace, sampled=sampled))
        assert response.status_code == 200, response.text
        return trace

    async def get(self, path: str) -> tuple[str, httpx.Response]:
        """The id of the trace, and the answer."""
        trace = token_hex(16)
        return trace, await self._api.http.get(path, headers=self.headers(trace))

    def headers(self, trace: str, *, sampled: bool = True) -> dict[str, str]:
        """What makes a request part of a trace."""
        return {"traceparent": f"00-{trace}-{self.span}-{'01' if sampled else '00'}"}
