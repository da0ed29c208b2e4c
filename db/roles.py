"""What the service's role may do on a shard: the user of the shard's `url`, through which all traffic goes.

The owner's role, the user of `direct_url`, owns every table and runs migrations, moves and what operators do. The
service's role reads what it serves and writes through functions of the owner, which check what they are given; it can
change no table, and cannot read where the owner's passwords stand. Where both addresses have the same user there is
nothing to grant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.address import user_of
from db.postgres import Postgres

# Which columns of each table the service reads; None: all of them. It writes to no table.
READ_TABLES: Mapping[str, Sequence[str] | None] = {
    "alembic_version": None,
    "api_keys": None,
    "bucket_handover": None,
    "bucket_moves": ("phase",),
    "bucket_owner": None,
    "game_sessions": None,
    "leaderboard": None,
    "players": None,
    # Without direct_url, in which the owner's password stands.
    "shard_directory": ("name", "url", "removed", "capacity_bytes", "version"),
    "shard_info": None,
}
# What only the owner uses.
WITHHELD_TABLES = ("boards", "move_markers", "serving_processes")

CALLED_FUNCTIONS = (
    "claim_buckets",
    "forget_serving",
    "make_session_months",
    "note_serving",
    "read_history",
    "record_sessions",
    "show_name",
)

_EXISTS = text("select exists (select from pg_roles where rolname = :role)")
_TABLES = text("""
    select c.oid::regclass::text
    from pg_class as c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and pg_has_role(c.relowner, 'usage')
        and not exists (select from pg_depend as d where d.objid = c.oid and d.deptype = 'e')
    order by 1
""")
_FUNCTIONS = text("""
    select p.oid::regprocedure::text as signature, p.proname as name
    from pg_proc as p
    where p.pronamespace = 'public'::regnamespace and p.prokind = 'f' and pg_has_role(p.proowner, 'usage')
        and not exists (select from pg_depend as d where d.objid = p.oid and d.deptype = 'e')
    order by 1
""")
_OWNS_DATABASE = text("""
    select quote_ident(d.datname)
    from pg_database as d
    where d.datname = current_database() and pg_has_role(d.datdba, 'usage')
""")

_WIDE = """
    select array_remove(
        array[
            case when r.rolsuper then 'it is a superuser' end,
            case when r.rolcreaterole then 'it may create roles' end,
            case when r.rolcreatedb then 'it may create databases' end,
            case when r.rolreplication then 'it may replicate' end,
            case when r.rolbypassrls then 'it passes row security' end,
            case when not r.rolsuper and pg_has_role(r.oid, current_user, 'member')
                then 'it may become ' || current_user end,
            case when not r.rolsuper and has_schema_privilege(r.oid, 'public', 'create')
                then 'it may create tables in the schema public' end,
            (
                select 'it owns ' || string_agg(c.relname, ', ' order by c.relname)
                from pg_class as c
                where c.relowner = r.oid and c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
            ),
            (
                select 'it is in ' || string_agg(g.rolname, ', ' order by g.rolname)
                from pg_roles as g
                where not r.rolsuper and g.oid <> r.oid and g.rolname <> current_user
                    and starts_with(g.rolname, 'pg_') and pg_has_role(r.oid, g.oid, 'member')
            )
        ],
        null
    )
    from pg_roles as r
    where r.rolname = $1
"""


def service_role_of(url: str, direct_url: str) -> str | None:
    """The role of the service, which is the user of `url`; None where the owner serves as well, or none is named."""
    user = user_of(url)
    return None if user == user_of(direct_url) else user


async def grant_service(connection: AsyncConnection, role: str | None) -> None:
    """Let the service's role do what the service does and nothing else, whatever it was allowed before.

    A role that does not exist is granted nothing; `read_role_warnings` tells.

    Args:
        connection: the owner's, in the transaction that migrates: nobody sees the rights half granted.
        role: None where the owner's role serves as well.
    """
    run = connection.exec_driver_sql
    there = role is not None and await connection.scalar(_EXISTS, {"role": role})
    service = _quoted(role) if role is not None and there else None
    others = "public" if service is None else f"public, {service}"
    tables = (await connection.execute(_TABLES)).scalars().all()
    functions = (await connection.execute(_FUNCTIONS)).all()
    await run(f"revoke all on {', '.join(tables)} from {others}")
    # A function may be called by everybody until that is taken back.
    await run(f"revoke all on function {', '.join(each.signature for each in functions)} from {others}")
    await run("revoke create on schema public from public")
    database = await connection.scalar(_OWNS_DATABASE)
    if database is not None:
        await run(f"revoke create, temporary on database {database} from public")
    if service is None:
        return
    await run(f"revoke all on schema public from {service}")
    await run(f"grant usage on schema public to {service}")
    # Between two migrations of an older shard some are not there yet.
    for table, columns in ((table, READ_TABLES[table]) for table in tables if table in READ_TABLES):
        read = f"select ({', '.join(columns)})" if columns else "select"
        await run(f"grant {read} on {table} to {service}")
    called = [each.signature for each in functions if each.name in CALLED_FUNCTIONS]
    if called:
        await run(f"grant execute on function {', '.join(called)} to {service}")


async def read_role_warnings(postgres: Postgres, role: str | None) -> list[str]:
    """What an operator should know of the service's rights on a shard, each in a sentence; empty where all is well.

    Args:
        postgres: the shard as its owner.
        role: the service's role; None where the owner's serves as well.

    Raises:
        Unavailable: the shard does not answer.
    """
    if role is None:
        return [
            "its url and its direct_url have the same user, so the service may change tables; give url a role of its "
            "own and run `shardboard migrate` again"
        ]
    rows = await postgres.call(_WIDE, role)
    if not rows:
        return [
            f"there is no role {role}, the user of its url, so nothing was granted to it; create it (create role "
            f"{_quoted(role)} login password '…') and run `shardboard migrate` again"
        ]
    ((reasons,),) = rows
    return [f"the service's role {role} may do more than the service needs: {', '.join(reasons)}"] if reasons else []


def _quoted(role: str) -> str:
    return '"' + role.replace('"', '""') + '"'
