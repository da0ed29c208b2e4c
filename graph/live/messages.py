"""The messages of the protocol graphql-transport-ws, as the package graphql-ws describes it in its PROTOCOL.md."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import orjson
from msgspec import Meta, Raw, Struct

from wire.json_text import MalformedJsonError, read_json

SUBPROTOCOL = "graphql-transport-ws"
ID_LENGTH_MAX = 128

# Close codes. Those from 4400 on, but for IDLE, are the protocol's.
TOO_MANY_OPERATIONS = 1008
TOO_LARGE = 1009
TRY_AGAIN_LATER = 1013
BAD_REQUEST = 4400
UNAUTHORIZED = 4401
FORBIDDEN = 4403
BAD_SUBPROTOCOL = 4406
INIT_TIMEOUT = 4408
ID_TAKEN = 4409
IDLE = 4410
TOO_MANY_INITS = 4429
INTERNAL_ERROR = 4500

# A close frame holds 125 bytes, two of them for the code.
_REASON_BYTES_MAX = 123

OperationId = Annotated[str, Meta(min_length=1, max_length=ID_LENGTH_MAX)]
Payload = dict[str, Any] | None
_NO_PAYLOAD = Raw(b"null")


class ConnectionInit(Struct, tag="connection_init"):
    """The first message of a client."""

    payload: Payload = None


class Ping(Struct, tag="ping"):
    """A client wants to hear that the service is there; its payload comes back as it is."""

    payload: Raw = _NO_PAYLOAD


class Pong(Struct, tag="pong"):
    """A client says that it is there."""

    payload: Payload = None


class Subscribe(Struct, tag="subscribe"):
    """Run an operation; `payload` is what a POST would have as its body."""

    id: OperationId
    payload: Raw


class Complete(Struct, tag="complete"):
    """A client wants no more of an operation."""

    id: OperationId


Message = ConnectionInit | Ping | Pong | Subscribe | Complete

_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)

ACK = '{"type":"connection_ack"}'


class Closing(Exception):
    """The socket is to be closed with `code` and `reason`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:_REASON_BYTES_MAX].decode(errors="ignore")


def read_message(text: str | None) -> Message:
    """What a client sent.

    Args:
        text: None for a binary frame.

    Raises:
        Closing: it is no message of the protocol.
    """
    if text is None:
        raise Closing(BAD_REQUEST, "Messages are JSON in text frames; got a binary one.")
    try:
        message = _decoder.decode(text)
        read_json(text)  # for what it refuses and the decoder does not
    except msgspec.ValidationError as error:
        raise Closing(BAD_REQUEST, f"Invalid message: {error}.") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Closing(BAD_REQUEST, f"The message is not valid JSON: {error}.") from None
    except MalformedJsonError as error:
        raise Closing(BAD_REQUEST, f"The message cannot be read: {error}.") from None
    except UnicodeEncodeError:
        raise Closing(BAD_REQUEST, "The message is not valid Unicode.") from None
    return message


def find_authorization(payload: dict[str, Any] | None) -> str | None:
    """What stands for the header `Authorization` in the payload of connection_init, however clients name it.

    Raises:
        Closing: it is no text.
    """
    payload = payload or {}
    headers = payload.get("headers")
    for entries in (payload, headers if isinstance(headers, dict) else {}):
        for name, value in entries.items():
            if name.lower() == "authorization" and value is not None:
                if not isinstance(value, str):
                    raise Closing(BAD_REQUEST, "Invalid message: Expected `str` - at `$.payload.authorization`.")
                return value
    return None


def next_head(operation_id: str) -> str:
    """A `next` message up to its payload; the payload and a brace complete it."""
    return f'{{"id":{_quoted(operation_id)},"type":"next","payload":'


def complete(operation_id: str) -> str:
    """The end of an operation."""
    return f'{{"id":{_quoted(operation_id)},"type":"complete"}}'


def error(operation_id: str, errors: list[dict[str, Any]]) -> str:
    """The end of an operation that was refused or failed."""
    return f'{{"id":{_quoted(operation_id)},"type":"error","payload":{orjson.dumps(errors).decode()}}}'


def pong(payload: Raw) -> str:
    """The answer to a ping.

    Raises:
        Closing: `payload` is neither an object nor null.
    """
    text = bytes(payload).decode()
    if text == "null":
        return '{"type":"pong"}'
    if not text.startswith("{"):
        raise Closing(BAD_REQUEST, "Invalid message: Expected `object | null` - at `$.payload`.")
    return f'{{"type":"pong","payload":{text}}}'


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()
