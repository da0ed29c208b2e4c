"""One PostgreSQL cluster: one shard."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import asyncpg

from domain.errors import OperatorError
from infra.local.binaries import Binaries, postgres_major
from infra.local.child import ChildSpec
from infra.local.files import write_private
from infra.local.identity import Identity, ShardPorts
from infra.local.ports import HOST
from infra.local.run_as import RunAs, user_name

COMMON_CONFIG = Path(__file__).parents[1] / "postgres" / "postgresql.conf"
ROLE = DATABASE = "shardboard"
_SUPERUSER = "postgres"

# The length of a socket's path that every system takes (macOS 104 bytes with the final NUL, Linux 108).
_SOCKET_PATH_BYTES_MAX = 103

# Passwords for every way in: other users of this machine can reach a loopback port too.
_HBA = """\
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
"""


class PostgresShard:
    """The files and the process of one shard's PostgreSQL, below `home`."""

    def __init__(self, name: str, home: Path, ports: ShardPorts, identity: Identity) -> None:
        """Nothing is touched yet."""
        self.name = name
        self.home = home
        self.port = ports.postgres
        self.pgdata = home / "postgres"
        self._identity = identity

    @property
    def socket_directory(self) -> Path | None:
        """Where its unix socket is, None where the path would be too long for one."""
        path = os.fsencode(self.home / f".s.PGSQL.{self.port}")
        return self.home if len(path) <= _SOCKET_PATH_BYTES_MAX else None

    @property
    def direct_url(self) -> str:
        """The address of the database itself, past PgBouncer."""
        return f"postgresql://{ROLE}:{self._identity.shard_password}@{HOST}:{self.port}/{DATABASE}"

    async def prepare(self, binaries: Binaries, run_as: RunAs) -> None:
        """Make the cluster at the first start; write its configuration at every start.

        Raises:
            OperatorError: initdb failed, or the files are of another major version.
        """
        self.home.mkdir(mode=0o700, exist_ok=True)
        run_as.own(self.home)
        if not self.pgdata.exists():
            await self._initdb(binaries, run_as)
        self._require_owner(run_as)
        self._require_version(binaries)
        for name, text in (("postgresql.conf", self._config()), ("pg_hba.conf", _HBA)):
            write_private(self.pgdata / name, text)
            run_as.own(self.pgdata / name)

    def spec(self, binaries: Binaries, run_as: RunAs, logs: Path) -> ChildSpec:
        """How its server runs."""
        return ChildSpec(
            role="postgres",
            name=self.name,
            command=run_as.command([binaries.postgres_bin / "postgres", "-D", self.pgdata], signal.SIGINT),
            options=run_as.subprocess_options(),
            log=logs / f"postgres-{self.name}.log",
            ready=self._is_ready,
            # Fast: ends the sessions and writes a checkpoint. Immediate: recovers at the next start.
            stop_signals=((signal.SIGINT, 3.5), (signal.SIGQUIT, 1.0)),
            # A recovery after a kill may have a lot of WAL to read.
            ready_seconds_max=300.0,
            # Busy sessions of a postmaster that was killed hold its memory until they notice, up to a few seconds.
            start_tries=7,
            shard=self.name,
        )

    async def ensure_database(self) -> None:
        """Make the service's role and database where they are missing. The role owns its database and no more."""
        connection = await asyncpg.connect(
            host=HOST,
            port=self.port,
            user=_SUPERUSER,
            password=self._identity.superuser_password,
            database="postgres",
            timeout=10,
        )
        try:
            if not await connection.fetchval("select exists (select from pg_roles where rolname = $1)", ROLE):
                # replication: moving buckets follows the source through a logical slot.
                await connection.execute(f"create role {ROLE} login replication in role pg_monitor")
            await connection.execute(f"alter role {ROLE} password '{self._identity.shard_password}'")
            # Making subscriptions has a role of its own only from 16 on.
            allowed = f"grant pg_create_subscription to {ROLE}"
            if connection.get_server_version().major < 16:
                allowed = f"alter role {ROLE} superuser"
            await connection.execute(allowed)
            if not await connection.fetchval("select exists (select from pg_database where datname = $1)", DATABASE):
                await connection.execute(f"create database {DATABASE} owner {ROLE}")
        finally:
            await connection.close()

    async def _initdb(self, binaries: Binaries, run_as: RunAs) -> None:
        # Renamed when it is whole: a first start that was killed half-way is simply done again.
        fresh, password = self.home / "postgres.new", self.home / "superuser"
        shutil.rmtree(fresh, ignore_errors=True)
        write_private(password, self._identity.superuser_password)
        run_as.own(password)
        options = ["--encoding=UTF8", "--locale=C", "--data-checksums", "--auth=scram-sha-256"]
        initdb: list[str | Path] = [binaries.postgres_bin / "initdb", "-D", fresh, "-U", _SUPERUSER]
        process = await asyncio.create_subprocess_exec(
            *run_as.command([*initdb, f"--pwfile={password}", *options], signal.SIGKILL),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            **run_as.subprocess_options(),
        )
        try:
            _, errors = await process.communicate()
        except asyncio.CancelledError:
            # Its whole session: the servers that initdb runs would go on writing for a moment.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise
        if process.returncode != 0:
            raise OperatorError(f"initdb of {self.name} failed: {errors.decode(errors='replace').strip()}")
        password.unlink()
        fresh.rename(self.pgdata)

    def _require_owner(self, run_as: RunAs) -> None:
        owner = self.pgdata.stat().st_uid
        if owner != run_as.uid:
            raise OperatorError(
                f"{self.pgdata} belongs to the user {user_name(owner)} and PostgreSQL would run as "
                f"{user_name(run_as.uid)}: start it as the user who started it before, or choose another DATA"
            )

    def _require_version(self, binaries: Binaries) -> None:
        held = int((self.pgdata / "PG_VERSION").read_text(encoding="ascii"))
        offered = postgres_major(binaries.postgres_bin)
        if held != offered:
            raise OperatorError(
                f"{self.pgdata} is of PostgreSQL {held} and {binaries.postgres_bin} is PostgreSQL {offered}: "
                f"set PG_BIN to an installation of {held}, or choose another DATA"
            )

    def _config(self) -> str:
        sockets = str(self.socket_directory or "")
        return (
            "# Written at every start; what all shards have in common is in the included file.\n"
            f"include {_quoted(str(COMMON_CONFIG))}\n"
            f"listen_addresses = '{HOST}'\n"
            f"port = {self.port}\n"
            f"unix_socket_directories = {_quoted(_list_item(sockets))}\n"
            f"cluster_name = '{self.name}'\n"
        )

    async def _is_ready(self, pid: int) -> bool:
        # The postmaster says so itself, in the last line of its lock file; asking costs no connection.
        try:
            lines = (self.pgdata / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and int(lines[0]) == pid and lines[7].strip() == "ready"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _list_item(text: str) -> str:
    """One item of a setting that takes a list: commas and spaces in a path would end it."""
    return '"' + text.replace('"', '""') + '"' if text else ""
