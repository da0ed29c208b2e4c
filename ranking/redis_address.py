"""The address of Redis: of one server, or of the Sentinels that know which of several is the master."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from domain.errors import OperatorError
from domain.resilience.limits import REDIS_RETRIES_MAX, SENTINEL_S_MAX
from ranking.connection import sturdy

_SENTINEL_PORT = 26379
_WANTED = (
    "redis://:password@host:port/0 is wanted, or rediss:// with ssl_ca_certs and the like; of Sentinels "
    "redis+sentinel://:password@host1:26379,host2:26379/master/0, or rediss+sentinel://"
)
_NO_CLUSTER = (
    "SHARDBOARD_REDIS_URL leads to a Redis Cluster, which Shardboard cannot use: a board is one sorted set, which no "
    "cluster would spread, and what changes it touches several keys at once. Use one Redis, or one with replicas and "
    "Sentinels."
)


def make_redis(url: str, *, timeout_s: float) -> Redis:
    """A client of a Redis, or of the master among those that Sentinels watch; connects when it is first used.

    Args:
        timeout_s: how long connecting, and each answer, may take.

    Raises:
        OperatorError: the address is none, or says something that would not be heeded, such as ssl_ca_certs without
            rediss://.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), REDIS_RETRIES_MAX, supported_errors=(RedisConnectionError,)),
        "protocol": 2,
    }
    try:
        redis = _make(url, options)
        pool = redis.connection_pool
        pool.make_connection()  # type: ignore[no-untyped-call]
    except (TypeError, ValueError) as error:
        raise OperatorError(
            f"SHARDBOARD_REDIS_URL is no address of a Redis: {_WANTED} ({str(error).rpartition('() ')[2]})."
        ) from None
    pool.connection_class = sturdy(pool.connection_class)
    return redis


async def look_at(redis: Redis) -> None:
    """Ask for a sign of life; of Sentinels first who is the master, so that connections to an old one are closed."""
    if isinstance(redis.connection_pool, SentinelConnectionPool):
        await redis.connection_pool.get_master_address()  # type: ignore[no-untyped-call]
    await redis.ping()


async def close_redis(redis: Redis) -> None:
    """Close every connection, those to Sentinels included."""
    await redis.aclose()
    if isinstance(redis.connection_pool, SentinelConnectionPool):
        await redis.connection_pool.sentinel_manager.aclose()


async def refuse_cluster(redis: Redis) -> None:
    """See that what answers is no node of a Redis Cluster.

    Raises:
        OperatorError: it is one.
        RedisError, OSError: it does not answer, or does not tell.
    """
    if (await redis.info("cluster")).get("cluster_enabled"):
        raise OperatorError(_NO_CLUSTER)


def _make(url: str, options: dict[str, Any]) -> Redis:
    parts = urlsplit(url)
    scheme, _, kind = parts.scheme.partition("+")
    hosts = parts.netloc.rpartition("@")[2]
    if kind == "cluster":
        raise OperatorError(_NO_CLUSTER)
    if kind == "sentinel":
        return _master_of(url, scheme, hosts, options)
    if "," in hosts:
        raise ValueError(
            "it names several hosts; those of Sentinels begin with redis+sentinel://, Redis Cluster is none"
        )
    return Redis.from_url(url, **options)


def _master_of(url: str, scheme: str, hosts: str, options: dict[str, Any]) -> Redis:
    """A client of the master that the Sentinels of an address know."""
    parts = urlsplit(url)
    name, _, database = parts.path.lstrip("/").partition("/")
    if not name:
        raise ValueError("it names no master: …/mymaster/0, as in the Sentinels' `sentinel monitor mymaster …`")
    if not re.fullmatch(r"\d*", database):
        raise ValueError(f"/{database} is no number of a database")
    sentinels = [_host_and_port(host) for host in hosts.split(",")]
    # What redis-py reads of any address: login, database, words of the query.
    user, at, _ = parts.netloc.rpartition("@")
    plain = parts._replace(scheme=scheme, netloc=f"{user}{at}sentinels", path=f"/{database}").geturl()
    words: dict[str, Any] = {**parse_url(plain)}
    words.pop("host", None)
    encrypted = words.pop("connection_class", None) is not None
    login = {word: words.pop(f"sentinel_{word}") for word in ("username", "password") if f"sentinel_{word}" in words}
    tls = {word: value for word, value in words.items() if word.startswith("ssl")}
    brief = {"socket_timeout": SENTINEL_S_MAX, "socket_connect_timeout": SENTINEL_S_MAX, "retry": Retry(NoBackoff(), 0)}
    manager = Sentinel(  # type: ignore[no-untyped-call]
        sentinels, sentinel_kwargs={**login, **tls, **brief, "ssl": encrypted, "protocol": 2}
    )
    redis: Redis = manager.master_for(unquote(name), ssl=encrypted, **words, **options)
    return redis


def _host_and_port(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("one of its hosts is empty")
    return parts.hostname, parts.port or _SENTINEL_PORT
