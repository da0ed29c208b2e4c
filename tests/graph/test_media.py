from __future__ import annotations

import pytest

from graph.media import Wanted, read_accept
from wire.request import is_json

PLAIN = Wanted(strict=False, page=False, events=False, events_first=False)
STRICT = PLAIN._replace(strict=True)
PAGE = PLAIN._replace(page=True)
EVENTS_TOO = PLAIN._replace(events=True)
EVENTS = PLAIN._replace(events=True, events_first=True)


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (b"", PLAIN),
        (b"*/*", PLAIN),
        (b"application/json", PLAIN),
        (b"application/*", PLAIN),
        (b"image/png", PLAIN),
        (b"application/graphql-response+json", STRICT),
        (b"application/graphql-response+json, application/json;q=0.9", STRICT),
        (b"application/graphql-response+json; charset=utf-8, application/json; charset=utf-8", STRICT),
        (b"application/json, application/graphql-response+json;q=0.5", PLAIN),
        (b"application/graphql-response+json;q=0", PLAIN),
        (b"application/graphql-response+json;q=x", PLAIN),
        (b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", PAGE),
        (b"TEXT/HTML", PAGE),
        (b"application/json, text/html;q=0.5", PLAIN),
        (b"text/event-stream", EVENTS),
        (b"text/event-stream, multipart/mixed", EVENTS),
        (b"text/event-stream;q=0", PLAIN),
        (b"application/json, text/event-stream, multipart/mixed", EVENTS_TOO),
        (b"application/json;q=0.5, text/event-stream", EVENTS),
    ],
)
def test_accept_decides_the_media_type(accept: bytes, wanted: Wanted) -> None:
    assert read_accept(accept) == wanted


@pytest.mark.parametrize(
    ("content_type", "read"),
    [
        (b"application/json", True),
        (b"Application/JSON; charset=UTF-8", True),
        (b'application/json;charset="utf-8"', True),
        (b"application/json; charset=latin-1", False),
        (b"", False),
        (b"text/plain", False),
        (b"application/graphql", False),
        (b"multipart/form-data; boundary=x", False),
    ],
)
def test_only_json_in_utf8_is_read(content_type: bytes, read: bool) -> None:
    assert is_json(content_type) is read
