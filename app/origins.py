"""Which origins may use the API from a browser."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wire.asgi import Scope

ANY = "*"

_ORIGIN = re.compile(r"https?://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}


def check_origin(origin: str) -> str:
    """An origin as browsers write it, or `*` for all.

    Raises:
        ValueError: it is none.
    """
    if origin != ANY and not _ORIGIN.fullmatch(origin):
        raise ValueError(
            f"{origin!r} is no origin: write scheme://host or scheme://host:port in small letters, without a path, or *"
        )
    for scheme, port in _DEFAULT_PORTS.items():
        if origin.startswith(f"{scheme.decode()}://") and origin.endswith(port.decode()):
            raise ValueError(f"{origin!r} has the port that browsers leave out: write it without")
    return origin


class Origins:
    """The origins that may use the API.

    Args:
        listed: as `check_origin` lets them pass.
    """

    def __init__(self, listed: Sequence[str]) -> None:
        self.any = ANY in listed
        self._listed = frozenset(origin.encode() for origin in listed)

    def allows(self, origin: bytes) -> bool:
        """Whether `origin` is listed."""
        return self.any or origin in self._listed

    def refuses_socket(self, scope: Scope) -> bool:
        """Whether a WebSocket comes from a page that is neither ours nor of a listed origin.

        Browsers ask nobody before they open one, but tell whose page it is; other clients do not.
        """
        headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        return origin is not None and not self.allows(origin) and not _is_own(origin, headers.get(b"host", b""))


def _is_own(origin: bytes, host: bytes) -> bool:
    """Whether a page of `origin` came from the host that it now asks; a proxy may have taken TLS off, not the name."""
    scheme, _, address = origin.lower().partition(b"://")
    default = _DEFAULT_PORTS.get(scheme)
    return default is not None and host.lower().removesuffix(default) == address
