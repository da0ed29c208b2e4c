"""What the service's role can do on a shard, and above all what it cannot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url

from db.directory import read_directory, read_directory_as_service
from db.migrate import migrate
from db.ownership import claim_buckets, read_ownership
from db.postgres import Postgres
from db.roles import READ_TABLES, WITHHELD_TABLES, read_role_warnings, service_role_of
from db.tables import metadata
from domain.errors import OperatorError
from infra.local.cluster import LocalCluster
from infra.local.cluster_file import ShardUrls
from infra.local.postgres import OWNER, SERVICE_ROLE
from tests.db.shards import connected, contents, record, service_url_of
from tests.factories import make_submission

FORBIDDEN = [
    # Tables, and everything else that can be made.
    "create table mine (n integer)",
    "create table public.mine (n integer)",
    "create temporary table mine (n integer)",
    "create view public.mine as select 1 as n",
    "create sequence public.mine",
    "create type public.mine as enum ('a')",
    "create function public.mine() returns integer language sql return 1",
    "create schema mine",
    "create database mine",
    "create extension pg_stat_statements",
    "create tablespace mine location '/tmp'",
    "create event trigger mine on ddl_command_start execute function number_replicated_change()",
    "create trigger mine before insert on players for each row execute function number_replicated_change()",
    "create rule mine as on insert to players do instead nothing",
    "create policy mine on players using (true)",
    "create index mine on players (username)",
    "alter table players add column mine integer",
    "alter table players disable trigger all",
    "alter table leaderboard drop constraint leaderboard_total_range",
    "alter table players owner to current_user",
    "alter function record_sessions security invoker",
    "create or replace function bucket_of(p_user_id bigint) returns smallint language sql return 0::smallint",
    "alter schema public rename to mine",
    "alter database shardboard set search_path = mine",
    "alter system set fsync = off",
    "drop table players",
    "drop table game_sessions cascade",
    "drop function record_sessions",
    "drop schema public cascade",
    "truncate players",
    "truncate game_sessions, leaderboard, players",
    "alter table game_sessions detach partition {partition}",
    "drop table {partition}",
    "comment on table players is 'mine'",
    # Rows: whatever is written goes through a function that checks it.
    "insert into players values (0, 0, 'mine', now())",
    "update players set username = 'mine'",
    "delete from players",
    "insert into leaderboard select * from leaderboard",
    "update leaderboard set total_score = 1",
    "delete from leaderboard",
    "insert into game_sessions select * from game_sessions",
    "update game_sessions set score = 1",
    "delete from game_sessions",
    "delete from {partition}",
    "merge into players as p using (select 1) as s on true when matched then delete",
    "update bucket_owner set epoch = 99",
    "delete from bucket_owner",
    "insert into bucket_owner values (1, 'owned', 99) on conflict do nothing",
    "insert into bucket_handover values (1, 99, 'mine')",
    "delete from bucket_handover",
    "update shard_info set name = 'mine'",
    "update shard_info set pruned_before = null",
    "delete from shard_info",
    "insert into shard_directory values ('mine', '', '', false, null, 99)",
    "update shard_directory set url = 'mine'",
    "delete from shard_directory",
    "update alembic_version set version_num = '0001'",
    "update shard_info set contracted_to = '9999'",
    "delete from serving_processes",
    "select * from serving_processes",
    "insert into bucket_moves select * from bucket_moves",
    "insert into boards values (2, 'mine')",
    "do $$ begin lock table bucket_owner in access exclusive mode; end $$",
    "do $$ begin lock table leaderboard in share mode; end $$",
    "select * from bucket_owner for update",
    "select * from leaderboard for share",
    "select * from freeze_buckets('{{1}}', gen_random_uuid(), 1, 1000, 1000)",
    "select * from release_buckets('{{1}}', 'mine', 1000)",
    # Reading what it need not know.
    "select * from shard_directory",
    "select direct_url from shard_directory",
    "select row_to_json(d) from shard_directory as d",
    "select d::text from shard_directory as d",
    "copy shard_directory to stdout",
    "select * from bucket_moves",
    "select * from move_markers",
    "select * from {partition}",
    "select rolpassword from pg_authid",
    "select passwd from pg_shadow",
    "select subconninfo from pg_subscription",
    # Becoming somebody else.
    "set role shardboard",
    "set role postgres",
    "set session authorization shardboard",
    "create role mine",
    "create user mine superuser",
    "alter role shardboard password 'mine'",
    "alter role current_user superuser",
    "alter role current_user createrole",
    "drop role shardboard",
    "grant shardboard to current_user",
    "grant pg_read_all_data to current_user",
    "grant select on shard_directory to public",
    "alter default privileges for role shardboard grant all on tables to public",
    "reassign owned by shardboard to current_user",
    "drop owned by shardboard",
    # The machine.
    "copy (select 1) to program 'true'",
    "copy players from program 'true'",
    "copy players from '/etc/passwd'",
    "copy (select 1) to '/tmp/mine'",
    "select pg_read_file('postgresql.conf')",
    "select pg_read_binary_file('postgresql.conf')",
    "select pg_ls_dir('.')",
    "select pg_stat_file('postgresql.conf')",
    "select lo_import('/etc/passwd')",
    "select lo_export(1, '/tmp/mine')",
    "select pg_reload_conf()",
    "select pg_rotate_logfile()",
    "select pg_promote()",
    "load 'auto_explain'",
    "set session_replication_role = replica",
    "checkpoint",
    "create foreign data wrapper mine",
    # Replication.
    "create publication mine for all tables",
    "create publication mine for table players",
    "create subscription mine connection 'host=127.0.0.1' publication mine with (connect = false)",
    "select pg_create_logical_replication_slot('mine', 'pgoutput')",
    "select pg_create_physical_replication_slot('mine')",
    "select pg_drop_replication_slot('mine')",
    "select pg_replication_origin_create('mine')",
    "select pg_switch_wal()",
]

# These say no with a warning, and do nothing.
WARNED = [
    "vacuum full players",
    "analyze players",
    "grant all on players to current_user",
    "grant create on schema public to current_user",
    "revoke select on players from current_user",
]

STATE = """
    select
        (select array_agg(row(c.relname, c.relowner, c.relacl, c.relkind)::text order by c.oid)
            from pg_class as c where c.relnamespace = 'public'::regnamespace),
        (select array_agg(row(p.proname, p.proacl, p.prosecdef, p.prosrc)::text order by p.oid)
            from pg_proc as p where p.pronamespace = 'public'::regnamespace),
        (select array_agg(row(r.*)::text order by r.oid) from pg_roles as r),
        (select array_agg(row(m.*)::text order by m.*) from pg_auth_members as m),
        (select array_agg(row(n.*)::text order by n.oid) from pg_namespace as n
            where n.nspname !~ '^pg_(toast_)?temp_'),
        (select array_agg(datname order by oid) from pg_database),
        (select array_agg(pubname) from pg_publication),
        (select array_agg(subname) from pg_subscription),
        (select array_agg(slot_name) from pg_replication_slots),
        (select array_agg(row(t.*)::text order by t.name) from shard_directory as t),
        (select array_agg(row(t.*)::text) from shard_info as t),
        (select array_agg(row(t.*)::text) from bucket_handover as t)
