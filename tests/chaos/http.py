"""A client that costs next to nothing: one keep-alive connection, written and read by hand."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import orjson

from tests.chaos.history import BROKEN, TIMEOUT, Failure

# Longer than the service's own deadline, so that what it says at its end is heard.
ANSWER_S_MAX = 8.0


class Connection:
    """One connection to an API process; opened when first used, and anew after it broke.

    Args:
        key: what it shows with every request.
    """

    def __init__(self, url: str, key: str) -> None:
        address = urlsplit(url)
        self._head = (
            f"POST /graphql HTTP/1.1\r\nhost: here\r\nauthorization: Bearer {key}\r\n"
            "content-type: application/json\r\ncontent-length: "
        ).encode()
        assert address.hostname is not None
        assert address.port is not None
        self._address = (address.hostname, address.port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, query: str, variables: dict[str, Any], **fields: Any) -> dict[str, Any] | Failure:
        """The data of an operation, or why there is none: its first error, or that nothing came back."""
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                answer = await self._exchange(orjson.dumps({"query": query, "variables": variables, **fields}))
        except (OSError, EOFError) as error:
            self.close()
            return Failure(BROKEN, repr(error))
        except TimeoutError:
            self.close()
            return Failure(TIMEOUT, f"no answer within {ANSWER_S_MAX} s")
        except asyncio.CancelledError:
            # What comes now belongs to nobody.
            self.close()
            raise
        if "errors" in answer:
            first = answer["errors"][0]
            return Failure(first["extensions"]["code"], first["message"])
        data: dict[str, Any] = answer["data"]
        return data

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _exchange(self, body: bytes) -> dict[str, Any]:
        if self._streams is not None and self._streams[0].at_eof():
            # The process at the other end was ended while nobody asked it anything.
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        writer.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        answer: dict[str, Any] = orjson.loads(await reader.readexactly(length))
        return answer
