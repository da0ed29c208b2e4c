"""Each migration is of the phase that it says: what takes something away from the version before is a contract."""

from __future__ import annotations

import re

import pytest

from db.migrate import migrate
from db.schema import FIRST_THAT_TELLS, all_migrations, last_contract, needed_revision, newest_revision
from infra.local.cluster import LocalCluster
from infra.local.cluster_file import ShardUrls
from tests.db.phases import Catalog, contractions, read_catalog
from tests.db.shards import connected
from tests.db.test_migrations import made_database

TAKING_AWAY = {
    "drop table move_markers": "table move_markers is gone",
    "alter table players drop column username": "column players.username is gone",
    "alter table players rename column username to name": "column players.username is gone",
    "alter table bucket_moves alter column ordinal type bigint": "column bucket_moves.ordinal is bigint now",
    "alter table bucket_moves alter column trouble set not null": "column bucket_moves.trouble must not be null",
    "alter table shard_info alter column contracted_to drop default": "column shard_info.contracted_to has no default",
    "alter table bucket_moves add column kind text not null": "column bucket_moves.kind is new, must not be null",
    "alter table boards add constraint short check (length(name) < 9)": "rule boards.short is new or another",
    "alter table boards add constraint unnamed unique (name, board_id)": "rule boards.unnamed is new or another",
    "alter table leaderboard add column luck double precision default random()": "table leaderboard is written anew",
    "drop index leaderboard_changed_idx": "index leaderboard_changed_idx is gone or another",
    "create index players_name_idx on players (username)": "index players_name_idx locks out who writes to players",
    "drop function bucket_of(bigint)": "function bucket_of(bigint) is gone or answers otherwise",
    "drop trigger number_replicated_change on leaderboard; drop function number_replicated_change()": (
        "function number_replicated_change() is gone or answers otherwise"
    ),
}
ADDING = [
    "create table seasons (season_id integer primary key, name text not null)",
    "alter table players add column country text",
    "alter table players add column visits integer not null default 0",
    "create function twice(n integer) returns integer language sql return 2 * n",
    "create or replace function bucket_of(p_user_id bigint) returns smallint language sql immutable return 0::smallint",
]


async def test_each_migration_is_of_the_phase_that_it_says(server: LocalCluster) -> None:
    async with made_database(server) as url:
        before = Catalog({}, {}, {}, {}, {})
        for migration in all_migrations():
            done = await migrate("shard1", url, contract=True, until=migration.revision)
            assert done.after == migration.revision
            async with connected(url) as connection:
                after = await read_catalog(connection)
                if migration.revision >= FIRST_THAT_TELLS:
                    told = await connection.fetchval("select contracted_to from shard_info")
                    assert told == last_contract(migration.revision)
            found = contractions(before, after, in_transaction=migration.in_transaction)
            assert migration.phase == ("contract" if found else "expand"), found
            before = after


def test_migrations_are_numbered_in_their_order() -> None:
    # Schemas are compared as texts.
    revisions = [migration.revision for migration in all_migrations()]
    assert revisions == sorted(revisions)
    assert all(re.fullmatch(r"\d{4}", revision) for revision in revisions)
    assert needed_revision() <= newest_revision() == revisions[-1]


@pytest.mark.parametrize("statement", TAKING_AWAY)
async def test_what_takes_something_away_is_noticed(shard: ShardUrls, statement: str) -> None:
    found = await _effect_of(shard, statement)
    assert any(each.startswith(TAKING_AWAY[statement]) for each in found), found


@pytest.mark.parametrize("statement", ADDING)
async def test_what_adds_something_is_not(shard: ShardUrls, statement: str) -> None:
    assert await _effect_of(shard, statement) == []


async def _effect_of(shard: ShardUrls, statement: str) -> list[str]:
    async with connected(shard.direct_url) as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            before = await read_catalog(connection)
            await connection.execute(statement)
            return contractions(before, await read_catalog(connection))
        finally:
            await transaction.rollback()
