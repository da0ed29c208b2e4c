"""How many sockets and streams are open in this process, and the end of the streams when it stops."""

from __future__ import annotations

from collections.abc import Callable


class Connections:
    """Counts the open connections.

    Args:
        connections_max: how many may be open at once.
    """

    def __init__(self, connections_max: int) -> None:
        self._connections_max = connections_max
        self._open: dict[object, Callable[[], None] | None] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, connection: object, end: Callable[[], None] | None = None) -> bool:
        """Whether there is room for `connection`, which is then counted until it leaves.

        Args:
            end: ends the connection when the process stops, unless the server itself does.
        """
        if self._closed or len(self._open) >= self._connections_max:
            return False
        self._open[connection] = end
        return True

    def leave(self, connection: object) -> None:
        """It is closed."""
        self._open.pop(connection, None)

    def end_all(self) -> None:
        """End them; none enters any more."""
        self._closed = True
        for end in list(self._open.values()):
            if end is not None:
                end()
