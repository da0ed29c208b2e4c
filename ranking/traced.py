"""Connections to Redis whose commands are told to the tracer: which command or script, and never what with."""

from __future__ import annotations

from functools import lru_cache, partial
from hashlib import sha1
from pathlib import Path
from typing import Any

from redis.asyncio.connection import AbstractConnection

from domain import tracing
from domain.tracing import Attributes, Tracer, Work

_BY_DIGEST = ("EVALSHA", "EVALSHA_RO")
# What redis-py says on a connection that it has just opened, whoever happens to need it.
_GREETINGS = frozenset(("AUTH", "HELLO", "CLIENT", "SELECT"))


def traced(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """The same kind of connection, traced where this process is.

    At the connection, because all clients of a pool come by here, that of the limits' library too, and because it knows
    which server it leads to.
    """
    tracer = tracing.tracer
    return kind if tracer is None else _traced(kind, tracer)


def _traced(kind: type[AbstractConnection], tracer: Tracer) -> type[AbstractConnection]:
    class Traced(kind):  # type: ignore[misc,valid-type]
        _work: Work | None = None

        async def send_command(self, *args: Any, **kwargs: Any) -> None:
            if args[0] not in _GREETINGS:
                self._work = tracer.call(partial(_describe, self, args))
            try:
                await super().send_command(*args, **kwargs)
            except BaseException as error:
                self._end(error)
                raise

        async def read_response(self, *args: Any, **kwargs: Any) -> Any:
            try:
                response = await super().read_response(*args, **kwargs)
            except BaseException as error:
                self._end(error)
                raise
            self._end(None)
            return response

        def _end(self, error: BaseException | None) -> None:
            work, self._work = self._work, None
            if work is not None:
                work.end(error)

    return Traced


def _describe(connection: Any, command: tuple[Any, ...]) -> tuple[str, Attributes]:
    name = str(command[0])
    attributes: dict[str, str | int] = {"db.system.name": "redis", "db.operation.name": name}
    script = _scripts().get(command[1]) if name in _BY_DIGEST else None
    if script is not None:
        attributes["db.stored_procedure.name"] = script
    # None where the server is reached by a socket of this machine.
    for key, value in (("server.address", "host"), ("server.port", "port")):
        if (known := getattr(connection, value, None)) is not None:
            attributes[key] = known
    return (name if script is None else f"{name} {script}"), attributes


@lru_cache(maxsize=1)
def _scripts() -> dict[str, str]:
    """Our scripts' names by their digests, which is what Redis is sent."""
    files = (Path(__file__).parent / "scripts").glob("*.lua")
    return {sha1(file.read_bytes(), usedforsecurity=False).hexdigest(): file.stem for file in files}
