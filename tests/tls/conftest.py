"""Two shards that speak TLS (a PostgreSQL of the system; the wheel's cannot), the container's PgBouncer before each,
and a Redis: every hop encrypted, all of it on the loopback interface.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from app.settings import Settings, ShardAddress
from db.directory import DirectoryEntry
from infra.local.binaries import find_binaries
from infra.local.cluster import LocalCluster
from infra.local.ports import find_free_port
from infra.local.postgres import DATABASE, OWNER, SERVICE_ROLE
from infra.local.run_as import find_run_as
from service.prepare import migrate_shards
from tests.db.conftest import find_system_postgres
from tests.db.shards import connected
from tests.deploy.pooler import COMMON, localised_script
from tests.tls.certificates import Authority, Certificate
from tests.waiting import until


@dataclass(frozen=True, slots=True)
class Encrypted:
    """The deployment, and what there is to be trusted.

    trusted, stranger: the files of the authority that vouches for all servers, and of one that nobody knows.
    poolers: the ports of the shards' PgBouncers.
    client: the certificate with which PgBouncer lets the service's role in, as it asks for one.
    """

    cluster: LocalCluster
    settings: Settings
    trusted: Path
    stranger: Path
    poolers: list[int]
    client: Certificate

    @property
    def entries(self) -> list[DirectoryEntry]:
        """The shards' addresses, over TLS."""
        return [DirectoryEntry(shard.name, shard.url, shard.direct_url or "") for shard in self.settings.shards]

    def pooled(self, number: int = 1, *, host: str = "127.0.0.1", **words: Any) -> str:
        """The address of a shard through its PgBouncer, with other words about TLS than the right ones."""
        right = {"sslmode": "verify-full", "sslrootcert": self.trusted}
        right |= {"sslcert": self.client.certificate, "sslkey": self.client.key}
        login = f"{SERVICE_ROLE}:{self.cluster.identity.service_password}"
        return f"postgresql://{login}@{host}:{self.poolers[number - 1]}/{DATABASE}?{_query(right | words)}"

    def direct(self, number: int = 1, *, host: str = "127.0.0.1", **words: Any) -> str:
        """The same for the Postgres itself."""
        port = urlsplit(self.cluster.shards[number - 1].direct_url).port
        login = f"{OWNER}:{self.cluster.identity.shard_password}"
        right = {"sslmode": "verify-full", "sslrootcert": self.trusted}
        return f"postgresql://{login}@{host}:{port}/{DATABASE}?{_query(right | words)}"

    def redis(self, *, host: str = "127.0.0.1", scheme: str = "rediss", **words: Any) -> str:
        """The same for Redis."""
        parts = urlsplit(self.settings.redis_url)
        right = {"ssl_ca_certs": self.trusted} if scheme == "rediss" else {}
        return f"{scheme}://:{parts.password}@{host}:{parts.port}/0?{_query(right | words)}"


