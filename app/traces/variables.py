"""The variables of OpenTelemetry, looked at before its SDK reads them.

The SDK takes what it does not understand for not set, and says so in a log at best: a sampler that is misspelt would
record every request. A header that is none it would even print, key and all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from app.setting_files import read_secret
from domain.errors import OperatorError

_PREFIX = "OTEL_EXPORTER_OTLP_"
_SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)
_FILES = ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE")
_NUMBERS = (
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    f"{_PREFIX}TIMEOUT",
    f"{_PREFIX}TRACES_TIMEOUT",
)
_HEADER = re.compile(r"\s*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*=([^,\r\n]*)")


@dataclass(frozen=True, slots=True)
class TraceVariables:
    """What the SDK does not read by itself: `headers` hold keys, and come from a file where one is named."""

    headers: Mapping[str, str]


def read_trace_variables(environment: Mapping[str, str] = os.environ) -> TraceVariables | None:
    """How traces leave this process; None where nobody takes them.

    Raises:
        OperatorError: a variable says something that would not be heeded; shows its value where that is no secret.
    """
    endpoint_name, endpoint = _first_of(environment, "ENDPOINT")
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if not endpoint or disabled or exporter == "none":
        return None
    if exporter not in ("", "otlp"):
        raise OperatorError(f"OTEL_TRACES_EXPORTER={exporter}: traces leave by otlp alone, or not at all by none.")
    protocol_name, protocol = _first_of(environment, "PROTOCOL")
    if protocol not in ("", "http/protobuf"):
        raise OperatorError(
            f"{protocol_name}={protocol}: traces leave by http/protobuf alone; collectors take that on port 4318."
        )
    _check_endpoint(endpoint_name, endpoint)
    _check_sampler(environment)
    for name in _NUMBERS:
        if environment.get(name) and not _is_positive(environment[name]):
            raise OperatorError(f"{name}={environment[name]} is no number above zero.")
    for word in _FILES:
        name, path = _first_of(environment, word)
        if path and not os.access(path, os.R_OK):
            raise OperatorError(f"{name}={path} cannot be read.")
    return TraceVariables(_read_headers(environment))


def _first_of(environment: Mapping[str, str], word: str) -> tuple[str, str]:
    """The variable that holds for traces, and what it says: the one for traces alone, or the one for all signals."""
    for name in (f"{_PREFIX}TRACES_{word}", f"{_PREFIX}{word}"):
        if environment.get(name):
            return name, environment[name].strip()
    return f"{_PREFIX}{word}", ""


def _check_endpoint(name: str, endpoint: str) -> None:
    try:
        parts = urlsplit(endpoint)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        # Not shown: an address may hold a password.
        raise OperatorError(f"{name} is no address of a collector; http://host:4318 is wanted, or https://…")


def _check_sampler(environment: Mapping[str, str]) -> None:
    sampler = environment.get("OTEL_TRACES_SAMPLER", "").lower()
    if sampler and sampler not in _SAMPLERS:
        raise OperatorError(f"OTEL_TRACES_SAMPLER={sampler}: it has to be one of {', '.join(_SAMPLERS)}.")
    ratio = environment.get("OTEL_TRACES_SAMPLER_ARG", "")
    if sampler.endswith("traceidratio") and not _is_share(ratio):
        raise OperatorError(
            f"OTEL_TRACES_SAMPLER_ARG={ratio}: {sampler} wants the share of traces to record, such as 0.01."
        )


def _is_share(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False


def _read_headers(environment: Mapping[str, str]) -> dict[str, str]:
    """The headers that hold for traces, of a variable or of the file that it names with `_FILE`."""
    for name in (f"{_PREFIX}TRACES_HEADERS", f"{_PREFIX}HEADERS"):
        text, path = environment.get(name), environment.get(f"{name}_FILE")
        if text and path:
            raise OperatorError(f"{name} and {name}_FILE are both set; keep one of them.")
        if path:
            text = read_secret(f"{name}_FILE", Path(path))
        if text:
            return _parse_headers(name, text)
    return {}


def _parse_headers(name: str, text: str) -> dict[str, str]:
    headers = {}
    for part in text.split(","):
        match = _HEADER.fullmatch(part)
        if match is None and part.strip():
            raise OperatorError(f"{name} holds no headers: name=value is wanted, and a comma between two.")
        if match is not None:
            headers[match[1].lower()] = unquote(match[2]).strip()
    return headers
