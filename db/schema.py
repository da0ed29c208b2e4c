"""The migrations that this version knows, and whether it can serve tables of a given schema.

Migrations are in one line, each of one phase (ADR 20). An `expand` only adds, so that the version before goes on
serving; a `contract` takes away what the version before still used. So a process serves tables that are at least at the
newest expand migration it knows, and not contracted by one that it does not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import asyncpg
from alembic.config import Config
from alembic.script import ScriptDirectory

from db.postgres import Postgres
from domain.errors import NoTables, OperatorError

_MIGRATIONS = Path(__file__).parent / "migrations"

FIRST_THAT_TELLS = "0005"
"""The first schema whose tables tell how far they were contracted, and who serves them."""

# Also of tables from before `contracted_to`; as the service's role, too.
_READ = """
    select
        (select version_num from alembic_version),
        (select to_jsonb(i) ->> 'contracted_to' from shard_info as i)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema.

    in_transaction: whether it is done at once or not at all. One that is not may be stopped anywhere and run again.
    """

    revision: str
    phase: Literal["expand", "contract"]
    title: str
    in_transaction: bool = True

    def __str__(self) -> str:
        return f"{self.revision} ({self.phase})"


@dataclass(frozen=True, slots=True)
class SchemaState:
    """What a shard's tables are like.

    contracted_to: the last contract migration that was run on them; None on tables that do not say so.
    """

    revision: str
    contracted_to: str | None


@cache
def all_migrations() -> tuple[Migration, ...]:
    """Every migration of this version, the first one first.

    Raises:
        OperatorError: this installation holds none.
    """
    scripts = reversed(list(ScriptDirectory.from_config(alembic_config()).walk_revisions()))
    found = tuple(
        Migration(
            script.revision,
            script.module.phase,
            script.doc.splitlines()[0],
            getattr(script.module, "in_transaction", True),
        )
        for script in scripts
    )
    if not found:
        raise OperatorError("This installation holds no migrations; install it again.")
    return found


def newest_revision() -> str:
    """The newest schema that this version knows."""
    return all_migrations()[-1].revision


def needed_revision() -> str:
    """The oldest schema that this version can serve: the newest expand migration that it knows."""
    return max(each.revision for each in all_migrations() if each.phase == "expand")


def last_contract(revision: str) -> str:
    """The last contract migration that tables at `revision` went through."""
    return max(each.revision for each in all_migrations() if each.phase == "contract" and each.revision <= revision)


def why_not_served(state: SchemaState) -> str | None:
    """Why this version cannot serve tables of this state, as the end of a sentence; None where it can."""
    if state.revision < needed_revision():
        return (
            f"its tables are at schema {state.revision}, older than {needed_revision()}, which this version needs; run "
            "`shardboard migrate` of this version"
        )
    if state.contracted_to is not None and state.contracted_to > newest_revision():
        return (
            f"its tables were contracted by migration {state.contracted_to} of a newer version, and this one knows "
            f"{newest_revision()} at most; start the newer version"
        )
    return None


async def read_schema(postgres: Postgres, *, timeout_s: float | None = None) -> SchemaState:
    """The state of one shard's tables.

    Raises:
        Unavailable: the shard does not answer.
        NoTables: it has none yet.
        OperatorError: the address leads to another shard.
    """
    try:
        ((revision, contracted_to),) = await postgres.call(_READ, timeout_s=timeout_s)
    except asyncpg.UndefinedTableError as error:
        raise NoTables(postgres.name) from error
    return SchemaState(revision, contracted_to)


def alembic_config() -> Config:
    """How Alembic finds the migrations."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config
