"""Kubernetes' quantities: cores such as `4` or `500m`, bytes such as `8Gi`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

_BYTES = re.compile(r"([1-9]\d*)(Mi|Gi|Ti)")
_CORES = re.compile(r"[1-9]\d*m?|0\.\d*[1-9]|[1-9]\d*\.\d+")
_MIB = {"Mi": 1, "Gi": 1024, "Ti": 1024 * 1024}


def _as_text(value: object) -> object:
    # `cpu: 4` is a number to YAML.
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _check_bytes(value: str) -> str:
    if not _BYTES.fullmatch(value):
        raise ValueError(f"{value!r} is no size; write it as 512Mi, 8Gi or 1Ti")
    return value


def _check_cores(value: str) -> str:
    if not _CORES.fullmatch(value):
        raise ValueError(f"{value!r} is no number of cores; write it as 4 or 500m")
    return value


Bytes = Annotated[str, BeforeValidator(_as_text), AfterValidator(_check_bytes)]
Cores = Annotated[str, BeforeValidator(_as_text), AfterValidator(_check_cores)]


def mebibytes(value: str) -> int:
    """How many MiB a size has."""
    found = _BYTES.fullmatch(value)
    assert found, value
    return int(found[1]) * _MIB[found[2]]


def cores(value: str) -> float:
    """How many cores a number of them is."""
    return int(value[:-1]) / 1000 if value.endswith("m") else float(value)
