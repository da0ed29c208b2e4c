"""Fetch a small document over HTTP."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request

_TIMEOUT_S = 3.0
_BYTES_MAX = 1_000_000


class FetchError(Exception):
    """It could not be had; says why."""


async def fetch_json(url: str) -> str:
    """The text at an http(s) address that its operator configured.

    Raises:
        FetchError: there is no answer in time, or none that is a document of a sensible size.
    """
    return await asyncio.to_thread(_fetch, url)


def _fetch(url: str) -> str:
    request = urllib.request.Request(url, headers={"accept": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
            body: bytes = response.read(_BYTES_MAX + 1)
    except (OSError, urllib.error.URLError, ValueError) as error:
        raise FetchError(f"{url}: {error}") from None
    if len(body) > _BYTES_MAX:
        raise FetchError(f"{url} is longer than {_BYTES_MAX} bytes")
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise FetchError(f"{url} is not UTF-8") from None
