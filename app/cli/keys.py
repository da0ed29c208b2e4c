"""`shardboard keys`: who may submit, read and administer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import jwt

from app.cli.find_settings import data_option, find_settings
from app.cli.fleet import open_fleet
from app.cli.output import json_option, print_json, print_table, say
from app.cli.whole_help import WholeHelp
from app.settings import Settings
from domain.access import Scope
from domain.errors import OperatorError
from domain.ids import parse_user_id
from domain.keys import DEFAULT_SCOPES, KEY_PER_MINUTE_MAX, ApiKey, KeyKind
from service.keys import list_keys, make_key, revoke_key

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class _Span(click.ParamType[timedelta]):
    """A span of time such as 90d, 12h or 30m."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"([0-9]{1,5})([mhd])", str(value))
        if match is None or int(match[1]) == 0:
            self.fail(f"{value!r} is no span of time such as 90d, 12h or 30m.", param, ctx)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


_per_minute = click.IntRange(0, KEY_PER_MINUTE_MAX)


@click.group(cls=WholeHelp)
def keys() -> None:
    """The keys of game servers and administrators: make, list and revoke them."""


@keys.command()
@click.option("--label", required=True, help="What it is for, such as 'matchmaker in Frankfurt'.")
@click.option("--admin", is_flag=True, help="An admin key; a server key when not given.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    help="What it may do, given once for each; a server key may read and submit when none is given, an admin key all.",
)
@click.option("--expires", "lifetime", type=_Span(), help="When it ends, such as 90d, 12h or 30m; never if not given.")
@click.option("--submissions-per-minute", type=_per_minute, default=0, help="Over all processes; 0 for no limit.")
@click.option("--reads-per-minute", type=_per_minute, default=0, help="Over all processes; 0 for no limit.")
@data_option
@json_option
def make(
    label: str,
    admin: bool,
    scopes: Sequence[str],
    lifetime: timedelta | None,
    submissions_per_minute: int,
    reads_per_minute: int,
    data: Path | None,
    as_json: bool,
) -> None:
    """Make a key and print it, once: the service keeps only a hash. It works at once in every process."""
    kind: KeyKind = "admin" if admin else "server"
    key, text = asyncio.run(
        _make(
            find_settings(data),
            kind,
            label,
            frozenset(map(Scope, scopes)) or DEFAULT_SCOPES[kind],
            datetime.now(UTC) + lifetime if lifetime else None,
            submissions_per_minute,
            reads_per_minute,
        )
    )
    if as_json:
        print_json(_as_json(key) | {"key": text})
        return
    ends = f"until {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else "until it is revoked"
    say(f"Key {key.id}, {key.label!r}: may {_words(key.scopes)}, {ends}. This is the only time that it is shown:")
    click.echo(text)


@keys.command("list")
@data_option
@json_option
def list_(data: Path | None, as_json: bool) -> None:
    """List every key; the keys themselves are not kept anywhere."""
    found = asyncio.run(_list(find_settings(data)))
    if as_json:
        print_json({"keys": [_as_json(key) for key in found]})
        return
    now = datetime.now(UTC)
    print_table(
        ["id", "kind", "label", "state", "may", "submissions/min", "reads/min", "made", "expires"],
        [
            [
                key.id, key.kind, key.label, key.state(now), _words(key.scopes), key.submissions_per_minute or "any",
                key.reads_per_minute or "any", f"{key.created_at:%Y-%m-%d}",
                f"{key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else "never",
            ]
            for key in found
        ],
    )  # fmt: skip


@keys.command()
@click.argument("key_id")
@data_option
def revoke(key_id: str, data: Path | None) -> None:
    """Make a key worthless, in every process within seconds; sockets that it opened are closed."""
    key, away = asyncio.run(_revoke(find_settings(data), key_id))
    say(f"Key {key.id}, {key.label!r}, is revoked.")
    if away:
        say(f"{', '.join(away)} did not answer and must be told: run this again when all shards are back.")


@keys.command()
@click.argument("user_id")
@click.option("--expires", "lifetime", type=_Span(), default=timedelta(hours=1), help="When it ends; 1h if not given.")
@data_option
def token(user_id: str, lifetime: timedelta, data: Path | None) -> None:
    """Make a player's token, to try out what a player may do. In production the game's own login makes them."""
    settings = find_settings(data)
    if settings.jwt_algorithm != "HS256" or settings.jwt_secret is None:
        raise OperatorError("Tokens are signed elsewhere here: SHARDBOARD_JWT_ALGORITHM is not HS256.")
    claims = {
        "sub": str(parse_user_id(user_id, "USER_ID")),
        "aud": settings.jwt_audience,
        "iss": settings.jwt_issuer,
        "exp": datetime.now(UTC) + lifetime,
    }
    click.echo(jwt.encode(claims, settings.jwt_secret.get_secret_value(), settings.jwt_algorithm))


async def _make(
    settings: Settings,
    kind: KeyKind,
    label: str,
    scopes: frozenset[Scope],
    expires_at: datetime | None,
    submissions_per_minute: int,
    reads_per_minute: int,
) -> tuple[ApiKey, str]:
    async with open_fleet(settings) as fleet:
        return await make_key(
            fleet,
            kind,
            label,
            scopes=scopes,
            expires_at=expires_at,
            submissions_per_minute=submissions_per_minute,
            reads_per_minute=reads_per_minute,
        )


async def _list(settings: Settings) -> list[ApiKey]:
    async with open_fleet(settings) as fleet:
        return await list_keys(fleet)


async def _revoke(settings: Settings, key_id: str) -> tuple[ApiKey, list[str]]:
    async with open_fleet(settings) as fleet:
        return await revoke_key(fleet, key_id)


def _words(scopes: frozenset[Scope]) -> str:
    return " ".join(scope.value for scope in Scope if scope in scopes)


def _as_json(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "kind": key.kind,
        "label": key.label,
        "state": key.state(datetime.now(UTC)),
        "scopes": [scope.value for scope in Scope if scope in key.scopes],
        "submissions_per_minute": key.submissions_per_minute,
        "reads_per_minute": key.reads_per_minute,
        "created_at": key.created_at.isoformat(),
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
    }
