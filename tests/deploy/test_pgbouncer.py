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

from infra.local.binaries import find_binaries, pgbouncer_version
from infra.local.cluster import LocalCluster
from infra.local.ports import find_free_port
from infra.local.run_as import find_run_as
from tests.deploy.serving import ROOT
from tests.waiting import until

COMMON = ROOT / "infra" / "pgbouncer"
SCRIPT = ROOT / "infra" / "compose" / "pgbouncer.sh"


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
    binaries = find_binaries()
    # The paths of the image and the ports of its network become ones of this machine; nothing else differs.
    run = session_directory / "container"
    text = SCRIPT.read_text()
    for old, new in (
        ("/etc/shardboard/pgbouncer", os.fspath(COMMON)),
        ("/run/pgbouncer", os.fspath(run)),
        ("port=5432", f"port={shard.port}"),
        ("6432", str(port)),
        ("0.0.0.0", "127.0.0.1"),
        ("exec pgbouncer", f"exec {binaries.pgbouncer}"),
    ):
        assert old in text
        text = text.replace(old, new)
    if pgbouncer_version(binaries.pgbouncer) < (1, 21):
        text = re.sub(r"%include .*/prepared.ini\n", "", text)
    run.mkdir()
    run_as = find_run_as(session_directory, [binaries.pgbouncer, COMMON / "pgbouncer.ini"])
    run_as.own(run)
    process = await asyncio.create_subprocess_exec(
        *run_as.command(["/bin/sh", "-c", text], signal.SIGKILL),
        env={"POSTGRES_HOST": "127.0.0.1", "SHARD_PASSWORD": shard.password or "", "PATH": os.environ["PATH"]},
        **run_as.subprocess_options(),
    )
    url = f"postgresql://shardboard:{shard.password}@127.0.0.1:{port}"
    try:
        await until(lambda: _accepts(port))
        pooled = await asyncpg.connect(f"{url}/shardboard", statement_cache_size=0)
        assert await pooled.fetchval("select current_setting('cluster_name')") == "shard1"
        await pooled.close()
        applied = _read_config(binaries.postgres_bin / "psql", f"{url}/pgbouncer")
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
    command = [str(psql), "--no-psqlrc", "--tuples-only", "--no-align", "--command=show config", url]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    lines = [line.split("|") for line in answer.stdout.splitlines()]
    return {fields[0]: fields[1] for fields in lines}
