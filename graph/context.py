"""What one request carries through its resolvers."""

from __future__ import annotations

import strawberry

from graph.loaders import Loaders
from service.parts import Parts


class Context:
    """The parts that the use cases work with, and what this request has loaded so far."""

    __slots__ = ("_loaders", "parts")

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._loaders: Loaders | None = None

    @property
    def loaders(self) -> Loaders:
        """The loaders of this request, made when a field first asks: most requests never do."""
        if self._loaders is None:
            self._loaders = Loaders(self.parts)
        return self._loaders


Info = strawberry.Info[Context, None]
