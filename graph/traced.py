"""Answering whose operations are told to the tracer, named by their root fields: a client's name may be anything."""

from __future__ import annotations

from functools import partial
from typing import Any

from domain import tracing
from domain.resilience.admission import Admission
from domain.tracing import Attributes, Tracer
from graph.answering import Answering, Reply
from graph.context import Context
from graph.disclosure import Disclosure
from graph.documents import Prepared
from graph.persisted import PersistedOperations
from graph.request import GraphRequest
from graph.roots import name_operation
from service.parts import Parts


def make_answering(
    parts: Parts, disclosure: Disclosure, persisted: PersistedOperations, admission: Admission
) -> Answering:
    """What answers the requests of one process, traced where the process is."""
    if tracing.tracer is None:
        return Answering(parts, disclosure, persisted, admission)
    return _TracedAnswering(tracing.tracer, parts, disclosure, persisted, admission)


class _TracedAnswering(Answering):
    def __init__(self, tracer: Tracer, *wanted: Any) -> None:
        super().__init__(*wanted)
        self._tracer = tracer

    async def answer(self, key: bytes, prepared: Prepared, request: GraphRequest, context: Context) -> Reply:
        """See the base class."""
        with self._tracer.operation(partial(_describe, prepared)):
            return await super().answer(key, prepared, request, context)


def _describe(prepared: Prepared) -> tuple[str, Attributes]:
    kind, name = prepared.operation.operation.value, name_operation(prepared.document, prepared.operation)
    return f"{kind} {name}", {"graphql.operation.type": kind, "graphql.operation.name": name}
