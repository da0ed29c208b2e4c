"""Requests that schemathesis makes up from a schema, the same ones each time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.schemas import BaseSchema


def send_cases(schema: BaseSchema, mode: GenerationMode, send: Callable[[Any], None], *, each: int, seed: int) -> None:
    """Make up `each` requests for every operation of the schema, and send them."""
    settings = hypothesis.settings(
        max_examples=each,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    for made in schema.get_all_operations():
        assert isinstance(made, Ok)
        given = hypothesis.given(made.ok().as_strategy(generation_mode=mode))
        run: Callable[[], None] = hypothesis.seed(seed)(settings(given(send)))
        run()
