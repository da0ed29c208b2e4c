"""Which media types a request sends and wants, after the GraphQL-over-HTTP specification."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from wire.request import JSON

GRAPHQL_JSON = b"application/graphql-response+json"
HTML = b"text/html"
EVENT_STREAM = b"text/event-stream"


class Wanted(NamedTuple):
    """What an `Accept` header asks for.

    `strict`: application/graphql-response+json, in which a refused request is a 4xx, rather than application/json,
    in which every well-formed request is a 200. `page`: HTML by name, as a browser asks; `*/*` never gets a page.
    `events`: an event stream by name; `events_first`: that rather than JSON.
    """

    strict: bool
    page: bool
    events: bool
    events_first: bool


@lru_cache(256)
def read_accept(header: bytes) -> Wanted:
    """What `header` asks for; plain JSON where it asks for nothing that there is."""
    weights = dict(_weighed(part) for part in header.split(b","))
    strict = weights.get(GRAPHQL_JSON, 0.0)
    plain = weights.get(JSON, 0.0)
    html = weights.get(HTML, 0.0)
    events = weights.get(EVENT_STREAM, 0.0)
    return Wanted(
        strict=strict > 0 and strict >= plain,
        page=html > 0 and html >= max(strict, plain),
        events=events > 0,
        events_first=events > max(strict, plain),
    )


def _weighed(media_range: bytes) -> tuple[bytes, float]:
    media_type, *parameters = (part.strip().lower() for part in media_range.split(b";"))
    for parameter in parameters:
        if parameter.startswith(b"q="):
            try:
                return media_type, float(parameter[2:])
            except ValueError:
                return media_type, 0.0
    return media_type, 1.0
