"""Variables are refused by their size before anything reads them."""

from __future__ import annotations

from time import thread_time
from typing import Any

import pytest

from graph.variables import LEVELS_MAX, LIST_LENGTH_MAX, VALUES_MAX, find_excess


def within(levels: int, value: Any = 1) -> Any:
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"a": None, "b": 1, "c": "x" * 60_000},
        {"inputs": [{"userId": "1", "username": "a", "score": 1, "gameMode": None} for _ in range(1_000)]},
        {"a": within(LEVELS_MAX)},
        {"a": [1] * LIST_LENGTH_MAX},
        {"a": [[1] * 1_999] * 4},
    ],
)
def test_variables_within_the_limits(variables: dict[str, Any]) -> None:
    assert find_excess(variables) is None


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"a": within(LEVELS_MAX + 1)}, f"Variables may be nested {LEVELS_MAX} levels deep."),
        ({"a": {"b": within(LEVELS_MAX)}}, f"Variables may be nested {LEVELS_MAX} levels deep."),
        ({"a": within(400)}, f"Variables may be nested {LEVELS_MAX} levels deep."),
        (
            {"a": [1] * (LIST_LENGTH_MAX + 1)},
            f"A list in the variables may have {LIST_LENGTH_MAX} entries; got {LIST_LENGTH_MAX + 1}.",
        ),
        ({"a": [[1] * 2_000] * 5}, f"The variables may hold {VALUES_MAX} values; got more."),
        ({f"a{n}": 1 for n in range(VALUES_MAX + 1)}, f"The variables may hold {VALUES_MAX} values; got more."),
        ({"a": {f"a{n}": 1 for n in range(VALUES_MAX)}}, f"The variables may hold {VALUES_MAX} values; got more."),
    ],
)
def test_variables_beyond_a_limit(variables: dict[str, Any], message: str) -> None:
    began = thread_time()
    excess = find_excess(variables)
    assert thread_time() - began < 0.05
    assert excess is not None
    assert excess.message == message
