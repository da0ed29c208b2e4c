"""What an operator says of a deployment in Kubernetes: one YAML file, checked before anything is made from it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    StringConstraints,
    ValidationError,
    model_validator,
)

from domain.errors import OperatorError
from infra.kubernetes.quantity import Bytes, Cores, mebibytes

# A shard's name becomes part of names of Services, which may have 63 characters.
_Label = Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=40)]
_Host = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]

_PINNED = re.compile(r"[\w./-]+(:\d+)?[\w./-]*(:(?P<tag>[\w][\w.-]*)|@sha256:[0-9a-f]{64})")


def _check_image(image: str) -> str:
    found = _PINNED.fullmatch(image)
    # Whoever pulls `latest` again gets another program.
    if found is None or found["tag"] == "latest":
        raise ValueError(f"{image!r} does not say which one; end it with a version such as :0.1.0, or a digest")
    return image


_Image = Annotated[str, AfterValidator(_check_image)]

# max_slot_wal_keep_size and max_wal_size of infra/postgres/postgresql.conf, and room to spare.
_WAL_MIB_MIN = 12 * 1024

_IN_WORDS = {
    "string_pattern_mismatch": "is no value of this kind",
    "extra_forbidden": "is no name of a value; look for a slip, or at values.example.yaml",
    "missing": "is missing",
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Shard(_Part):
    """One shard: a PostgreSQL cluster with its PgBouncers.

    added: it came after the first installation, by `shards add`. The settings of the API do not name it, as the other
        shards do: so adding one changes nothing of what runs. storage, cpu, memory: other than those of all.
    """

    name: _Label
    added: bool = False
    storage: Bytes | None = None
    cpu: Cores | None = None
    memory: Bytes | None = None


class Postgres(_Part):
    """What every shard's PostgreSQL gets. From 3 instances on every acknowledged write is on two of them."""

    image: _Image = "ghcr.io/cloudnative-pg/postgresql:18.6-system-trixie"
    instances: int = Field(3, ge=1, le=9)
    storage: Bytes = "100Gi"
    wal_storage: Bytes = "20Gi"
    cpu: Cores = "4"
    memory: Bytes = "8Gi"

    @model_validator(mode="after")
    def _holds_what_slots_keep(self) -> Postgres:
        if mebibytes(self.wal_storage) < _WAL_MIB_MIN:
            least = f"{_WAL_MIB_MIN // 1024}Gi"
            raise ValueError(f"wal_storage: {self.wal_storage} is too little; slots keep up to 8 GB, give it {least}")
        return self


class PgBouncer(_Part):
    """The PgBouncers of each shard; together they open `connections` to PostgreSQL at most."""

    image: _Image = "ghcr.io/cloudnative-pg/pgbouncer:1.25.1"
    instances: int = Field(2, ge=1, le=20)
    connections: int = Field(60, ge=10, le=1000)
    cpu: Cores = "500m"
    memory: Bytes = "256Mi"


class Valkey(_Part):
    """The Valkey that holds the ranks; nothing of it is lost for good."""

    image: _Image = "valkey/valkey:9.1.1-alpine"
    exporter_image: _Image = "oliver006/redis_exporter:v1.88.0-alpine"
    storage: Bytes = "20Gi"
    cpu: Cores = "1"
    memory: Bytes = "4Gi"


class Api(_Part):
    """The API: processes of one core each, as many as their load asks for."""

    replicas_min: int = Field(2, ge=1)
    replicas_max: int = Field(10, ge=1)
    cpu: Cores = "1"
    memory: Bytes = "768Mi"
    cpu_target_percent: int = Field(70, ge=10, le=95)
    trusted_proxies: list[IPvAnyNetwork] = []
    settings: dict[str, str] = Field({}, description="Further SHARDBOARD_… variables, without secrets.")

    @model_validator(mode="after")
    def _has_room(self) -> Api:
        if self.replicas_max < self.replicas_min:
            raise ValueError("replicas_max must not be less than replicas_min")
        for name in self.settings:
            if not name.startswith("SHARDBOARD_"):
                raise ValueError(f"settings: {name} is no SHARDBOARD_… variable")
            if name in GIVEN_SETTINGS:
                raise ValueError(f"settings: {name} is made from the other values; leave it out")
        return self


class Ingress(_Part):
    """Where players come in."""

    host: _Host
    tls_secret: _Label
    class_name: _Label | None = None


class Monitoring(_Part):
    """For the Prometheus Operator: what is scraped, and the alert rules.

    namespace: where its Prometheus runs. networks: addresses of its Pods, which may read /metrics. labels: what its
        selectors look for.
    """

    namespace: _Label
    networks: list[IPvAnyNetwork] = Field(min_length=1)
    labels: dict[str, str] = {}


class Secrets(_Part):
    """Names of the Secrets that an operator makes; README.md says what each holds."""

    owner: _Label = "shardboard-owner"
    service: _Label = "shardboard-service"
    valkey: _Label = "shardboard-valkey"
    keys: _Label = "shardboard-keys"
    image_pull: _Label | None = None


class Values(_Part):
    """The whole file."""

    namespace: _Label = "shardboard"
    image: _Image
    shards: list[Shard] = Field(min_length=1)
    storage_class: _Label | None = None
    postgres: Postgres = Postgres()
    pgbouncer: PgBouncer = PgBouncer()
    valkey: Valkey = Valkey()
    api: Api = Api()
    ingress: Ingress | None = None
    monitoring: Monitoring | None = None
    secrets: Secrets = Secrets()
    operator_namespace: _Label = Field("cnpg-system", description="Where CloudNativePG's operator runs.")

    @model_validator(mode="after")
    def _fits_together(self) -> Values:
        twice = [name for name, count in Counter(shard.name for shard in self.shards).items() if count > 1]
        if twice:
            raise ValueError(f"shards: {', '.join(twice)} is there more than once")
        if all(shard.added for shard in self.shards):
            raise ValueError("shards: one at least has to be there from the beginning, without `added: true`")
        return self


# What api.py sets by itself.
GIVEN_SETTINGS = (
    *("SHARDBOARD_SHARDS", "SHARDBOARD_REDIS_URL", "SHARDBOARD_HOST", "SHARDBOARD_PORT"),
    *("SHARDBOARD_SERVER_KEY_FILE", "SHARDBOARD_ADMIN_KEY_FILE"),
    *("SHARDBOARD_PRODUCTION", "SHARDBOARD_TRUSTED_PROXIES", "SHARDBOARD_METRICS_NETWORKS"),
)


def read_values(path: Path) -> Values:
    """The values of a file.

    Raises:
        OperatorError: it cannot be read, or a value is wrong; names all that are, and says what to do.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise OperatorError(f"{path} is no text in UTF-8.") from None
    except yaml.YAMLError as error:
        raise OperatorError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise OperatorError(f"{path} holds no values; begin with a copy of infra/kubernetes/values.example.yaml.")
    try:
        return Values(**found)
    except ValidationError as error:
        raise OperatorError(f"{path}: {'; '.join(_describe(each) for each in error.errors())}") from None
    except TypeError:
        raise OperatorError(f"{path}: names of values are words.") from None


def _describe(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"])
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{place}: {message}" if place else message
    if error["type"] in _IN_WORDS:
        shown = "" if error["type"] == "missing" or isinstance(error["input"], dict | list) else f" {error['input']!r}"
        return f"{place}:{shown} {_IN_WORDS[error['type']]}"
    return f"{place}: {message[0].lower()}{message[1:]}"
