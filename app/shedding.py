"""Requests above what the process keeps up with are refused before anything of them is read.

It happens in the protocol, where a refusal costs a twentieth of a request: no task, no ASGI messages, no JSON, and the
answer is ready bytes. Only the APIs are shed: health checks, pages, and sockets with their pings are always served.
"""

from __future__ import annotations

import logging
from time import monotonic
from typing import Any

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from app.patient_http import PatientHttp
from app.refusals import describe_refusal
from domain.metrics.catalogue import REFUSALS, REQUEST_DURATION
from domain.requests import OTHER
from domain.resilience.admission import Admission, overloaded, places_of
from domain.resilience.limits import RETRY_SHED_S, UNDER_WAY_FREE
from graph.media import GRAPHQL_JSON, read_accept
from rest.endpoint import PREFIX

logger = logging.getLogger(__name__)

_REFUSED = REFUSALS.of("overload")
_ANSWERED = {
    is_graph: REQUEST_DURATION.of("graphql" if is_graph else "rest", OTHER, overloaded().code.value)
    for is_graph in (True, False)
}
# It is told of in the log when it begins and, once nothing was shed for so long, when it is over.
_QUIET_S = 5.0
_SHED = ("POST", "GET", "HEAD")


class Gatekeeper:
    """Admits requests to one process, and tells the log when it refuses some and when that is over.

    Attributes:
        is_draining: whether the process is about to end, so that each answer closes its connection.
        is_shedding: whether requests were refused of late.
    """

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.is_draining = False
        self.is_shedding = False
        self._since = 0.0
        self._last_at = 0.0

    def refused(self, now: float, is_graph: bool) -> None:
        """A request was refused, to GraphQL or to REST."""
        self._last_at = now
        _REFUSED.add()
        _ANSWERED[is_graph].observe(0.0)
        if not self.is_shedding:
            self.is_shedding, self._since = True, now
            logger.warning("more is asked for than this process keeps up with; what is too much is refused")

    def accepted(self, now: float) -> None:
        """A request was accepted, while some were refused of late."""
        if now > self._last_at + _QUIET_S:
            self.is_shedding = False
            logger.warning("everything is accepted again, after %.1f s", self._last_at - self._since)


class SheddingProtocol(PatientHttp):
    """One connection, whose requests are patient and may be refused.

    Args:
        gatekeeper: that of the process.
    """

    def __init__(self, *args: Any, gatekeeper: Gatekeeper, **options: Any) -> None:
        super().__init__(*args, **options)
        self._gatekeeper = gatekeeper

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        if self._gatekeeper.is_draining:
            cycle.keep_alive = False
        # Few are let in without being looked at: a process that is far from its limit has nothing to spare here.
        if len(self.tasks) < UNDER_WAY_FREE or self._admit(cycle):
            super()._start_asgi_task(cycle, app)
        else:
            self._shed(cycle)

    def _admit(self, cycle: RequestResponseCycle) -> bool:
        scope = cycle.scope
        is_graph = scope["path"] == "/graphql"
        if scope["method"] not in _SHED or not (is_graph or scope["path"].startswith(PREFIX)):
            return True
        length = 0
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = int(value) if value.isdigit() else 0
            elif is_graph and name == b"accept" and read_accept(value).events:
                # Watchers come back all at once; how many there may be is another limit. What asks for a single
                # answer as a stream is looked at when that is known, as what comes over open sockets is.
                return True
        gatekeeper, places, now = self._gatekeeper, places_of(length), monotonic()
        generation = gatekeeper.admission.enter(places, now)
        if generation is None:
            gatekeeper.refused(now, is_graph)
            return False
        if gatekeeper.is_shedding:
            gatekeeper.accepted(now)

        def answered() -> None:
            gatekeeper.admission.leave(generation, places, now, monotonic())
            self.on_response_complete()

        # Where the client hangs up it is never called, and the places are taken until they are forgotten: the work for
        # it goes on.
        cycle.on_response = answered
        return True

    def _shed(self, cycle: RequestResponseCycle) -> None:
        """Answer without a task; what is left of the request's body is read and dropped."""
        head, body = _refusal_of(cycle)
        end = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        cycle.response_started = cycle.response_complete = True
        self.transport.write(b"".join((head, end, b"" if cycle.scope["method"] == "HEAD" else body)))
        if not cycle.keep_alive:
            self.transport.close()
        if self.pipeline:
            # Each of many requests that wait behind this one may be refused, too: not one inside of the other.
            self.loop.call_soon(self.on_response_complete)
        else:
            self.on_response_complete()


def _refusal_of(cycle: RequestResponseCycle) -> tuple[bytes, bytes]:
    if cycle.scope["path"].startswith(PREFIX):
        return _PROBLEM
    strict = any(name == b"accept" and read_accept(value).strict for name, value in cycle.scope["headers"])
    return _STRICT_JSON if strict else _JSON


def _ready(path: str, content_type: bytes | None = None) -> tuple[bytes, bytes]:
    """The head, without its end, and the body of a refusal."""
    usual_type, body = describe_refusal(path, 503, overloaded())
    head = STATUS_LINE[503] + b"content-type: %s\r\ncontent-length: %d\r\nretry-after: %d\r\n" % (
        content_type or usual_type,
        len(body),
        RETRY_SHED_S,
    )
    return head, body


_JSON, _STRICT_JSON = _ready("/graphql"), _ready("/graphql", GRAPHQL_JSON + b"; charset=utf-8")
_PROBLEM = _ready(PREFIX)