"""


async def state_of(shard: ShardUrls) -> tuple[Any, ...]:
    async with connected(shard.direct_url) as connection:
        rows = await contents(shard.direct_url)
        return rows, tuple(await connection.fetchrow(STATE))


@asynccontextmanager
async def as_service(shard: ShardUrls) -> AsyncIterator[Postgres]:
    postgres = Postgres(shard.name, service_url_of(shard))
    try:
        yield postgres
    finally:
        await postgres.close()


async def test_what_the_service_need_not_do_it_may_not_do(shard: ShardUrls, postgres: Postgres) -> None:
    await record(postgres, make_submission(7, 1), make_submission(8, 2))
    async with connected(shard.direct_url) as owner:
        partition = await owner.fetchval("select min(tableoid::regclass::text) from game_sessions")
    before = await state_of(shard)
    allowed = []
    # Without PgBouncer between: the rights are the server's.
    async with connected(service_url_of(shard)) as connection:
        for statement in FORBIDDEN:
            try:
                await connection.execute(statement.format(partition=partition))
            except asyncpg.InsufficientPrivilegeError:
                continue
            except asyncpg.PostgresError as error:
                allowed.append((statement, repr(error)))
            else:
                allowed.append((statement, "nothing said no"))
        for statement in WARNED:
            await connection.execute(statement)
    assert allowed == [], "\n".join(map(str, allowed))
    assert await state_of(shard) == before


async def test_the_owner_may_do_what_the_service_may_not(shard: ShardUrls) -> None:
    """Or the list would show nothing: the statements are refused for who asks, not for what they say."""
    tried = [s for s in FORBIDDEN if s.startswith(("insert into boards", "update shard_info", "delete from players"))]
    assert len(tried) == 5
    async with connected(shard.direct_url) as connection:
        for statement in ["select direct_url from shard_directory", "select * from bucket_moves", *tried]:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(statement)
            await transaction.rollback()


def test_every_table_is_given_or_withheld() -> None:
    assert sorted([*READ_TABLES, *WITHHELD_TABLES]) == sorted([*metadata.tables, "alembic_version"])


async def test_the_service_has_these_rights_and_no_others(shard: ShardUrls) -> None:
    async with connected(shard.direct_url) as connection:
        tables = await connection.fetch(
            """
            select c.relname, a.privilege_type
            from pg_class as c
            cross join aclexplode(c.relacl) as a
            where c.relnamespace = 'public'::regnamespace and a.grantee <> c.relowner
            order by 1
            """
        )
        columns = await connection.fetch(
            """
            select c.relname, t.attname, a.privilege_type
            from pg_attribute as t
            join pg_class as c on c.oid = t.attrelid
            cross join aclexplode(t.attacl) as a
            where c.relnamespace = 'public'::regnamespace and a.grantee <> c.relowner
            order by 1, 2
            """
        )
        functions = await connection.fetch(
            """
            select p.proname, p.prosecdef, p.proconfig @> '{"search_path=public, pg_temp"}' as path_is_fixed
            from pg_proc as p
            where p.pronamespace = 'public'::regnamespace and has_function_privilege($1, p.oid, 'execute')
            order by 1
            """,
            SERVICE_ROLE,
        )
    whole = sorted(table for table, columns in READ_TABLES.items() if columns is None)
    assert [tuple(row) for row in tables] == [(table, "SELECT") for table in whole]
    assert [tuple(row) for row in columns] == [
        ("bucket_moves", "phase", "SELECT"),
        *(("shard_directory", column, "SELECT") for column in ("capacity_bytes", "name", "removed", "url", "version")),
    ]
    assert [tuple(row) for row in functions] == [
        ("claim_buckets", True, True),
        ("forget_serving", True, True),
        ("make_session_months", True, True),
        ("note_serving", True, True),
        # Reads what the service may read, and needs no more.
        ("read_history", False, False),
        ("record_sessions", True, True),
        ("show_name", True, True),
    ]


async def test_the_directory_is_read_without_the_owners_addresses(shard: ShardUrls, postgres: Postgres) -> None:
    owner = Postgres(shard.name, shard.direct_url)
    (whole,) = await read_directory(owner)
    (seen,) = await read_directory_as_service(postgres)
    assert (whole.url, whole.direct_url) == (shard.url, shard.direct_url)
    assert (seen.name, seen.url, seen.direct_url, seen.version) == (whole.name, whole.url, "", whole.version)
    await owner.close()


async def test_a_claim_only_adds(shard: ShardUrls, postgres: Postgres) -> None:
    """The one way by which the service's role changes who owns what."""
    before = await read_ownership(postgres)
    epochs = {claim.bucket: claim.epoch for claim in before.owned}
    async with connected(shard.direct_url) as owner:
        await owner.execute("delete from bucket_owner where bucket in (1, 2)")
        await owner.execute("insert into bucket_handover values (1, 5, 'shard2')")
        try:
            # Owned already; given away later than this; free.
            await claim_buckets(postgres, {0: 99, 1: 5, 2: 7})
            after = {claim.bucket: claim.epoch for claim in (await read_ownership(postgres)).owned}
            expected = epochs | {2: 7}
            del expected[1]
            assert after == expected
        finally:
            await owner.execute("delete from bucket_handover; delete from bucket_owner where bucket in (1, 2)")
            await owner.execute("insert into bucket_owner values (1, 'owned', 1), (2, 'owned', 1)")


