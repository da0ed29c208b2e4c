"""Which GETs a page of another site could not have sent without asking first: cross-site request forgery ends here.

A browser sends a plain GET, cookies and address and all, for any page that names the URL. With a header of its own, or
a JSON content type, it first asks with OPTIONS whether the page may, which only listed origins are told.
"""

from __future__ import annotations

from collections.abc import Iterable

from wire.request import is_json

PREFLIGHT_HEADERS = (b"graphql-require-preflight", b"apollo-require-preflight", b"x-apollo-operation-name")
"""Ours, Apollo's, and what Apollo's clients for phones send by themselves."""

ADVICE = (
    "A GET must have the header GraphQL-Require-Preflight (with any value) or Content-Type: application/json, "
    "so that no other site can send it for a user; or send a POST."
)


def is_preflighted(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a browser would have asked before it sent a request with these headers."""
    return any(
        (name in PREFLIGHT_HEADERS and value.strip() != b"") or (name == b"content-type" and is_json(value))
        for name, value in headers
    )
