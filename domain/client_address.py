"""The address of who sent a request, also behind proxies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

# One subscriber has at least so many addresses of IPv6 (RFC 6177); limits count them as one.
_IPV6_PREFIX = 64


@lru_cache(4096)
def client_address(peer: str, forwarded_for: str, trusted: tuple[Network, ...]) -> str:
    """The address that limits count by.

    Args:
        peer: who is at the other end of the connection.
        forwarded_for: what it says in `X-Forwarded-For`, several such headers joined by commas.
        trusted: the proxies whose word holds. From the right, each of them vouches for the address before it, so the
            last one that is no proxy of ours is the client; what stands before that, the client may have made up.
    """
    address = _parse(peer)
    if address is None:
        return peer  # a unix socket
    address = _client_of(address, forwarded_for, trusted)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _IPV6_PREFIX), strict=False))
    return str(address)


def is_from(networks: Sequence[Network], peer: str, forwarded_for: str | None, trusted: Sequence[Network]) -> bool:
    """Whether a request comes from one of these networks, as far as anybody we trust can tell.

    Args:
        forwarded_for: None where no proxy passed it on. One that did and that is not trusted vouches for nobody.
    """
    address = _parse(peer)
    if address is None or (forwarded_for is not None and not _is_in(address, trusted)):
        return False
    if forwarded_for is not None:
        client = _client_of(address, forwarded_for, trusted)
        if client == address:
            # The proxy does not say whom it passes on.
            return False
        address = client
    return _is_in(address, networks)


def _client_of(
    address: IPv4Address | IPv6Address, forwarded_for: str, trusted: Sequence[Network]
) -> IPv4Address | IPv6Address:
    for hop in reversed(forwarded_for.split(",")):
        if not _is_in(address, trusted):
            break
        before = _parse(hop)
        if before is None:
            break
        address = before
    return address


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip().removeprefix("[").partition("]")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_in(address: IPv4Address | IPv6Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
