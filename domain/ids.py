"""User ids and submission ids: how they are read, made and ordered."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.errors import BadUserInput

USER_ID_MIN = -(2**63)
USER_ID_MAX = 2**63 - 1

_DECIMAL = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_UUID_TEXT = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_user_id(text: str, where: str = "userId") -> int:
    """The user id that `text` writes in decimal.

    Args:
        text: what the client sent.
        where: the name of the input, for the message.

    Raises:
        BadUserInput: it is not a decimal integer, or outside of 64 bits.
    """
    if not _DECIMAL.fullmatch(text):
        raise BadUserInput(f'{where} must be a signed 64-bit integer in decimal, such as "42"; got {_shown(text)}.')
    user_id = int(text)
    if not USER_ID_MIN <= user_id <= USER_ID_MAX:
        raise BadUserInput(f"{where} must lie between {USER_ID_MIN} and {USER_ID_MAX}; got {text}.")
    return user_id


def parse_uuid(text: str, where: str) -> UUID:
    """The UUID that `text` writes in the usual form, with or without hyphens.

    Raises:
        BadUserInput: it is not a UUID.
    """
    if not _UUID_TEXT.fullmatch(text):
        raise BadUserInput(f"{where} must be a UUID such as 019aa0e2-7c00-7000-8000-000000000000; got {_shown(text)}.")
    return UUID(text)


def make_uuid7(unix_ms: int, random_bits: int | None = None) -> UUID:
    """A version 7 UUID (RFC 9562) of the instant `unix_ms`, milliseconds since 1970.

    Args:
        unix_ms: 0 .. 2^48 − 1.
        random_bits: the 74 bits after the time; drawn at random when not given.
    """
    if random_bits is None:
        random_bits = int.from_bytes(os.urandom(10), "big") >> 6
    rand_a, rand_b = random_bits >> 62, random_bits & ((1 << 62) - 1)
    return UUID(int=unix_ms << 80 | 0x7000 << 64 | rand_a << 64 | 0b10 << 62 | rand_b)


def uuid7_unix_ms(value: UUID) -> int:
    """The milliseconds since 1970 that a version 7 UUID carries."""
    return value.int >> 80


def instant_of(value: UUID) -> datetime:
    """The instant, to the millisecond, that a version 7 UUID carries."""
    return _EPOCH + timedelta(milliseconds=value.int >> 80)


def _shown(text: str, length_max: int = 60) -> str:
    """`text` quoted for an error message, cut so that no message grows with the input."""
    return repr(text if len(text) <= length_max else text[:length_max] + "…")
