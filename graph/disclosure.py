"""What clients may learn of the schema beyond the answers to its fields."""

from __future__ import annotations

from typing import NamedTuple


class Disclosure(NamedTuple):
    """`introspection`: `__schema` and `__type`; `suggestions`: in an error, the names that may have been meant."""

    introspection: bool
    suggestions: bool


OPEN = Disclosure(introspection=True, suggestions=True)
CLOSED = Disclosure(introspection=False, suggestions=False)
