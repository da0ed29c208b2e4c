"""JSON that two readers could understand differently is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.json_text import MalformedJsonError, _may_repeat, read_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=8) | st.just('a": 1, "b'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.booleans(), st.sampled_from([(",", ":"), (", ", " : ")]))
def test_a_value_without_repetition_is_read_as_it_is(value: Any, ascii_only: bool, separators: tuple[str, str]) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, separators=separators)
    assert read_json(text.encode()) == read_json(text) == value


@given(VALUES)
def test_and_read_only_once(value: Any) -> None:
    assert not _may_repeat(json.dumps(value).encode(), value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 1}', 'the entry "a" is there twice'),
        ('{"a": {"b": [{"c": 1, "c": 2}]}}', 'the entry "c" is there twice'),
        ('{"a": 1, "\\u0061": 2}', 'the entry "a" is there twice'),
        ('{"a": "\\u003a", "a": ":"}', 'the entry "a" is there twice'),
        ('{"a:": "\\u003A", "b": 1, "b": 1}', 'the entry "b" is there twice'),
        ('{"a": {"b:c": 1}, "a": 1}', 'the entry "a" is there twice'),
        ('[{"a": ":::", "a": ""}]', 'the entry "a" is there twice'),
        ("{" + ", ".join(['"' + "x" * 100 + '": 1'] * 2) + "}", f'the entry "{"x" * 60}" is there twice'),
        ("NaN", "not valid JSON: "),
        ('{"a": Infinity}', "not valid JSON: "),
        ('"\\ud800"', "not valid JSON: "),
        ("", "not valid JSON: "),
        ("[" * 50_000 + "]" * 50_000, "not valid JSON: "),
        ('{"a":' * 900 + '{"b": 1, "b": 1}' + "}" * 900, ""),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    for given_text in (text, text.encode()):
        with pytest.raises(MalformedJsonError) as refused:
            read_json(given_text)
        assert str(refused.value).startswith(message)


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(MalformedJsonError, match="not valid JSON: "):
        read_json(b'"\xff"')
