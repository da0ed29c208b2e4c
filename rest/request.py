"""What a request of this API asks for, read from its head and its query string."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qs

from domain.access import Caller
from domain.board import check_range
from domain.errors import BadUserInput
from service.rate_limits import Allowance
from wire.asgi import Headers, Receive
from wire.limit_headers import allowance_headers
from wire.request import RefusedRequestError

QUERY_BYTES_MAX = 2_000

_INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)


class Head(NamedTuple):
    """The headers that matter here, as they came. `twice` names one that must be there once and is not."""

    authorization: bytes | None = None
    forwarded_for: bytes = b""
    content_type: bytes = b""
    length: int = 0
    if_none_match: bytes = b""
    idempotency_key: bytes | None = None
    request_id: bytes | None = None
    twice: str = ""


@dataclass(slots=True)
class Request:
    """One request to a route.

    Attributes:
        user_id: the text in its path, empty where the path names no player.
        answer_headers: what the head of the answer says more, be it good or a problem.
    """

    caller: Caller
    head: Head
    user_id: str
    query_string: bytes
    receive: Receive
    answer_headers: Headers

    def tell(self, allowance: Allowance | None) -> None:
        """Say in the answer what the caller has left; nothing where nothing limits it."""
        if allowance is not None:
            self.answer_headers += allowance_headers(allowance)


def read_head(headers: Iterable[tuple[bytes, bytes]]) -> Head:
    """What `headers` say."""
    authorization = idempotency_key = request_id = None
    forwarded_for = content_type = if_none_match = b""
    length, twice = 0, ""
    for name, value in headers:
        if name == b"authorization":
            authorization = value
        elif name == b"x-forwarded-for":
            forwarded_for = b"%b,%b" % (forwarded_for, value) if forwarded_for else value
        elif name == b"content-type":
            content_type = value
        elif name == b"content-length" and value.isdigit():
            length = int(value)
        elif name == b"if-none-match":
            if_none_match = b"%b,%b" % (if_none_match, value) if if_none_match else value
        elif name == b"idempotency-key":
            twice = twice if idempotency_key is None else "Idempotency-Key"
            idempotency_key = value
        elif name == b"x-request-id":
            request_id = value
    return Head(authorization, forwarded_for, content_type, length, if_none_match, idempotency_key, request_id, twice)


def read_parameters(query_string: bytes, known: tuple[str, ...]) -> dict[str, str]:
    """The parameters of a URL by their names.

    Args:
        known: the names that there are.

    Raises:
        RefusedRequestError: the query string is too long.
        BadUserInput: it cannot be read, has a parameter that there is not, or one twice.
    """
    if not query_string:
        return {}
    if len(query_string) > QUERY_BYTES_MAX:
        raise RefusedRequestError(414, f"The query string may have {QUERY_BYTES_MAX} bytes.")
    try:
        given = parse_qs(query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError as error:
        raise BadUserInput(f"The parameters of the URL cannot be read: {error}.") from None
    for name, values in given.items():
        if name not in known:
            takes = f"this address takes {', '.join(known)}" if known else "this address takes none"
            raise BadUserInput(f"There is no parameter {name[:60]!r}; {takes}.")
        if len(values) > 1:
            raise BadUserInput(f"The parameter {name} is there {len(values)} times; send it once.")
    return {name: values[0] for name, values in given.items()}


def read_integer(parameters: dict[str, str], name: str, low: int, high: int, default: int) -> int:
    """The integer that a parameter holds, `default` where it is not there.

    Raises:
        BadUserInput: it is none, or not from `low` to `high`.
    """
    text = parameters.get(name)
    if text is None:
        return default
    if not _INTEGER.fullmatch(text):
        raise BadUserInput(f"{name} must be an integer from {low} to {high}; got {text[:60]!r}.")
    return check_range(int(text), low, high, name)
