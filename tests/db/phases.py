"""What a migration takes away from the version before, found by comparing the catalogs before and after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import asyncpg

_TABLES = """
    select c.relname, coalesce(pg_relation_filenode(c.oid), 0)
    from pg_class as c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
"""
_COLUMNS = """
    select c.relname || '.' || a.attname, c.relname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
        a.atthasdef or a.attidentity <> ''
    from pg_class as c
    join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
"""
_RULES = """
    select c.relname || '.' || o.conname, c.relname, pg_get_constraintdef(o.oid)
    from pg_constraint as o
    join pg_class as c on c.oid = o.conrelid
    where c.relnamespace = 'public'::regnamespace and not c.relispartition and o.contype <> 'n'
    union all
    select c.relname || '.' || t.tgname, c.relname, pg_get_triggerdef(t.oid)
    from pg_trigger as t
    join pg_class as c on c.oid = t.tgrelid
    where c.relnamespace = 'public'::regnamespace and not c.relispartition and not t.tgisinternal
"""
_INDEXES = """
    select i.relname, c.relname, pg_get_indexdef(i.oid)
    from pg_index as x
    join pg_class as c on c.oid = x.indrelid
    join pg_class as i on i.oid = x.indexrelid
    where c.relnamespace = 'public'::regnamespace and not c.relispartition
"""
_FUNCTIONS = """
    select p.oid::regprocedure::text, pg_get_function_result(p.oid)
    from pg_proc as p
    where p.pronamespace = 'public'::regnamespace
"""


@dataclass(frozen=True)
class Catalog:
    """The tables with their files, and by name the columns, rules (constraints and triggers), indexes and functions."""

    tables: dict[str, tuple[Any, ...]]
    columns: dict[str, tuple[Any, ...]]
    rules: dict[str, tuple[Any, ...]]
    indexes: dict[str, tuple[Any, ...]]
    functions: dict[str, tuple[Any, ...]]


async def read_catalog(connection: asyncpg.Connection) -> Catalog:
    """The catalog as the connection sees it now."""
    queries = (_TABLES, _COLUMNS, _RULES, _INDEXES, _FUNCTIONS)
    found = [{row[0]: tuple(row)[1:] for row in await connection.fetch(query)} for query in queries]
    return Catalog(*found)


def contractions(before: Catalog, after: Catalog, *, in_transaction: bool = True) -> list[str]:
    """What the version before would stumble over, a line each; empty where it can go on serving meanwhile and after."""
    old = before.tables.keys()
    found = [f"table {name} is gone" for name in old - after.tables.keys()]
    found += [
        f"table {name} is written anew"
        for name in old & after.tables.keys()
        if before.tables[name] != after.tables[name]
    ]
    found += [f"column {name} is gone" for name in before.columns.keys() - after.columns.keys()]
    for name, (table, kind, not_null, has_default) in after.columns.items():
        if name in before.columns:
            _, kind_before, not_null_before, had_default = before.columns[name]
            found += [f"column {name} is {kind} now"] * (kind != kind_before)
            found += [f"column {name} must not be null now"] * (not_null and not not_null_before)
            found += [f"column {name} has no default any more"] * (had_default and not has_default)
        elif table in old and not_null and not has_default:
            found.append(f"column {name} is new, must not be null and has no default")
    for name, (table, definition) in after.rules.items():
        if table in old and before.rules.get(name) != (table, definition):
            found.append(f"rule {name} is new or another: {definition}")
    for name, indexed in before.indexes.items():
        if after.indexes.get(name) != indexed:
            found.append(f"index {name} is gone or another")
    for name, (table, _) in after.indexes.items():
        if in_transaction and table in old and name not in before.indexes:
            found.append(f"index {name} locks out who writes to {table} while it is built")
    for name, result in before.functions.items():
        if after.functions.get(name) != result:
            found.append(f"function {name} is gone or answers otherwise")
    return sorted(found)
