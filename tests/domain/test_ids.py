from __future__ import annotations

import random
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import BadUserInput
from domain.ids import (
    USER_ID_MAX,
    USER_ID_MIN,
    instant_of,
    make_uuid7,
    parse_user_id,
    parse_uuid,
    uuid7_unix_ms,
)

UNIX_MS = st.integers(0, 2**48 - 1)


@pytest.mark.parametrize(
    ("text", "user_id"),
    [
        ("0", 0),
        ("-0", 0),
        ("42", 42),
        ("-42", -42),
        ("007", 7),
        ("9223372036854775807", USER_ID_MAX),
        ("-9223372036854775808", USER_ID_MIN),
    ],
)
def test_a_user_id_is_read_as_a_signed_64_bit_integer(text: str, user_id: int) -> None:
    assert parse_user_id(text) == user_id


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-",
        "+1",
        " 1",
        "1 ",
        "1\n",
        "1.0",
        "1e3",
        "0x10",
        "1_000",
        "NaN",
        "١٢",
        "²",
        "--1",
        "1" * 20,
        "9" * 10_000,
    ],
)
def test_what_is_no_integer_is_no_user_id(text: str) -> None:
    with pytest.raises(BadUserInput, match=r"inputs\[3\]\.userId must be a signed 64-bit integer in decimal") as raised:
        parse_user_id(text, "inputs[3].userId")
    assert len(str(raised.value)) < 250


@pytest.mark.parametrize("text", ["9223372036854775808", "-9223372036854775809", "9999999999999999999"])
def test_an_integer_out_of_64_bits_is_no_user_id(text: str) -> None:
    with pytest.raises(BadUserInput, match=f"userId must lie between {USER_ID_MIN} and {USER_ID_MAX}; got {text}"):
        parse_user_id(text)


@given(st.integers(USER_ID_MIN, USER_ID_MAX))
def test_every_user_id_is_read_back(user_id: int) -> None:
    assert parse_user_id(str(user_id)) == user_id


def test_a_uuid_is_read_in_its_usual_forms() -> None:
    expected = UUID("019aa0e2-7c00-7000-8000-00000000abcd")
    assert parse_uuid("019aa0e2-7c00-7000-8000-00000000abcd", "id") == expected
    assert parse_uuid("019AA0E2-7C00-7000-8000-00000000ABCD", "id") == expected
    assert parse_uuid("019aa0e27c0070008000" + "00000000abcd", "id") == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "{019aa0e2-7c00-7000-8000-000000000000}",
        "urn:uuid:019aa0e2-7c00-7000-8000-000000000000",
        "019aa0e2-7c00-7000-8000-00000000000",
        "019aa0e2-7c00-7000-8000-0000000000000",
        "019aa0e2-7c00-7000-8000-00000000000g",
        "019aa0e2-7c00-7000-8000-000000000000\n",
    ],
)
def test_what_is_no_uuid_is_refused(text: str) -> None:
    with pytest.raises(BadUserInput, match="id must be a UUID such as"):
        parse_uuid(text, "id")


@given(UNIX_MS, st.integers(0, 2**74 - 1))
def test_a_made_id_is_a_version_7_uuid_of_its_instant(unix_ms: int, random_bits: int) -> None:
    made = make_uuid7(unix_ms, random_bits)
    assert made.version == 7
    assert uuid7_unix_ms(made) == unix_ms
    assert make_uuid7(unix_ms, random_bits) == made
    assert unix_ms << 80 < made.int < (unix_ms + 1) << 80


@given(st.integers(0, 2**74 - 1), st.integers(0, 2**74 - 1))
def test_all_random_bits_are_in_the_id(one: int, other: int) -> None:
    assert (make_uuid7(1, one) == make_uuid7(1, other)) == (one == other)


@given(UNIX_MS, UNIX_MS)
def test_ids_are_ordered_by_their_time(one_ms: int, other_ms: int) -> None:
    if one_ms != other_ms:
        assert (make_uuid7(one_ms) < make_uuid7(other_ms)) == (one_ms < other_ms)


def test_ids_of_one_instant_differ() -> None:
    assert len({make_uuid7(1_700_000_000_000) for _ in range(10_000)}) == 10_000


def test_an_id_carries_its_instant_to_the_millisecond() -> None:
    made = make_uuid7(1_767_225_600_123, random.getrandbits(74))
    assert instant_of(made) == datetime(2026, 1, 1, 0, 0, 0, 123_000, UTC)
