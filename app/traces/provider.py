"""What collects ended spans and sends them to a collector, from a thread of its own and a queue with a bound."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from uuid import uuid4

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_SPAN_LINK_COUNT_LIMIT
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from app.traces.variables import TraceVariables
from domain.errors import OperatorError
from domain.resilience.limits import TRACES_FLUSH_S_MAX

logger = logging.getLogger(__name__)


def make_provider(variables: TraceVariables) -> TracerProvider:
    """Where spans begin; the SDK's own variables say where they go, how many, and how often.

    What cannot be sent is dropped: the queue has a bound, and nothing that serves waits for it.

    Raises:
        OperatorError: a variable is wrong in a way that only the SDK finds.
    """
    try:
        exporter = OTLPSpanExporter(headers=dict(variables.headers))
        processor = BatchSpanProcessor(exporter)
    except (ValueError, RuntimeError, ImportError) as error:
        raise OperatorError(f"the OTEL_… variables make no exporter of traces: {error}") from None
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False, span_limits=_limits())
    provider.add_span_processor(processor)
    return provider


@contextmanager
def closing(provider: TracerProvider) -> Iterator[TracerProvider]:
    """At the end of the block, send what is left, for a bounded time."""
    try:
        yield provider
    finally:
        # The SDK's own shutdown waits for half a minute where nobody takes the spans.
        sending = threading.Thread(target=provider.shutdown, name="last-traces", daemon=True)
        sending.start()
        sending.join(TRACES_FLUSH_S_MAX)
        if sending.is_alive():
            logger.warning("the last traces could not be sent within %g s and are lost", TRACES_FLUSH_S_MAX)


def _resource() -> Resource:
    """Who speaks. What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say comes before it."""
    own = Resource(
        {
            "service.name": "shardboard",
            "service.version": version("shardboard"),
            "service.instance.id": str(uuid4()),
            "process.pid": os.getpid(),
        }
    )
    return Resource.create().merge(own).merge(OTELResourceDetector().detect())


def _limits() -> SpanLimits:
    """A batch is linked to all that are in it; how many that can be is bounded where batches are made."""
    if os.environ.get(OTEL_SPAN_LINK_COUNT_LIMIT):
        return SpanLimits()
    return SpanLimits(max_links=SpanLimits.UNSET)