async def test_functions_take_nothing_from_the_callers_search_path(shard: ShardUrls) -> None:
    """A caller who can make objects somewhere must not have the owner's functions use them."""
    async with connected(shard.direct_url) as owner:
        await owner.execute(f"create schema trap; grant all on schema trap to {SERVICE_ROLE}")
        try:
            async with connected(service_url_of(shard)) as connection:
                await connection.execute("create table trap.bucket_owner (bucket smallint, state text, epoch bigint)")
                await connection.execute(
                    "create function trap.cardinality(uuid[]) returns integer language sql return 1 / 0"
                )
                await connection.execute("set search_path = trap, pg_catalog, public")
                await connection.execute("select claim_buckets('{4095}', '{9}')")
                assert await connection.fetch("select * from trap.bucket_owner") == []
                arrays = ", ".join(["'{}'"] * 9)
                assert await connection.fetch(f"select * from record_sessions({arrays}, true)") == []
        finally:
            await owner.execute("drop schema trap cascade")


@asynccontextmanager
async def made_role(server: LocalCluster, options: str = "") -> AsyncIterator[str]:
    """A role of the server with the password `x`, which goes with everything that it was granted."""
    (shard,) = server.shards
    superuser = make_url(shard.direct_url).set(username="postgres", password=server.identity.superuser_password)
    async with connected(superuser.render_as_string(hide_password=False)) as connection:
        await connection.execute(f"create role \"O'Neil's role\" login password 'x' {options}")
        try:
            yield "O'Neil's role"
        finally:
            await connection.execute("drop owned by \"O'Neil's role\"; drop role \"O'Neil's role\"")


