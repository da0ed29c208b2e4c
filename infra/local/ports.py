"""Free TCP ports of the loopback interface."""

from __future__ import annotations

import random
import socket

from domain.errors import OperatorError

HOST = "127.0.0.1"

# Below the range from which systems take the local ports of outgoing connections (32768 on Linux, 49152 on macOS):
# otherwise a client's connection can sit on the port of a server that is just being started again.
_FIRST_PORT, _LAST_PORT = 15_000, 32_000
_TRIES_MAX = 1_000
_PORT_MAX = 65_535


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback interface now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Without SO_REUSEPORT, so that processes sharing a port are seen; with SO_REUSEADDR, so that the closed
        # connections of a server that has just stopped are not taken for a server.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def find_free_port(taken: set[int]) -> int:
    """A free port that is not in `taken`.

    Raises:
        OperatorError: none was found.
    """
    for _ in range(_TRIES_MAX):
        port = random.randint(_FIRST_PORT, _LAST_PORT)
        if port not in taken and is_free(port):
            return port
    raise OperatorError(f"found no free port between {_FIRST_PORT} and {_LAST_PORT}")


def require_free(port: int) -> None:
    """Refuse a port somebody else listens on, naming the next free one.

    Raises:
        OperatorError: it is taken.
    """
    if not is_free(port):
        other = next((later for later in range(port + 1, _PORT_MAX + 1) if is_free(later)), find_free_port(set()))
        raise OperatorError(f"port {port} is taken by another program; choose another one: make up PORT={other}")
