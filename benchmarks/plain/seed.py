"""Fills the plain design with as many players and sessions as the service has."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from benchmarks.plain.tables import SCHEMA, Base
from benchmarks.postgres import run_psql

_SEED = """
create temp table named (n serial, id bigint, username text);
\\copy named (id, username) from '{players}'
analyze named;

create temp table played as
select
    uuidv7(-30 * random() * interval '1 day') as id,
    1 + floor(random() * (select count(*) from named))::int as n,
    floor(random() * 1000)::int as score
from generate_series(1, {sessions});

insert into players (id, username, total_score, games_played, last_played)
select p.id, p.username, coalesce(sum(s.score), 0), count(s.id), now()
from named as p left join played as s using (n)
group by p.id, p.username;

insert into game_sessions (id, player_id, score, game_mode, duration_seconds, played_at)
select s.id, p.id, s.score, 'solo', 600, uuid_extract_timestamp(s.id)
from played as s join named as p using (n)
order by s.id;

vacuum analyze players;
vacuum analyze game_sessions;
"""


def seed_plain(url: str, players: Path, sessions: int) -> None:
    """Make the tables in a fresh schema and fill them.

    Args:
        url: the database, as a role that owns it.
        players: the file that benchmarks/cluster.py writes.
        sessions: how many, spread evenly over the players.
    """
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    statements = [f"drop schema if exists {SCHEMA} cascade", f"create schema {SCHEMA}", f"set search_path = {SCHEMA}"]
    for table in Base.metadata.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=dialect)))
        statements += [str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes]
    run_psql(url, ";\n".join(statements) + ";\n" + _SEED.format(players=players, sessions=sessions))


def drop_plain(url: str) -> None:
    """Take it all away again."""
    run_psql(url, f"drop schema {SCHEMA} cascade;")