async def test_another_user_of_the_url_is_let_in_by_the_next_migrate(server: LocalCluster, shard: ShardUrls) -> None:
    async with made_role(server) as role:
        url = make_url(shard.direct_url).set(username=role, password="x").render_as_string(hide_password=False)
        assert service_role_of(url, shard.direct_url) == role
        postgres = Postgres(shard.name, url)
        with pytest.raises(OperatorError, match=r"may not read its tables; run `shardboard migrate`"):
            await read_ownership(postgres)
        await migrate(shard.name, shard.direct_url, role)
        (outcome,) = await record(postgres, make_submission(7, 1))
        assert outcome.outcome == "recorded"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await postgres.call("delete from players")
        await postgres.close()
        # The one before keeps what it has until its processes are gone and it is dropped.
        async with as_service(shard) as before:
            assert (await read_ownership(before)).owned


async def test_what_was_granted_by_hand_is_taken_back(shard: ShardUrls) -> None:
    async with connected(shard.direct_url) as owner, as_service(shard) as service:
        await owner.execute(
            f"grant all on players, shard_directory to {SERVICE_ROLE}; grant all on shard_info to public"
        )
        await owner.execute(f"grant create on schema public to {SERVICE_ROLE}, public")
        await owner.execute("grant execute on function freeze_buckets to public")
        await migrate(shard.name, shard.direct_url, SERVICE_ROLE)
        for statement in (
            "delete from players",
            "select direct_url from shard_directory",
            "update shard_info set name = name",
            "create table public.mine (n integer)",
            "select * from freeze_buckets('{}', null, 1, 1, 1)",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await service.call(statement)


async def test_one_role_for_both_goes_on_working_and_is_told_of(shard: ShardUrls) -> None:
    assert service_role_of(shard.direct_url, shard.direct_url) is None
    owner = Postgres(shard.name, shard.direct_url)
    await migrate(shard.name, shard.direct_url, None)
    (outcome,) = await record(owner, make_submission(7, 1))
    assert outcome.outcome == "recorded"
    (warning,) = await read_role_warnings(owner, None)
    assert warning.startswith("its url and its direct_url have the same user, so the service may change tables")
    await migrate(shard.name, shard.direct_url, SERVICE_ROLE)
    assert await read_role_warnings(owner, SERVICE_ROLE) == []
    await owner.close()


async def test_a_role_that_is_not_there_is_told_of(shard: ShardUrls) -> None:
    await migrate(shard.name, shard.direct_url, "nobody's")
    owner = Postgres(shard.name, shard.direct_url)
    (warning,) = await read_role_warnings(owner, "nobody's")
    assert warning == (
        "there is no role nobody's, the user of its url, so nothing was granted to it; create it (create role "
        "\"nobody's\" login password '…') and run `shardboard migrate` again"
    )
    await owner.close()


@pytest.mark.parametrize(
    ("options", "reasons"),
    [
        ("superuser", "it is a superuser"),
        ("createrole createdb", "it may create roles, it may create databases"),
        ("replication bypassrls", "it may replicate, it passes row security"),
        (f"in role {OWNER}", f"it may become {OWNER}, it may create tables in the schema public, it is in "),
        ("in role pg_read_all_data, pg_execute_server_program", "it is in pg_execute_server_program, pg_read_all_data"),
    ],
)
async def test_a_role_with_wide_rights_is_told_of(
    server: LocalCluster, shard: ShardUrls, options: str, reasons: str
) -> None:
    owner = Postgres(shard.name, shard.direct_url)
    async with made_role(server, options) as role:
        (warning,) = await read_role_warnings(owner, role)
    assert warning.startswith(f"the service's role {role} may do more than the service needs: {reasons}")
    await owner.close()
