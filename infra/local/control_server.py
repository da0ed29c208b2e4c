"""The supervisor's side of the control channel; `control` is the other side.

One connection is one request: a line of JSON comes in, `{"token": …, "command": …, "name": …}`, and a line of JSON
goes out, `{"done": …}` or `{"error": "…"}`. It listens on the loopback interface alone, which the other users of the
machine reach too; therefore the token, which stands in a file that only the owner may read.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from domain.errors import OperatorError
from infra.local.child import Announce
from infra.local.cluster_file import ControlAddress
from infra.local.ports import HOST

LINE_BYTES_MAX = 4_096
READ_SECONDS_MAX = 5.0

Command = Callable[[str], Awaitable[Any]]


@asynccontextmanager
async def serve_control(commands: Mapping[str, Command], announce: Announce) -> AsyncIterator[ControlAddress]:
    """Take requests until the block ends; those under way then are cancelled, and waited for until they have ended.

    Args:
        commands: what each command does with a name; what it returns becomes the answer, as JSON.
        announce: gets a line when a command fails in a way that nobody expected.
    """
    requests = _Requests(commands, secrets.token_urlsafe(32), announce)
    server = await asyncio.start_server(requests.serve, HOST, 0, limit=LINE_BYTES_MAX)
    try:
        yield ControlAddress(server.sockets[0].getsockname()[1], requests.token)
    finally:
        server.close()
        await requests.end()


class _Requests:
    def __init__(self, commands: Mapping[str, Command], token: str, announce: Announce) -> None:
        self.token = token
        self._commands = commands
        self._announce = announce
        self._under_way: set[asyncio.Task[None]] = set()
        self._ending = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            # A connection that was accepted while the server was being closed begins here after `end`.
            answer = {"error": "the cluster is being stopped"} if self._ending else await self._answer(reader)
        except asyncio.CancelledError:
            # Not raised on: nobody but `end` cancels this task, and it ends here.
            answer = {"error": "the cluster was stopped before this was done; start it and give the command again"}
        finally:
            self._under_way.discard(task)
        writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    async def end(self) -> None:
        self._ending = True
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader) -> dict[str, Any]:
        try:
            command, name = self._understand(await _read_line(reader))
            return {"done": await command(name)}
        except OperatorError as error:
            return {"error": str(error)}
        except Exception as error:
            self._announce(f"!! a command failed: {error!r}")
            return {"error": f"the cluster failed at this in a way it should not: {error!r}"}

    def _understand(self, line: bytes) -> tuple[Command, str]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            raise OperatorError("the request is not a line of JSON") from None
        if not isinstance(request, dict):
            raise OperatorError("the request is not a JSON object")
        token, command, name = (request.get(key) for key in ("token", "command", "name"))
        if not isinstance(token, str) or not hmac.compare_digest(_bytes(token), _bytes(self.token)):
            raise OperatorError("the token is not the one in cluster.json")
        if not isinstance(command, str) or command not in self._commands:
            raise OperatorError(f"there are the commands {', '.join(self._commands)}, and not this one")
        if not isinstance(name, str):
            raise OperatorError("the request names no shard")
        return self._commands[command], name


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(READ_SECONDS_MAX):
            return await reader.readuntil(b"\n")
    except TimeoutError:
        raise OperatorError(f"no whole request came within {READ_SECONDS_MAX:g} s") from None
    except asyncio.LimitOverrunError:
        raise OperatorError(f"the request is longer than {LINE_BYTES_MAX} bytes") from None
    except (asyncio.IncompleteReadError, OSError):
        raise OperatorError("the connection ended before the request did") from None


def _bytes(text: str) -> bytes:
    # JSON may hold halves of characters, which have no bytes of their own.
    return text.encode(errors="surrogatepass")
