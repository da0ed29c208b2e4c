"""What lives for hours has no span that does."""

from __future__ import annotations

from secrets import token_hex

from tests.acceptance.client import Api
from tests.live.sockets import TOP, opened
from tests.live.streams import ACCEPT, posted
from tests.traces.collector import Collector
from tests.traces.requests import Client
from tests.waiting import until


async def test_the_span_of_an_event_stream_ends_when_it_begins(traced_apis: list[Api], collector: Collector) -> None:
    api, trace = traced_apis[0], token_hex(16)
    headers = ACCEPT | Client(api).headers(trace) | {"authorization": f"Bearer {api.credential}"}
    async with posted(api.url, TOP, headers) as stream:
        assert (await stream.top())["entries"] == []
        await until(lambda: bool(collector.of(trace)))
        before = len(collector.named("watchers event"))
        for score in (1, 2):
            await api.submit(userId="7", username="seven", score=score)
            await stream.top()
        # Each event is a trace of its own, and none grows that of who came first.
        await until(lambda: len(collector.named("watchers event")) >= before + 2)
        (server,) = [span for span in collector.of(trace) if span.kind == "SERVER"]
        assert server.attributes["http.response.status_code"] == 200
        assert {span.name for span in collector.of(trace)} <= {"POST /graphql", "EVALSHA top", "SCRIPT LOAD"}
        event = collector.named("watchers event")[-1]
        assert (event.parent, event.attributes) == ("", {"shardboard.watchers": 1})
        read = next(span for span in collector.named("watch board") if collector.of(span.trace)[1:])
        assert {span.name for span in collector.of(read.trace)} <= {"watch board", "EVALSHA top", "SCRIPT LOAD"}


async def test_an_operation_on_a_socket_is_a_trace_of_its_own(traced_apis: list[Api], collector: Collector) -> None:
    api = traced_apis[0]
    before = len(collector.named("query around"))
    async with opened(api.url) as socket:
        await socket.init(api.credential)
        answer = await socket.run("1", "{ around(userId: 5) { rank } }")
        assert answer == {"data": {"around": None}}
        # While the socket is open.
        await until(lambda: len(collector.named("query around")) > before)
    operation = collector.named("query around")[-1]
    assert (operation.kind, operation.parent) == ("SERVER", "")
    assert {span.name for span in collector.of(operation.trace)} >= {"query around", "EVALSHA slice"}
