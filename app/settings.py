"""Every environment variable of the service, in one place."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from app.log import Format
from app.origins import check_origin
from app.setting_files import FileSettings
from db.address import addresses_of, place_of
from domain.errors import OperatorError
from domain.signature import Demand
from domain.submission import IdWindow
from graph.disclosure import Disclosure
from service.player_tokens import Algorithm

KEY_LENGTH_MIN = 16


def _check_key(key: SecretStr) -> SecretStr:
    if len(key) < KEY_LENGTH_MIN:
        raise ValueError(f"a key must have at least {KEY_LENGTH_MIN} characters")
    return key


Key = Annotated[SecretStr, AfterValidator(_check_key)]


class ShardAddress(BaseModel):
    """Where one shard is reached.

    `url` leads through its PgBouncer and carries all traffic, as a role that may use the tables; `direct_url` leads to
    the Postgres itself as their owner, for migrations and replication, and is not needed by what only serves.
    `replicas` lead to copies that follow it, each through a PgBouncer of its own or directly, as the role of `url`. All
    are `postgresql://user:password@host:port/database`; `url` may name several PgBouncers: `…@host1:port,host2:port/…`.
    """

    name: str = Field(min_length=1, max_length=63)
    url: str
    direct_url: str | None = None
    replicas: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _are_addresses(self) -> ShardAddress:
        try:
            places = [place_of(address) for address in addresses_of(self.url)]
            places += [place_of(replica) for replica in self.replicas]
        except OperatorError as error:
            raise ValueError(f"shard {self.name}: {error}") from None
        if twice := [place for place in places if places.count(place) > 1]:
            raise ValueError(f"shard {self.name}: {twice[0]} is named twice among its PgBouncers and replicas")
        return self


class Settings(BaseSettings):
    """The configuration of one process, read from variables named `SHARDBOARD_…`.

    `make up` and docker-compose.yml set the same variables; the README's table says what each means. Of each,
    `<NAME>_FILE` may name a file that holds the value.
    """

    model_config = SettingsConfigDict(env_prefix="SHARDBOARD_", env_ignore_empty=True, extra="ignore", frozen=True)

    shards: list[ShardAddress] = Field(min_length=1, description="The shards, as a JSON list.")
    redis_url: str = "redis://127.0.0.1:6379/0"
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    server_key: Key | None = Field(None, description="A server key beside those of `shardboard keys`.")
    admin_key: Key | None = Field(None, description="An admin key beside them.")

    reads_open: bool = Field(True, description="Whether who has no credential may read.")
    address_reads_per_minute: int = Field(60, ge=0, description="Reads of an address without one; 0 for no limit.")
    player_reads_per_minute: int = Field(600, ge=0, description="Reads with a player's token; 0 for no limit.")
    player_submissions_per_minute: int = Field(5, ge=0, description="Submissions with one; 0 for no limit.")
    trusted_proxies: list[IPvAnyNetwork] = Field([], description="Whose X-Forwarded-For holds, as a JSON list.")

    jwt_algorithm: Algorithm | None = Field(None, description="HS256, RS256 or EdDSA; none: no players' tokens.")
    jwt_secret: SecretStr | None = Field(None, description="For HS256, at least 32 bytes.")
    jwt_secret_also: SecretStr | None = Field(None, description="Another one that holds, while it is being replaced.")
    jwt_jwks: str | None = Field(None, description="For the others: file or URL of a JSON Web Key Set.")
    jwt_audience: str = Field("shardboard", min_length=1, description="What a token's `aud` must hold.")
    jwt_issuer: str = Field("shardboard", min_length=1, description="What a token's `iss` must be.")
    jwt_leeway_seconds: float = Field(10, ge=0, le=300, description="How far the issuer's clock may be off.")

    signing_secrets: dict[str, SecretStr] = Field({}, description="Secrets of signed submissions, by game, as JSON.")
    signatures: Demand = Field("none", description="Whose submissions must be signed: none, players, all.")

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

    replica_lag_seconds_max: float = Field(
        2, ge=0.1, le=300, description="How far behind a replica may be that answers histories and deep pages."
    )
    sql_rank_depth_max: int = Field(100_000, ge=1, description="How deep SQL counts a rank while Redis is away.")
    relay_interval_ms: int = Field(500, ge=10, description="How often the relay looks at each shard.")
    partition_months_ahead: int = Field(3, ge=1, le=24, description="Monthly partitions kept ready.")
    connections_max: int = Field(20_000, ge=1, description="Sockets and event streams open at once, a process.")
    socket_idle_seconds: float = Field(300, gt=0, description="How long a socket may be open without an operation.")
    log_format: Format | None = Field(
        None, description="json or text; unless set, text in a terminal and not in production."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="The least that is logged.")
    log_requests_per_second: int = Field(
        100, ge=0, description="Lines of requests a second and process, and as many of failed or slow ones; 0 for none."
    )
    metrics_networks: list[IPvAnyNetwork] = Field(
        [ip_network("127.0.0.0/8"), ip_network("::1/128")],
        description="Who may read /metrics without an admin key, as a JSON list.",
    )
    metrics_dir: Path | None = Field(
        None, description="Where the API processes of a machine that share a port keep their numbers for each other."
    )
    drift_interval_ms: int = Field(
        2_000, ge=10, description="How often a thousand standings are compared with the ranks, in one process."
    )
    ready_file: Path | None = Field(None, description="Holds the process's id while it accepts connections.")
    production: bool = Field(False, description="Whether clients learn nothing of the schema that they do not know.")
    introspection: bool | None = Field(None, description="Whether the schema can be asked for; not in production.")
    suggestions: bool | None = Field(None, description="Whether errors name what may have been meant; likewise.")
    graphiql: bool | None = Field(None, description="Whether browsers get GraphiQL at /graphql; likewise.")
    docs: bool | None = Field(None, description="Whether /docs and /openapi.json describe the REST API; likewise.")
    cors_origins: list[str] = Field(
        [], description="Origins whose pages may use the API, as a JSON list of scheme://host[:port], or * for all."
    )
    operations_file: Path | None = Field(
        None, description="Operations that clients may name by id: a persisted query manifest, or {id: document}."
    )
    operations_only: bool = Field(False, description="Whether nothing but the operations of that file runs.")
    try_out: bool = Field(False, description="Whether pages in a browser of this machine get the server key.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given in code first, then files and variables, of which a setting has one at most."""
        return init_settings, FileSettings(settings_cls), env_settings

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: list[str]) -> list[str]:
        return [check_origin(origin) for origin in origins]

    @property
    def page_key(self) -> str | None:
        """The key that pages in a browser of this machine may use; only local set-ups have one."""
        return self.server_key.get_secret_value() if self.try_out and self.server_key is not None else None

    @property
    def serves_graphiql(self) -> bool:
        """Whether browsers get GraphiQL."""
        return self._open(self.graphiql)

    @property
    def serves_docs(self) -> bool:
        """Whether the REST API is described at /docs."""
        return self._open(self.docs)

    @property
    def disclosure(self) -> Disclosure:
        """What clients may learn of the schema."""
        return Disclosure(introspection=self._open(self.introspection), suggestions=self._open(self.suggestions))

    def _open(self, setting: bool | None) -> bool:
        return not self.production if setting is None else setting

    @cached_property
    def id_window(self) -> IdWindow:
        """The span of time that a submission id may carry."""
        return IdWindow(timedelta(days=self.id_window_back_days), timedelta(seconds=self.id_window_ahead_seconds))


def load_settings() -> Settings:
    """The settings of the environment.

    Raises:
        OperatorError: one is missing or wrong; names it, and does not show its value, which may hold a password.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        message = first["msg"].removeprefix("Value error, ")
        why = f"{place}: {message}" if place else message
        name = str(first["loc"][0])
    except SettingsError as error:
        why, name = "this is no JSON.", str(error).split('"')[1]
    raise OperatorError(f"the SHARDBOARD_… variables are not complete: SHARDBOARD_{name.upper()}: {why}")


def names_deployment() -> bool:
    """Whether the environment says which deployment commands speak of."""
    return bool(os.environ.get("SHARDBOARD_SHARDS") or os.environ.get("SHARDBOARD_SHARDS_FILE"))
