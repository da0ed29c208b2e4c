from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.ids import USER_ID_MAX, USER_ID_MIN
from domain.standing import Row
from domain.submission import SCORE_MAX
from ranking.members import member_of, pack_row, score_of, total_of, unpack_row, user_id_of

USER_IDS = st.integers(USER_ID_MIN, USER_ID_MAX)
TOTALS = st.integers(-SCORE_MAX, SCORE_MAX)


@given(USER_IDS, USER_IDS)
def test_members_are_ordered_as_the_ids_are(one: int, other: int) -> None:
    assert (member_of(one) < member_of(other)) == (one < other)
    assert user_id_of(member_of(one)) == one
    assert len(member_of(one)) == 8


@given(TOTALS)
def test_a_total_is_read_back_however_redis_writes_it(total: int) -> None:
    assert total_of(score_of(total)) == total
    assert total_of(b"%.17g" % -total) == total
    assert total_of(b"%r" % float(-total)) == total


@given(
    USER_IDS,
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100),
    TOTALS,
    st.integers(1, 2**53),
    st.integers(0, 4_102_444_800_000_000),
    st.integers(1, 2**53),
)
def test_a_row_is_read_back(user_id: int, name: str, total: int, games: int, played_us: int, revision: int) -> None:
    played = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=played_us)
    row = Row(user_id, name, total, games, played, revision)
    assert unpack_row(member_of(user_id), score_of(total), pack_row(row)) == row
