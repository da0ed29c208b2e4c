"""A Postgres whose hot statements are told to the tracer: which table of which shard, and never what with."""

from __future__ import annotations

import re
from functools import lru_cache, partial
from urllib.parse import urlsplit

import asyncpg

from db.postgres import ConnectionLimits, Postgres
from domain import tracing
from domain.tracing import Attributes, Tracer

_VERB = re.compile(r"\s*([a-z]+)")
_CALLED = re.compile(r"\s*select\s+([a-z_]+)\(")
_PLACES = re.compile(r"\b(?:from|join|into|update)\s+([a-z_]+)")
_NO_TABLES = frozenset(("unnest", "lateral"))
_PLACES_MAX = 3
_PORT = 5432


def make_postgres(name: str, url: str, limits: ConnectionLimits, *, called: str | None = None) -> Postgres:
    """One Postgres, traced where this process is; the arguments are those of `Postgres`."""
    if tracing.tracer is None:
        return Postgres(name, url, limits, called=called)
    return _TracedPostgres(name, url, limits, called, tracing.tracer)


class _TracedPostgres(Postgres):
    """A Postgres of which a statement includes the wait for a free connection, and a refusal by the breaker."""

    def __init__(self, name: str, url: str, limits: ConnectionLimits, called: str | None, tracer: Tracer) -> None:
        super().__init__(name, url, limits, called=called)
        self._tracer = tracer
        self._attributes = _attributes_of(name, url)

    async def call(self, statement: str, *arguments: object, timeout_s: float | None = None) -> list[asyncpg.Record]:
        """See the base class."""
        with self._tracer.call(partial(self._describe, statement)):
            return await super().call(statement, *arguments, timeout_s=timeout_s)

    def _describe(self, statement: str) -> tuple[str, Attributes]:
        verb, summary = summarise(statement)
        return summary, {**self._attributes, "db.operation.name": verb, "db.query.summary": summary}


@lru_cache(maxsize=200)
def summarise(statement: str) -> tuple[str, str]:
    """A statement's verb, and the verb with the first tables or functions that it names: `SELECT record_sessions`."""
    verb = match[1].upper() if (match := _VERB.match(statement)) else "OTHER"
    named = _PLACES.findall(statement) or _CALLED.findall(statement)
    places = [place for place in dict.fromkeys(named) if place not in _NO_TABLES]
    return verb, " ".join([verb, *places[:_PLACES_MAX]])


def _attributes_of(shard: str, url: str) -> dict[str, str | int]:
    parts = urlsplit(url)
    attributes: dict[str, str | int] = {"db.system.name": "postgresql", "shardboard.shard": shard}
    if parts.path.strip("/"):
        attributes["db.namespace"] = parts.path.strip("/")
    # Of several hosts any may be meant.
    if parts.hostname and "," not in parts.netloc:
        attributes["server.address"] = parts.hostname
        attributes["server.port"] = parts.port or _PORT
    return attributes