@pytest.fixture(scope="session")
def directory() -> Iterator[Path]:
    """A directory that the servers' user may enter."""
    made = Path(tempfile.mkdtemp(prefix="shardboard-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="session")
async def encrypted(directory: Path) -> AsyncIterator[Encrypted]:
    """The deployment: migrated, without data."""
    postgres_bin, redis_server = find_system_postgres(), shutil.which("redis-server")
    assert postgres_bin, "there is no PostgreSQL of the system's own; scripts/bootstrap … postgresql installs it"
    assert redis_server, "there is no redis-server; scripts/bootstrap … redis-server installs it"
    trusted, stranger = Authority(directory, "trusted"), Authority(directory, "stranger")
    # Reached as 127.0.0.1; `localhost` leads to the same servers and is not what their certificate is of.
    server = trusted.issue("server", "127.0.0.1")
    client = trusted.issue(SERVICE_ROLE)
    async with AsyncExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PG_BIN", str(postgres_bin))
            cluster = await stack.enter_async_context(LocalCluster(directory / "data", 2, announce=print).running())
        run_as = find_run_as(directory, [directory])
        for path in (server.key, trusted.file, server.certificate):
            run_as.own(path)
        await asyncio.gather(*(_turn_on_tls(cluster, number, server, trusted.file) for number in (1, 2)))
        poolers = [
            await stack.enter_async_context(_pooler(cluster, number, directory, server, trusted.file))
            for number in (1, 2)
        ]
        redis_url = await stack.enter_async_context(_redis(redis_server, directory, server, trusted.file))
        bare = Encrypted(
            cluster, Settings.model_construct(redis_url=redis_url), trusted.file, stranger.file, poolers, client
        )
        settings = Settings(
            shards=[
                ShardAddress(name=f"shard{number}", url=bare.pooled(number), direct_url=bare.direct(number))
                for number in (1, 2)
            ],
            redis_url=bare.redis(),
            relay_interval_ms=50,
        )
        deployment = Encrypted(cluster, settings, trusted.file, stranger.file, poolers, client)
        for prepared in await migrate_shards(deployment.entries, back_days=30, months_ahead=1):
            assert (prepared.error, prepared.warnings) == (None, [])
        yield deployment


async def _turn_on_tls(cluster: LocalCluster, number: int, server: Certificate, authority: Path) -> None:
    port = urlsplit(cluster.shards[number - 1].direct_url).port
    superuser = f"postgresql://postgres:{cluster.identity.superuser_password}@127.0.0.1:{port}/postgres"
    files = {"ssl_cert_file": server.certificate, "ssl_key_file": server.key, "ssl_ca_file": authority}
    async with connected(superuser) as connection:
        for setting, value in {**files, "ssl": "on"}.items():
            await connection.execute(f"alter system set {setting} = '{value}'")
        await connection.execute("select pg_reload_conf()")

        async def speaks_tls() -> bool:
            with suppress(ConnectionError):
                async with connected(f"{superuser}?sslmode=require"):
                    return True
            return False

        await until(speaks_tls)


@asynccontextmanager
async def _pooler(
    cluster: LocalCluster, number: int, directory: Path, server: Certificate, authority: Path
) -> AsyncIterator[int]:
    """The container's script, as its environment makes it speak TLS to both sides."""
    port, run = find_free_port(set()), directory / f"pooler{number}"
    binaries = find_binaries()
    postgres_port = urlsplit(cluster.shards[number - 1].direct_url).port
    text = localised_script(binaries, postgres_port=postgres_port, port=port, run=run)
    run.mkdir()
    run_as = find_run_as(directory, [binaries.pgbouncer, COMMON / "pgbouncer.ini"])
    run_as.own(run)
    (run / "password").write_text(f"{cluster.identity.service_password}\n")
    process = await asyncio.create_subprocess_exec(
        *run_as.command(["/bin/sh", "-c", text], signal.SIGKILL),
        env={
            "PATH": os.environ["PATH"],
            "POSTGRES_HOST": "127.0.0.1",
            "SERVICE_PASSWORD_FILE": str(run / "password"),
            "CLIENT_TLS_SSLMODE": "verify-full",
            "CLIENT_TLS_CA_FILE": str(authority),
            "CLIENT_TLS_CERT_FILE": str(server.certificate),
            "CLIENT_TLS_KEY_FILE": str(server.key),
            "SERVER_TLS_SSLMODE": "verify-full",
            "SERVER_TLS_CA_FILE": str(authority),
        },
        **run_as.subprocess_options(),
    )
    try:
        await until(lambda: _accepts(port))
        yield port
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def _redis(program: str, directory: Path, server: Certificate, authority: Path) -> AsyncIterator[str]:
    """A Redis that listens with TLS alone; its address without words about that."""
    port = find_free_port(set())
    config = (
        f"bind 127.0.0.1\nport 0\ntls-port {port}\nrequirepass secret-of-redis\nsave ''\ndir {directory}\n"
        f"tls-cert-file {server.certificate}\ntls-key-file {server.key}\ntls-ca-cert-file {authority}\n"
        "tls-auth-clients no\n"
    )
    process = await asyncio.create_subprocess_exec(
        program, "-", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
    )
    assert process.stdin is not None
    process.stdin.write(config.encode())
    process.stdin.close()
    try:
        await until(lambda: _accepts(port))
        yield f"rediss://:secret-of-redis@127.0.0.1:{port}/0"
    finally:
        process.terminate()
        await process.wait()


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _query(words: dict[str, object]) -> str:
    return urlencode({word: str(value) for word, value in words.items() if value is not None})
