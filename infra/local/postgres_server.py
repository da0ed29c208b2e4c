"""What every PostgreSQL of a local cluster has in common: its files, its process, who may run it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from domain.errors import OperatorError
from infra.local.binaries import Binaries, postgres_major
from infra.local.child import ChildSpec
from infra.local.files import write_private
from infra.local.identity import Identity
from infra.local.ports import HOST
from infra.local.run_as import RunAs, user_name

COMMON_CONFIG = Path(__file__).parents[1] / "postgres" / "postgresql.conf"

# The length of a socket's path that every system takes (macOS 104 bytes with the final NUL, Linux 108).
_SOCKET_PATH_BYTES_MAX = 103

# Passwords for every way in: other users of this machine can reach a loopback port too.
_HBA = """\
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
"""


class PostgresServer:
    """The files and the process of one PostgreSQL, below `home`.

    Args:
        role: of its process among the children of the cluster.
        shard: the shard that it belongs to.
    """

    def __init__(self, role: str, name: str, shard: str, home: Path, port: int, identity: Identity) -> None:
        """Nothing is touched yet."""
        self.role = role
        self.name = name
        self.shard = shard
        self.home = home
        self.port = port
        self.pgdata = home / "postgres"
        self._identity = identity

    @property
    def socket_directory(self) -> Path | None:
        """Where its unix socket is, None where the path would be too long for one."""
        path = os.fsencode(self.home / f".s.PGSQL.{self.port}")
        return self.home if len(path) <= _SOCKET_PATH_BYTES_MAX else None

    def spec(self, binaries: Binaries, run_as: RunAs, logs: Path) -> ChildSpec:
        """How its server runs."""
        return ChildSpec(
            role=self.role,
            name=self.name,
            command=run_as.command([binaries.postgres_bin / "postgres", "-D", self.pgdata], signal.SIGINT),
            options=run_as.subprocess_options(),
            # Its libpq, when it subscribes, looks for certificates below HOME: not in that of whoever started it.
            environment=os.environ | {"HOME": str(self.home)},
            log=logs / f"postgres-{self.name}.log",
            ready=self._is_ready,
            # Fast: ends the sessions and writes a checkpoint. Immediate: recovers at the next start.
            stop_signals=((signal.SIGINT, 3.5), (signal.SIGQUIT, 1.0)),
            # A recovery after a kill may have a lot of WAL to read.
            ready_seconds_max=300.0,
            # Busy sessions of a postmaster that was killed hold its memory until they notice, up to a few seconds.
            start_tries=7,
            shard=self.shard,
        )

    def _make_home(self, run_as: RunAs) -> None:
        self.home.mkdir(mode=0o700, exist_ok=True)
        run_as.own(self.home)

    def _write_config(self, binaries: Binaries, run_as: RunAs, more: Mapping[str, str]) -> None:
        """Write its configuration, `more` settings included.

        Raises:
            OperatorError: the files are another user's, or of another major version.
        """
        self._require_owner(run_as)
        self._require_version(binaries)
        for name, text in (("postgresql.conf", self._config(more)), ("pg_hba.conf", _HBA)):
            write_private(self.pgdata / name, text)
            run_as.own(self.pgdata / name)

    async def _run(
        self,
        run_as: RunAs,
        command: Sequence[str | Path],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Run a program that makes files of this server, and wait for its end.

        Raises:
            OperatorError: it failed, with what it said.
        """
        process = await asyncio.create_subprocess_exec(
            *run_as.command(command, signal.SIGKILL),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
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
            raise OperatorError(
                f"{Path(command[0]).name} of {self.name} failed: {errors.decode(errors='replace').strip()}"
            )

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

    def _config(self, more: Mapping[str, str]) -> str:
        sockets = str(self.socket_directory or "")
        return (
            "# Written at every start; what all shards have in common is in the included file.\n"
            f"include {_quoted(str(COMMON_CONFIG))}\n"
            f"listen_addresses = '{HOST}'\n"
            f"port = {self.port}\n"
            f"unix_socket_directories = {_quoted(_list_item(sockets))}\n"
            f"cluster_name = '{self.name}'\n"
        ) + "".join(f"{name} = {_quoted(value)}\n" for name, value in more.items())

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
