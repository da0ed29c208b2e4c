"""How large the variables of a request may be, whatever their types: reading them costs as much as they hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import GraphQLError

from graph.errors import too_complex

LEVELS_MAX = 8
"""How deep lists and objects may be nested in a variable."""

LIST_LENGTH_MAX = 2_000
VALUES_MAX = 10_000
"""Values in all variables, those in lists and objects counted: a thousand inputs have 7,000."""

_CONTAINERS = frozenset((dict, list))


def find_excess(variables: Mapping[str, Any]) -> GraphQLError | None:
    """The refusal of variables that are too deep or too large; None for those that are not."""
    values = len(variables)
    level = [value for value in variables.values() if type(value) in _CONTAINERS]
    levels = 0
    if values > VALUES_MAX:
        return _too_many()
    while level:
        levels += 1
        if levels > LEVELS_MAX:
            return too_complex(f"Variables may be nested {LEVELS_MAX} levels deep.")
        inner: list[Any] = []
        for value in level:
            values += len(value)
            if type(value) is dict:
                inner += value.values()
            elif len(value) > LIST_LENGTH_MAX:
                return too_complex(f"A list in the variables may have {LIST_LENGTH_MAX} entries; got {len(value)}.")
            else:
                inner += value
        if values > VALUES_MAX:
            return _too_many()
        level = [value for value in inner if type(value) in _CONTAINERS]
    return None


def _too_many() -> GraphQLError:
    return too_complex(f"The variables may hold {VALUES_MAX} values; got more.")
