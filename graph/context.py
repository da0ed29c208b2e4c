"""What one request carries through its resolvers."""

from __future__ import annotations

import strawberry

from domain.access import Caller
from domain.errors import RateLimited
from graph.loaders import Loaders
from service.parts import Parts

NOBODY = Caller("address", "address:")
"""Who may do nothing: an event of a subscription is made for all who watch it."""


class Context:
    """The parts that the use cases work with, who asks, and what this request has loaded so far.

    `refusal` is set when a limit let through only some of a bulk.
    """

    __slots__ = ("_loaders", "caller", "parts", "refusal")

    def __init__(self, parts: Parts, caller: Caller = NOBODY) -> None:
        self.parts = parts
        self.caller = caller
        self.refusal: RateLimited | None = None
        self._loaders: Loaders | None = None

    @property
    def loaders(self) -> Loaders:
        """The loaders of this request, made when a field first asks: most requests never do."""
        if self._loaders is None:
            self._loaders = Loaders(self.parts)
        return self._loaders


Info = strawberry.Info[Context, None]
