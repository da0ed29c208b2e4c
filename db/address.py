"""The addresses of shards, as operators write them and as those take them who connect: asyncpg here, libpq in a
Postgres that subscribes to another.

Both know libpq's words for TLS (sslmode, sslrootcert, sslcert, sslkey, …). What one of them would not understand is
refused here: a word about TLS that nobody heeds would be worse than none.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from domain.errors import OperatorError

_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
_HEEDED = ("sslmode", *_FILES, "sslpassword", "ssl_min_protocol_version", "ssl_max_protocol_version")
# libpq's, which asyncpg would take for settings of the server.
_UNHEEDED = ("channel_binding", "connect_timeout", "gssencmode", "require_auth", "requirepeer", "tls")


def dsn_of(url: str) -> str:
    """An address as asyncpg takes it.

    Raises:
        OperatorError: it is none, or names something about TLS that would not be heeded.
    """
    return _parsed(url).set(drivername="postgresql").render_as_string(hide_password=False)


def addresses_of(url: str) -> list[str]:
    """An address of several hosts, `…@host1:port,host2:port/…`, as one address for each; of one host, as it is.

    Raises:
        OperatorError: as for `dsn_of`, for any of them.
    """
    try:
        login, at, hosts = urlsplit(url).netloc.rpartition("@")
    except ValueError:
        login, at, hosts = "", "", ""
    addresses = [url.replace(f"{login}{at}{hosts}", f"{login}{at}{host}", 1) for host in hosts.split(",")]
    for address, host in zip(addresses, hosts.split(","), strict=True):
        if "," in hosts and not host:
            raise OperatorError("The address of a shard names several hosts, and one of them is empty.")
        _parsed(address)
    return addresses


def place_of(url: str) -> str:
    """The host and port of an address, for people; nothing that is secret.

    Raises:
        OperatorError: as for `dsn_of`.
    """
    parts = _parsed(url)
    return f"{parts.host or 'localhost'}:{parts.port or 5432}"


def user_of(url: str) -> str | None:
    """The user of an address, be it of several hosts.

    Raises:
        OperatorError: it is no address.
    """
    return _parsed(addresses_of(url)[0]).username


def make_engine(connect_args: dict[str, object], **options: object) -> AsyncEngine:
    """An engine that leaves the address (`dsn`) to asyncpg, which knows more of it than SQLAlchemy does."""
    return create_async_engine("postgresql+asyncpg://", connect_args=connect_args, **options)


def require_files(url: str) -> None:
    """See that the files which an address names can be read.

    Raises:
        OperatorError: one cannot.
    """
    for word, path in _parsed(url).query.items():
        if word in _FILES and not os.access(str(path), os.R_OK):
            raise OperatorError(f"The address of a shard names {word}={path}, a file that cannot be read here.")


def conninfo_of(url: str) -> str:
    """An address as libpq takes it, with deadlines: a source that is gone without a word must be noticed.

    Paths in it are those of the machine on which the Postgres runs that is given it.

    Raises:
        OperatorError: as for `dsn_of`.
    """
    parts = _parsed(url)
    words = {
        "host": parts.host,
        "port": parts.port,
        "dbname": parts.database,
        "user": parts.username,
        "password": parts.password,
        **{word: value for word, value in parts.query.items() if word in _HEEDED and word != "passfile"},
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }
    return " ".join(f"{word}={_conninfo_value(str(value))}" for word, value in words.items() if value is not None)


def _parsed(url: str) -> URL:
    if "," in urlsplit(url).netloc.rpartition("@")[2]:
        raise OperatorError(
            "An address of a shard names several hosts where one is needed: only `url` may name several PgBouncers, "
            "a direct_url and a replica's address name one host each."
        )
    try:
        parts = make_url(url)
    except (ArgumentError, ValueError):
        # Not shown: what is no address may hold a password all the same.
        raise OperatorError(
            "The address of a shard is none: postgresql://user:password@host:port/database is wanted."
        ) from None
    for word, value in parts.query.items():
        if word in _UNHEEDED or (word.startswith("ssl") and word not in _HEEDED) or not isinstance(value, str):
            raise OperatorError(
                f"The address of a shard says {word}, which would not be heeded; {', '.join(_HEEDED)} are, each once."
            )
    mode = parts.query.get("sslmode", _MODES[0])
    if mode not in _MODES:
        raise OperatorError(f"The address of a shard says sslmode={mode}; it has to be one of {', '.join(_MODES)}.")
    return parts


def _conninfo_value(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
