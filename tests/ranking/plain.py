"""What a board should say, worked out from a plain sorted list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from domain.standing import Row, Standing, percentile_of


def newest_rows(rows: Iterable[Row]) -> list[Row]:
    """Of each player the row of the highest revision, best first, in a tie the smaller id first."""
    newest: dict[int, Row] = {}
    for row in rows:
        if row.user_id not in newest or row.revision > newest[row.user_id].revision:
            newest[row.user_id] = row
    return sorted(newest.values(), key=lambda row: (-row.total_score, row.user_id))


def standings(rows: Iterable[Row]) -> list[Standing]:
    """All standings of a board, each with its competition rank counted one by one."""
    board = newest_rows(rows)
    return [
        Standing(
            row.user_id,
            row.username,
            row.total_score,
            row.games_played,
            row.last_played,
            rank := 1 + sum(other.total_score > row.total_score for other in board),
            percentile_of(rank, len(board)),
        )
        for row in board
    ]


def user_ids(found: Sequence[Standing]) -> list[int]:
    """Whose standings these are."""
    return [standing.user_id for standing in found]
