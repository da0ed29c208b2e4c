"""What HTTP headers say of limits: RateLimit-* after the IETF's draft, Retry-After after RFC 9110."""

from __future__ import annotations

from domain.errors import RateLimited, ShardboardError, Unauthenticated, Unavailable
from service.rate_limits import WINDOW_S, Allowance
from wire.asgi import Headers


def allowance_headers(allowance: Allowance) -> Headers:
    """What a caller has left."""
    return [
        (b"ratelimit-limit", b"%d" % allowance.limit),
        (b"ratelimit-remaining", b"%d" % allowance.remaining),
        (b"ratelimit-reset", b"%d" % allowance.reset_s),
        (b"ratelimit-policy", b"%d;w=%d" % (allowance.limit, WINDOW_S)),
    ]


def refusal_headers(error: ShardboardError) -> Headers:
    """What a client that was refused has to know, beside the error itself."""
    if isinstance(error, Unauthenticated):
        return [(b"www-authenticate", b"Bearer")]
    if not isinstance(error, RateLimited | Unavailable) or error.retry_after_s is None:
        return []
    headers: Headers = [(b"retry-after", b"%d" % error.retry_after_s)]
    if isinstance(error, RateLimited) and error.limit is not None:
        headers += allowance_headers(Allowance(error.limit, 0, error.retry_after_s))
    return headers
