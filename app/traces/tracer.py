"""The tracer of the service (`domain/tracing`) on OpenTelemetry."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType

from opentelemetry import context, trace
from opentelemetry.trace import INVALID_SPAN, Link, Span, SpanKind, Status, StatusCode

from domain.tracing import NOTHING, Attributes, Describe, Work

_NOWHERE = context.Context()


class OtelTracer:
    """Records work as spans.

    Work within other work is recorded as long as that is: not for a request that the sampler passed over, and not in
    what a request left running when it ended (a watcher's task), which would grow its trace for hours.
    """

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def here(self) -> object | None:
        """See `Tracer`."""
        span = trace.get_current_span()
        return span if span.is_recording() else None

    def call(self, describe: Describe) -> Work:
        """See `Tracer`."""
        if not trace.get_current_span().is_recording():
            return NOTHING
        return self._begin(*describe(), SpanKind.CLIENT)

    def operation(self, describe: Describe) -> Work:
        """See `Tracer`."""
        span = trace.get_current_span()
        if span is INVALID_SPAN:
            return self._begin(*describe(), SpanKind.SERVER, _NOWHERE)
        return self._begin(*describe()) if span.is_recording() else NOTHING

    def step(self, name: str, attributes: Attributes) -> Work:
        """See `Tracer`."""
        return self._begin(name, attributes, parent=_NOWHERE)

    def batch(self, name: str, members: Iterable[object | None], attributes: Attributes) -> Work:
        """See `Tracer`."""
        # Each once, though a bulk has many items in a batch. Who gave up meanwhile has ended.
        spans = dict.fromkeys(member for member in members if isinstance(member, Span) and member.is_recording())
        if not spans:
            return NOTHING
        links = [Link(span.get_span_context()) for span in spans]
        parent = trace.set_span_in_context(next(iter(spans)), _NOWHERE)
        work = self._begin(name, attributes, parent=parent, links=links)
        for span in spans:
            span.add_link(work.span.get_span_context())
        return work

    def failed(self, code: str, *, is_fault: bool) -> None:
        """See `Tracer`."""
        span = trace.get_current_span()
        span.set_attribute("error.type", code)
        if is_fault:
            span.set_status(Status(StatusCode.ERROR))

    def _begin(
        self,
        name: str,
        attributes: Attributes,
        kind: SpanKind = SpanKind.INTERNAL,
        parent: context.Context | None = None,
        links: Iterable[Link] = (),
    ) -> _Recorded:
        return _Recorded(
            self._tracer.start_span(
                name,
                parent,
                kind,
                attributes,
                list(links),
                # Messages of errors name players and what they sent.
                record_exception=False,
                set_status_on_exception=False,
            )
        )


class _Recorded:
    """A piece of work that has a span. A class, as the SDK's generators cost more than the span."""

    __slots__ = ("_token", "span")

    def __init__(self, span: Span) -> None:
        self.span = span

    def __enter__(self) -> _Recorded:
        self._token = context.attach(trace.set_span_in_context(self.span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        context.detach(self._token)
        self.end(error)

    def set(self, key: str, value: str | int) -> None:
        """See `Work`."""
        self.span.set_attribute(key, value)

    def end(self, error: BaseException | None = None) -> None:
        """See `Work`."""
        if error is not None:
            note_failure(self.span, error)
        self.span.end()


def note_failure(span: Span, error: BaseException) -> None:
    """Say with what kind of error it failed, of which the class and the SQLSTATE are no secret."""
    cause = error.__cause__ or error
    span.set_attribute("error.type", type(cause).__name__)
    state = getattr(cause, "sqlstate", None)
    if isinstance(state, str):
        span.set_attribute("db.response.status_code", state)
    if not isinstance(error, asyncio.CancelledError):
        span.set_status(Status(StatusCode.ERROR))
