"""Why a shard does not let us in, in an operator's words: clients are told only that it does not answer."""

from __future__ import annotations

import ssl

import asyncpg
from sqlalchemy.exc import DBAPIError


def explain(error: BaseException) -> str:
    """The message of an error, and where it is about TLS or the login, what was wrong with that."""
    why = _why(error.__cause__)
    return f"{error} ({why})" if why else str(error)


def _why(cause: BaseException | None) -> str | None:
    if isinstance(cause, DBAPIError):
        cause = cause.orig.__cause__ if cause.orig else None
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed: {cause.reason or cause}"
    if isinstance(cause, ConnectionError) and "rejected SSL upgrade" in str(cause):
        return "it does not speak TLS, which sslmode asks for"
    if isinstance(cause, asyncpg.InvalidAuthorizationSpecificationError | asyncpg.InvalidCatalogNameError):
        return str(cause)
    return None
