"""Tracing one process, if an operator wants it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp

from app.traces.variables import read_trace_variables
from domain import tracing

Trace = Callable[[ASGIApp], ASGIApp]
"""Makes of an application one whose requests are traced."""


@contextmanager
def traced() -> Iterator[Trace]:
    """Trace the work of this process inside of the block, where the environment names a collector.

    Called in the process itself, after any fork: each has threads and connections of its own for what it sends.

    Raises:
        OperatorError: a variable of OpenTelemetry is wrong.
    """
    variables = read_trace_variables()
    if variables is None:
        yield lambda application: application
        return
    # Here, and nowhere else: the SDK takes 20 MB and a tenth of a second, which those without traces do not pay.
    from app.traces.http import TracedHttp
    from app.traces.provider import closing, make_provider
    from app.traces.tracer import OtelTracer

    with closing(make_provider(variables)) as provider:
        tracer = provider.get_tracer("shardboard")
        tracing.use(OtelTracer(tracer))
        try:
            yield lambda application: TracedHttp(application, tracer)
        finally:
            tracing.use(None)
