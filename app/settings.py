"""Every environment variable of the service, in one place."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.submission import IdWindow


class ShardAddress(BaseModel):
    """Where one shard is reached.

    `url` leads through its PgBouncer and carries all traffic; `direct_url` leads to the Postgres itself, for
    migrations and replication. Both are `postgresql://user:password@host:port/database`.
    """

    name: str = Field(min_length=1, max_length=63)
    url: str
    direct_url: str


class Settings(BaseSettings):
    """The configuration of one process, read from variables named `SHARDBOARD_…`.

    `make up` and docker-compose.yml set the same variables; the README's table says what each means.
    """

    model_config = SettingsConfigDict(env_prefix="SHARDBOARD_", env_file=None, extra="ignore", frozen=True)

    shards: list[ShardAddress] = Field(min_length=1, description="The shards, as a JSON list.")
    redis_url: str = "redis://127.0.0.1:6379/0"
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    server_key: SecretStr | None = None
    admin_key: SecretStr | None = None

    deadline_ms: int = Field(5_000, ge=100, description="How long one request may take in all.")
    redis_timeout_ms: int = Field(1_000, ge=10, description="How long one answer of Redis may take.")
    connect_timeout_ms: int = Field(2_000, ge=10, description="How long opening one connection may take.")

    flushes_in_flight: int = Field(1, ge=1, le=16, description="Batches under way at once, a shard and process.")
    flushes_at_once: int | None = Field(
        None, ge=1, description="Batches under way at once, a process; one for every four shards when not set."
    )
    batch_rows_max: int = Field(500, ge=1, le=5_000, description="Submissions in one batch.")
    queue_rows_max: int = Field(20_000, ge=1, description="Submissions waiting, a shard and process.")
    pool_size: int = Field(4, ge=1, description="Connections for all other statements, a shard and process.")

    id_window_back_days: int = Field(30, ge=1, description="How old the time of a submissionId may be.")
    id_window_ahead_seconds: int = Field(300, ge=0, description="How far ahead it may be.")

    sql_rank_depth_max: int = Field(100_000, ge=1, description="How deep SQL counts a rank while Redis is away.")
    relay_interval_ms: int = Field(500, ge=10, description="How often the relay looks at each shard.")
    partition_months_ahead: int = Field(3, ge=1, le=24, description="Monthly partitions kept ready.")
    connections_max: int = Field(20_000, ge=1, description="Sockets and event streams open at once, a process.")
    socket_idle_seconds: float = Field(300, gt=0, description="How long a socket may be open without an operation.")
    graphiql: bool = True
    try_out: bool = Field(False, description="Whether the board offers a form to submit scores; for local set-ups.")

    @cached_property
    def id_window(self) -> IdWindow:
        """The span of time that a submission id may carry."""
        return IdWindow(timedelta(days=self.id_window_back_days), timedelta(seconds=self.id_window_ahead_seconds))
