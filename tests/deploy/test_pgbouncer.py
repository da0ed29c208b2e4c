"""PgBouncer's configuration: explained, and what really applies when the container's script has written its part."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from infra.local.binaries import find_binaries
from infra.local.cluster import LocalCluster
from infra.local.ports import find_free_port
from infra.local.postgres import SERVICE_ROLE
from infra.local.run_as import find_run_as
from tests.deploy.pooler import COMMON, localised_script
from tests.waiting import until


@pytest.mark.parametrize("name", ["pgbouncer.ini", "prepared.ini"])
def test_every_setting_is_explained(name: str) -> None:
    explained = False
    settings = []
    for line in (COMMON / name).read_text().splitlines():
        if line.startswith(";"):
            explained = True
        elif "=" in line:
            settings.append(line)
            assert explained, f"{name}: {line}"
        elif not line:
            explained = False
    assert settings


async def test_the_containers_script_serves_a_shard(
    clean: LocalCluster, session_directory: Path, tmp_path: Path
) -> None:
    shard, port = urlsplit(clean.shards[0].direct_url), find_free_port(set())
    password = clean.identity.service_password
    binaries = find_binaries()
    run = session_directory / "container"
    text = localised_script(binaries, postgres_port=shard.port, port=port, run=run)
    run.mkdir()
    run_as = find_run_as(session_directory, [binaries.pgbouncer, COMMON / "pgbouncer.ini"])
    run_as.own(run)
    process = await asyncio.create_subprocess_exec(
        *run_as.command(["/bin/sh", "-c", text], signal.SIGKILL),
        env={
            "POSTGRES_HOST": "127.0.0.1",
            "SERVICE_PASSWORD": password,
            "MONITOR_PASSWORD": "look",
            "PATH": os.environ["PATH"],
        },
        **run_as.subprocess_options(),
    )
    url = f"postgresql://{SERVICE_ROLE}:{password}@127.0.0.1:{port}"
    try:
        await until(lambda: _accepts(port))
        pooled = await asyncpg.connect(f"{url}/shardboard", statement_cache_size=0)
        assert await pooled.fetchval("select current_setting('cluster_name')") == "shard1"
        await pooled.close()
        applied = _read_config(binaries.postgres_bin / "psql", f"{url}/pgbouncer")
        # Who only looks sees the same, and may change nothing.
        looking = f"postgresql://shardboard_monitor:look@127.0.0.1:{port}/pgbouncer"
        assert _read_config(binaries.postgres_bin / "psql", looking) == applied
        with pytest.raises(subprocess.CalledProcessError):
            _ask_console(binaries.postgres_bin / "psql", looking, "pause")
    finally:
        process.kill()
        await process.wait()
    assert applied["pool_mode"] == "transaction"
    assert applied["auth_type"] == "scram-sha-256"
    assert applied["listen_addr"] == "127.0.0.1"
    for setting, value in re.findall(r"^(\w+) = (.+)$", (COMMON / "pgbouncer.ini").read_text(), re.MULTILINE):
        assert applied[setting] == value, setting


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _read_config(psql: Path, url: str) -> dict[str, str]:
    """What SHOW CONFIG says, which the console tells in the simple protocol alone, so not to asyncpg."""
    lines = [line.split("|") for line in _ask_console(psql, url, "show config").splitlines()]
    return {fields[0]: fields[1] for fields in lines}


def _ask_console(psql: Path, url: str, question: str) -> str:
    command = [str(psql), "--no-psqlrc", "--tuples-only", "--no-align", f"--command={question}", url]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
