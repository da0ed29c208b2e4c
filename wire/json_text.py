"""JSON as clients send it, read strictly: what two readers could understand differently is refused."""

from __future__ import annotations

import json
from typing import Any

import orjson


class MalformedJsonError(ValueError):
    """It is no JSON, or not only one thing; the message says why."""


def read_json(text: bytes | str) -> Any:
    """The value that `text` describes.

    Raises:
        MalformedJsonError: it is no JSON in UTF-8, nested too deeply, holds NaN or half a character, or an object in it
            has an entry twice: readers differ in which one they take.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedJsonError(f"not valid JSON: {error}") from None
    if _may_repeat(text.encode() if isinstance(text, str) else text, value):
        try:
            json.loads(text, object_pairs_hook=_without_repetition)
        except RecursionError:
            raise MalformedJsonError("nested too deeply") from None
    return value


def _may_repeat(text: bytes, value: Any) -> bool:
    """Whether an object in `text` might have an entry twice. False is certain, and found without a second reading.

    Every entry written has its colon; all other colons are in strings, and written again as they are. An entry that was
    overwritten is therefore a colon that is missing when the value is written again. A colon written as an escape would
    hide one.
    """
    if b"\\u003a" in text or b"\\u003A" in text:
        return True
    try:
        return orjson.dumps(value).count(b":") != text.count(b":")
    except TypeError:  # deeper than the writer goes
        return True


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise MalformedJsonError(f"the entry {json.dumps(repeated[:60])} is there twice")
    return entries
