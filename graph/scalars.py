"""The custom scalars of the contract.

Coercion refuses only what is not of the kind at all. The range of a score and the shape of a UUID are checked by
`domain.submission` for each input by itself: a refusal at coercion would fail every other input of a bulk.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NewType
from uuid import UUID

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

from domain.instants import rfc3339

Score = NewType("Score", int)
"""A score, total or sequence number: an integer that a double holds exactly."""

UuidText = NewType("UuidText", str)
"""What a client sent as a UUID, unchecked."""


def parse_score(value: object) -> int:
    """The integer that a client sent, of any size.

    Raises:
        GraphQLError: it is no number, or has a fraction.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise GraphQLError("Score cannot represent a value that is not an integer.")


def serialize_score(value: object) -> int:
    """The integer of a domain object.

    Raises:
        GraphQLError: it is none, which is a fault of the service.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise GraphQLError("Score cannot represent a value that is not an integer.")


def parse_datetime(value: object) -> datetime:
    """The instant that a client sent as RFC 3339 text.

    Raises:
        GraphQLError: it is no such text, or lacks the offset from UTC.
    """
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise GraphQLError("DateTime must be an RFC 3339 instant, such as 2026-11-23T10:15:00.123456Z.")
    return instant.astimezone(UTC)


def serialize_datetime(value: object) -> str:
    """`value` as RFC 3339 in UTC with microseconds, always of one length.

    Raises:
        GraphQLError: it is no instant, or has no time zone.
    """
    if isinstance(value, datetime) and value.tzinfo is not None:
        return rfc3339(value)
    raise GraphQLError("DateTime cannot represent a value that is not an instant with a time zone.")


def parse_uuid_text(value: object) -> str:
    """The text that a client sent as a UUID; `domain.ids.parse_uuid` judges it.

    Raises:
        GraphQLError: it is no text.
    """
    if isinstance(value, str):
        return value
    raise GraphQLError("UUID cannot represent a value that is not a string.")


def serialize_uuid(value: object) -> str:
    """`value` in lower case with hyphens.

    Raises:
        GraphQLError: it is no UUID.
    """
    if isinstance(value, UUID):
        return str(value)
    raise GraphQLError("UUID cannot represent a value that is not a UUID.")


_UUID = strawberry.scalar(name="UUID", serialize=serialize_uuid, parse_value=parse_uuid_text)

SCALARS: dict[object, ScalarDefinition] = {
    Score: strawberry.scalar(
        name="Score",
        description=(
            "An integer in the range of IEEE-754 doubles' exact integers, |n| <= 9007199254740991, as a JSON number."
        ),
        serialize=serialize_score,
        parse_value=parse_score,
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description="RFC 3339 instant in UTC, e.g. 2026-11-23T10:15:00.123456Z.",
        serialize=serialize_datetime,
        parse_value=parse_datetime,
    ),
    UUID: _UUID,
    UuidText: _UUID,
}
"""For each Python annotation the scalar that stands for it in the schema."""
