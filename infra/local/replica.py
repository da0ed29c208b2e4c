"""A read replica of one shard: a PostgreSQL that follows the shard's own and answers reads."""

from __future__ import annotations

import os
from pathlib import Path

from infra.local.binaries import Binaries
from infra.local.files import delete_directory
from infra.local.identity import Identity
from infra.local.ports import HOST
from infra.local.postgres import DATABASE, OWNER, SERVICE_ROLE, SLOT_BEGINNING, PostgresShard
from infra.local.postgres_server import PostgresServer
from infra.local.run_as import RunAs

_DIRECTORY = "replica"


class Replica(PostgresServer):
    """The files and the process of one replica, in a directory of its own below the shard's.

    The service reaches it without a PgBouncer: a process has few connections to it, and none of them is the writers'.
    """

    def __init__(self, primary: PostgresShard, number: int, port: int, identity: Identity) -> None:
        """Nothing is touched yet; `number` counts a shard's replicas from 1."""
        name = f"{_DIRECTORY}{number}"
        super().__init__("replica", f"{primary.name}-{name}", primary.name, primary.home / name, port, identity)
        self.slot = f"{SLOT_BEGINNING}{number}"
        self._primary = primary

    @property
    def url(self) -> str:
        """The address for reads."""
        return f"postgresql://{SERVICE_ROLE}:{self._identity.service_password}@{HOST}:{self.port}/{DATABASE}"

    async def prepare(self, binaries: Binaries, run_as: RunAs, *, anew: bool) -> None:
        """Copy the primary, which runs, at the first start; write the configuration at every start.

        Args:
            anew: whether what is there cannot catch up with the primary any more.

        Raises:
            OperatorError: the copy failed, or the files are of another major version.
        """
        self._make_home(run_as)
        if anew:
            await delete_directory(self.pgdata)
        if not self.pgdata.exists():
            await self._copy_primary(binaries, run_as)
        self._write_config(
            binaries,
            run_as,
            {
                "primary_conninfo": f"{self._conninfo} password={self._identity.shard_password}",
                "primary_slot_name": self.slot,
                # A statement that keeps it from replaying is cancelled soon: the primary answers then.
                "max_standby_streaming_delay": "500ms",
                # After a restart of the primary.
                "wal_retrieve_retry_interval": "200ms",
            },
        )
        signal = self.pgdata / "standby.signal"
        signal.touch(mode=0o600)
        run_as.own(signal)

    @property
    def _conninfo(self) -> str:
        return f"host={HOST} port={self._primary.port} user={OWNER} application_name={self.name}"

    async def _copy_primary(self, binaries: Binaries, run_as: RunAs) -> None:
        # Renamed when it is whole: a first start that was killed half-way is simply done again.
        fresh = self.home / "postgres.new"
        await delete_directory(fresh)
        program: list[str | Path] = [binaries.postgres_bin / "pg_basebackup", "-D", fresh, "-d", self._conninfo]
        await self._run(
            run_as,
            [*program, "--no-password", "--checkpoint=fast", "--wal-method=stream", f"--slot={self.slot}"],
            os.environ | {"PGPASSWORD": self._identity.shard_password},
        )
        fresh.rename(self.pgdata)


def find_replica_directories(home: Path) -> list[Path]:
    """The directories of all replicas that a shard has or had, by what is in the shard's own directory."""
    return sorted(path for path in home.glob(f"{_DIRECTORY}*") if path.is_dir())
