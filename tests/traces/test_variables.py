"""The variables of OpenTelemetry: each that would not be heeded is refused, in words, and no key is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.traces.variables import read_trace_variables
from domain.errors import OperatorError

ON = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_TRACES_SAMPLER": "nonsense"},
        ON | {"OTEL_SDK_DISABLED": "true"},
        ON | {"OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_off(variables: dict[str, str]) -> None:
    assert read_trace_variables(variables) is None


@pytest.mark.parametrize(
    "variables",
    [
        ON,
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://otlp.nr-data.net/v1/traces"},
        ON | {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"},
        ON | {"OTEL_TRACES_SAMPLER": "always_off", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
    ],
)
def test_on(variables: dict[str, str]) -> None:
    chosen = read_trace_variables(variables)
    assert chosen is not None
    assert chosen.headers == {}


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "user:secret@collector:4318"},
            "OTEL_EXPORTER_OTLP_ENDPOINT is no address of a collector; http://host:4318 is wanted, or https://…",
        ),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:many"},
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is no address of a collector; http://host:4318 is wanted, or https://…",
        ),
        (
            ON | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc: traces leave by http/protobuf alone; collectors take that on port 4318.",
        ),
        (
            ON | {"OTEL_TRACES_EXPORTER": "zipkin"},
            "OTEL_TRACES_EXPORTER=zipkin: traces leave by otlp alone, or not at all by none.",
        ),
        (
            ON | {"OTEL_TRACES_SAMPLER": "ratio"},
            "OTEL_TRACES_SAMPLER=ratio: it has to be one of always_on, always_off, traceidratio, "
            "parentbased_always_on, parentbased_always_off, parentbased_traceidratio.",
        ),
        (
            ON | {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "1%"},
            "OTEL_TRACES_SAMPLER_ARG=1%: traceidratio wants the share of traces to record, such as 0.01.",
        ),
        (
            ON | {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio"},
            "OTEL_TRACES_SAMPLER_ARG=: parentbased_traceidratio wants the share of traces to record, such as 0.01.",
        ),
        (
            ON | {"OTEL_BSP_MAX_QUEUE_SIZE": "many"},
            "OTEL_BSP_MAX_QUEUE_SIZE=many is no number above zero.",
        ),
        (
            ON | {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere/ca.pem"},
            "OTEL_EXPORTER_OTLP_CERTIFICATE=/nowhere/ca.pem cannot be read.",
        ),
        (
            ON | {"OTEL_EXPORTER_OTLP_HEADERS": "c0ffee"},
            "OTEL_EXPORTER_OTLP_HEADERS holds no headers: name=value is wanted, and a comma between two.",
        ),
        (
            ON | {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=a", "OTEL_EXPORTER_OTLP_HEADERS_FILE": "/run/secrets/otlp"},
            "OTEL_EXPORTER_OTLP_HEADERS and OTEL_EXPORTER_OTLP_HEADERS_FILE are both set; keep one of them.",
        ),
        (
            ON | {"OTEL_EXPORTER_OTLP_HEADERS_FILE": "/nowhere/headers"},
            "OTEL_EXPORTER_OTLP_HEADERS_FILE=/nowhere/headers cannot be read: No such file or directory.",
        ),
    ],
)
def test_refused(variables: dict[str, str], message: str) -> None:
    with pytest.raises(OperatorError, match=f"^{re.escape(message)}$"):
        read_trace_variables(variables)


def test_headers_of_traces_come_before_those_of_all_signals(tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text("Api-Key=one%2Ctwo\n")
    file.chmod(0o600)
    variables = ON | {
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=other",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS_FILE": str(file),
    }
    chosen = read_trace_variables(variables)
    assert chosen is not None
    assert chosen.headers == {"api-key": "one,two"}
