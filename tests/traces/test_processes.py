"""A process with traces, from its variables to its end; and one without, that knows nothing of them."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from time import monotonic

from domain.resilience.limits import TRACES_FLUSH_S_MAX
from infra.local.child import Child
from infra.local.cluster import LocalCluster
from tests.acceptance.client import SUBMIT, Api
from tests.apis import clients_of, running_apis, until_ranks_are_whole
from tests.traces.collector import running_collector
from tests.traces.requests import Client

SCORE = 5
INPUT = {"userId": "42", "username": "Ada", "score": SCORE}
# Without a word of its own, the process writes each module that it imports into its log.
TELL_IMPORTS = {"PYTHONPROFILEIMPORTTIME": "1"}
# The SDK's metrics are not among these: redis-py imports them wherever it finds them, and uses them when it is told to.
OF_TRACES = {
    "app.traces.tracer", "opentelemetry.sdk.trace", "opentelemetry.exporter", "opentelemetry.proto", "google.protobuf",
    "requests",
}  # fmt: skip


def imported(child: Child) -> set[str]:
    """Which of the packages that only traces need the process has imported so far."""
    lines = child.spec.log.read_text().splitlines()
    modules = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert "app.asgi" in modules
    return {package for package in OF_TRACES if any(module.startswith(package) for module in modules)}


async def test_without_a_collector_nothing_of_it_is_imported(clean: LocalCluster) -> None:
    async with running_apis(clean, ("untraced",), **TELL_IMPORTS) as (child,), clients_of([child]) as (api,):
        await until_ranks_are_whole(clean)
        await Client(api).post(SUBMIT, {"input": INPUT})
        assert (await api.ask("{ rank(userId: 42) { totalScore } }"))["rank"] == {"totalScore": SCORE}
        assert imported(child) == set()


async def test_what_is_left_is_sent_at_the_end(clean: LocalCluster, tmp_path: Path) -> None:
    secret = tmp_path / "headers"
    secret.write_text("api-key=a%20key,x-team = games\n")
    secret.chmod(0o600)
    with running_collector() as collector:
        variables = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces",
            "OTEL_EXPORTER_OTLP_HEADERS_FILE": str(secret),
            "OTEL_SERVICE_NAME": "boards",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,service.version=7",
            # Unlike parentbased_traceidratio, whatever clients say of theirs.
            "OTEL_TRACES_SAMPLER": "traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.5",
            # By itself, nothing is sent while the test runs.
            "OTEL_BSP_SCHEDULE_DELAY": "60000",
        }
        async with (
            running_apis(clean, ("ending",), **variables, **TELL_IMPORTS) as (child,),
            clients_of([child]) as (api,),
        ):
            traces = [await Client(api).post("{ rank(userId: 42) { totalScore } }") for _ in range(50)]
            assert imported(child) == OF_TRACES
            assert collector.spans == []
    recorded = [trace for trace in traces if collector.of(trace)]
    assert 5 < len(recorded) < 45
    # Whole or not at all.
    assert all({"POST /graphql", "query rank"} < {s.name for s in collector.of(trace)} for trace in recorded)
    assert {(each["api-key"], each["x-team"]) for each in collector.headers} == {("a key", "games")}
    described = {(each["service.name"], each["service.version"]) for each in collector.resources}
    assert described == {("boards", "7")}
    assert {each["deployment.environment.name"] for each in collector.resources} == {"test"}


async def test_a_collector_that_hangs_slows_and_fails_nothing(clean: LocalCluster) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as hanging:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{hanging.getsockname()[1]}",
            "OTEL_BSP_SCHEDULE_DELAY": "10",
            "OTEL_BSP_MAX_QUEUE_SIZE": "50",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "50",
        }
        async with running_apis(clean, ("hanging",), **variables) as (child,), clients_of([child]) as (api,):
            await until_ranks_are_whole(clean)
            slowest_s = await _slowest_of(api, 300)
            # Sending one batch alone would take the 10 s after which the exporter gives up.
            assert slowest_s < 2
            total = (await api.ask("{ rank(userId: 42) { totalScore } }"))["rank"]["totalScore"]
            assert total == 300 * SCORE
            stopping_at = monotonic()
        assert monotonic() - stopping_at < TRACES_FLUSH_S_MAX + 3
        log = child.spec.log.read_text()
    assert "Queue full, dropping Span." in log
    assert "the last traces could not be sent within 2 s and are lost" in log


async def _slowest_of(api: Api, count: int) -> float:
    """The time that the slowest of many submissions took, in seconds; each is recorded."""

    async def submit() -> float:
        began_at = monotonic()
        await api.submit(**INPUT)
        return monotonic() - began_at

    return max([max(await asyncio.gather(*(submit() for _ in range(20)))) for _ in range(count // 20)])
