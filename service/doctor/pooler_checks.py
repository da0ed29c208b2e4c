"""What may be wrong on the way that all traffic takes: through the PgBouncer, as the service's role."""

from __future__ import annotations

from db.address import addresses_of, place_of
from db.explain import explain
from db.health import read_settings
from db.pooler import look_at_pooler
from db.postgres import Postgres
from domain.errors import Unavailable
from service.doctor.finding import Finding, Severity

_MEANING = {
    "none": (
        Severity.NOTE,
        "No PgBouncer is before it: every API process takes connections of its own.",
        "Put a PgBouncer before it (infra/pgbouncer/pgbouncer.ini) when more than a few processes serve.",
    ),
    "session": (
        Severity.WARNING,
        "Its PgBouncer pools sessions: each client keeps a server connection, and they run out.",
        "`pool_mode = transaction` in pgbouncer.ini, then RELOAD.",
    ),
    "statement": (
        Severity.ERROR,
        "Its PgBouncer pools statements, in which there are no transactions.",
        "`pool_mode = transaction` in pgbouncer.ini, then RELOAD.",
    ),
}


async def check_pooler(postgres: Postgres, url: str) -> list[Finding]:
    """The PgBouncers' way of pooling, and whether they keep prepared statements."""
    name = postgres.name
    addresses = addresses_of(url)
    found: list[Finding] = []
    for address in addresses:
        try:
            mode = (await look_at_pooler(name, address)).mode
        except Unavailable as error:
            if len(addresses) == 1:
                raise
            found.append(
                Finding(
                    Severity.WARNING, name, "pooler",
                    f"Its PgBouncer at {place_of(address)} cannot be asked; the others have its work: {explain(error)}",
                    "See whether it runs, its log, and the address.",
                )
            )  # fmt: skip
            continue
        if mode in _MEANING:
            found.append(Finding(_MEANING[mode][0], name, "pool_mode", *_MEANING[mode][1:]))
    if found:
        return found
    if await postgres.keeps_prepared_statements():
        return []
    return [
        Finding(
            Severity.NOTE, name, "prepared",
            "Its PgBouncer keeps no prepared statements: it is older than 1.21, or max_prepared_statements is 0. "
            "All works; single statements take twice as long.",
            "PgBouncer 1.21 or newer with `max_prepared_statements = 200`.",
        )
    ]  # fmt: skip


async def check_commits(postgres: Postgres, url: str) -> list[Finding]:
    """Whether what the service's role commits is on the disk when it is acknowledged; that can be set for a role."""
    value = (await read_settings(postgres, ["synchronous_commit"]))["synchronous_commit"]
    if value != "off":
        return []
    return [
        Finding(
            Severity.ERROR, postgres.name, "synchronous_commit",
            "synchronous_commit is off for the service: an acknowledged score is lost when the server crashes.",
            "`alter system set synchronous_commit = on; select pg_reload_conf();`, and look for `alter role … set` and "
            "`alter database … set` of it.",
        )
    ]  # fmt: skip
