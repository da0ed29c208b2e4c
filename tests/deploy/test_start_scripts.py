"""The scripts that containers start with, run here as they are."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psutil
import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, ConnectionError, NoPermissionError

from infra.local.binaries import find_binaries
from infra.local.ports import find_free_port
from tests.conftest import MakeCluster
from tests.db.shards import connected
from tests.deploy.serving import ROOT
from tests.waiting import until

SCRIPTS = ROOT / "infra" / "compose"


def make_roles(port: int, **variables: str) -> subprocess.CompletedProcess[str]:
    psql = find_binaries().postgres_bin
    environment = {"PATH": f"{psql}:{os.environ['PATH']}", "POSTGRES_HOSTS": "127.0.0.1 localhost", "PGPORT": str(port)}
    return subprocess.run(
        ["/bin/sh", SCRIPTS / "roles.sh"], env=environment | variables, capture_output=True, text=True, check=False
    )


async def test_roles_and_database_are_made_once_and_passwords_follow(make_cluster: MakeCluster) -> None:
    async with make_cluster() as cluster:
        direct = urlsplit(cluster.shards[0].direct_url)
        assert direct.port
        superuser = f"postgresql://postgres:{cluster.identity.superuser_password}@127.0.0.1:{direct.port}/postgres"
        async with connected(superuser) as connection:
            await connection.execute("drop database shardboard with (force)")
            await connection.execute("drop role shardboard_service")
            await connection.execute("drop role shardboard")
        secrets = {"PGPASSWORD": cluster.identity.superuser_password, "MONITOR_PASSWORD": "look's"}
        for passwords in (("one's \\own", "two"), ("three", "four")):
            made = make_roles(direct.port, **secrets, SHARD_PASSWORD=passwords[0], SERVICE_PASSWORD=passwords[1])
            assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
            for role, password in zip(("shardboard", "shardboard_service"), passwords, strict=True):
                connection = await asyncpg.connect(
                    host="127.0.0.1", port=direct.port, user=role, password=password, database="shardboard"
                )
                assert await connection.fetchval("select current_user::text") == role
                await connection.execute("create temporary table if not exists kept (n integer)")
                await connection.close()
        looking = {"host": "127.0.0.1", "port": direct.port, "user": "shardboard_monitor", "database": "shardboard"}
        connection = await asyncpg.connect(**looking, password="look's")
        assert await connection.fetchval("select count(*) from pg_stat_activity where query is not null") > 0
        await connection.close()
        async with connected(superuser) as connection:
            roles = await connection.fetch(
                """
                select rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication,
                    array(
                        select g.rolname::text from pg_roles as g
                        where g.oid <> r.oid and pg_has_role(r.oid, g.oid, 'member')
                            and g.rolname in ('pg_create_subscription', 'pg_monitor')
                        order by 1
                    )
                from pg_roles as r
                where starts_with(rolname, 'shardboard')
                order by 1
                """
            )
            assert [tuple(role) for role in roles] == [
                ("shardboard", False, False, False, True, ["pg_create_subscription", "pg_monitor"]),
                ("shardboard_monitor", False, False, False, False, ["pg_monitor"]),
                ("shardboard_service", False, False, False, False, []),
            ]
            owner = "select datdba::regrole::text from pg_database where datname = 'shardboard'"
            assert await connection.fetchval(owner) == "shardboard"
        # Without the password nobody looks any more.
        del secrets["MONITOR_PASSWORD"]
        assert make_roles(direct.port, **secrets, SHARD_PASSWORD="three", SERVICE_PASSWORD="four").returncode == 0
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="not permitted to log in"):
            await asyncpg.connect(**looking, password="look's")
        log = (cluster.data / "logs" / "postgres-shard1.log").read_text()
        assert [secret for secret in ("one's", "two", "three", "four", "look") if f"'{secret}" in log] == []


def test_a_wrong_superuser_password_is_said(make_cluster: MakeCluster) -> None:
    made = make_roles(find_free_port(set()), PGPASSWORD="x", SHARD_PASSWORD="y", SERVICE_PASSWORD="z")
    assert made.returncode == 2
    assert "Connection refused" in made.stderr


def test_a_missing_password_is_named() -> None:
    made = make_roles(1, PGPASSWORD="x", SHARD_PASSWORD="y")
    assert made.returncode != 0
    assert "SERVICE_PASSWORD: is the password of the role shardboard_service" in made.stderr


async def test_valkey_has_its_password_and_nobody_sees_it(tmp_path: Path) -> None:
    port = find_free_port(set())
    text = (SCRIPTS / "valkey.sh").read_text()
    for old, new in (
        ("exec valkey-server", f"exec {find_binaries().valkey_server}"),
        ("0.0.0.0", "127.0.0.1"),
        ("6379", str(port)),
        ("/data", str(tmp_path)),
    ):
        assert old in text
        text = text.replace(old, new)
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", text),
        env={"VALKEY_PASSWORD": "geheim", "MONITOR_PASSWORD": "schau", "VALKEY_MAXMEMORY": "64mb"},
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with Redis.from_url(f"redis://:geheim@127.0.0.1:{port}") as redis:

            async def answers() -> bool:
                with suppress(ConnectionError):
                    return bool(await redis.ping())
                return False

            await until(answers)
            assert await redis.config_get("appendonly", "appendfsync", "maxmemory", "maxmemory-policy", "save") == {
                "appendonly": "yes",
                "appendfsync": "everysec",
                "maxmemory": str(64 * 1024 * 1024),
                "maxmemory-policy": "noeviction",
                "save": "",
            }
        async with Redis.from_url(f"redis://127.0.0.1:{port}") as stranger:
            try:
                await stranger.ping()
            except AuthenticationError:
                pass
            else:
                raise AssertionError("Valkey let a stranger in")
        async with Redis.from_url(f"redis://shardboard_monitor:schau@127.0.0.1:{port}") as looking:
            assert "used_memory" in await looking.info("memory")
            # Passwords are among the settings.
            for forbidden in (looking.config_get("requirepass"), looking.get("any"), looking.flushall()):
                with pytest.raises(NoPermissionError):
                    await forbidden
        command_line = " ".join(psutil.Process(process.pid).cmdline())
        assert "geheim" not in command_line
        assert "schau" not in command_line
    finally:
        process.terminate()
        await process.wait()
