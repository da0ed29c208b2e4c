"""Who may come in: from the credential of a request to its caller."""

from __future__ import annotations

import re
from dataclasses import dataclass

from domain.access import HOW_TO_AUTHENTICATE, Caller, Scope
from domain.client_address import Network, client_address
from domain.errors import Unauthenticated
from domain.signature import Signing
from service.key_ring import KeyRing
from service.player_tokens import PlayerTokens
from service.rate_limits import RateLimits

_BEARER = re.compile(r"bearer +([!-~]+) *", re.ASCII | re.IGNORECASE)
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", re.ASCII)
_OPEN = frozenset({Scope.READ})
_CLOSED: frozenset[Scope] = frozenset()


@dataclass(frozen=True, slots=True)
class Access:
    """What this process knows of who may do what.

    Attributes:
        tokens: None where players' tokens are not accepted.
        reads_open: whether who has no credential may read.
        address_reads_per_minute: how much of it; 0 for no limit.
        trusted_proxies: whose word on a client's address holds.
    """

    keys: KeyRing
    tokens: PlayerTokens | None
    limits: RateLimits
    signing: Signing
    reads_open: bool
    address_reads_per_minute: int
    trusted_proxies: tuple[Network, ...]

    async def identify(self, authorization: str | None, peer: str, forwarded_for: str = "") -> Caller:
        """Who sends a request.

        Args:
            authorization: the header `Authorization`, or what stands for it; None without one.
            peer, forwarded_for: see `client_address`.

        Raises:
            Unauthenticated: the credential is not good.
            RateLimited: the address has sent too many such.
            Unavailable: it cannot be told whether it is good.
        """
        if authorization is None:
            return self.address(peer, forwarded_for)
        try:
            match = _BEARER.fullmatch(authorization)
            if match is None:
                raise Unauthenticated(f"The header Authorization cannot be read: {HOW_TO_AUTHENTICATE}.")
            credential = match[1]
            if self.tokens is not None and _JWT.fullmatch(credential):
                return await self.tokens.find(credential)
            return await self.keys.find(credential)
        except Unauthenticated:
            # Trying credentials costs as much as reading.
            await self.limits.take(self.address(peer, forwarded_for), "reads")
            raise

    def address(self, peer: str, forwarded_for: str = "") -> Caller:
        """Who sends a request without a credential."""
        return Caller(
            "address",
            f"address:{client_address(peer, forwarded_for, self.trusted_proxies)}",
            _OPEN if self.reads_open else _CLOSED,
            reads_per_minute=self.address_reads_per_minute,
        )
