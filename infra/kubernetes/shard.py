"""One shard: CloudNativePG's `Cluster` and the `Pooler` with its PgBouncers."""

from __future__ import annotations

from infra.kubernetes.manifest import (
    DATABASE,
    OWNER,
    POSTGRES_PORT,
    SERVICE_ROLE,
    Manifest,
    manifest,
    resources,
    shard_labels,
    spread,
)
from infra.kubernetes.server_settings import pgbouncer_parameters, postgres_parameters
from infra.kubernetes.values import Shard, Values

QUERIES = "shardboard-queries"

# PostgreSQL keeps connections for the relay, migrations, moves and people beside those of PgBouncer.
_CONNECTIONS_BESIDE = 40


def cluster_name(shard: str) -> str:
    """Of the Cluster, whose primary is reached by the Service `<name>-rw`."""
    return f"shardboard-{shard}"


def pooler_name(shard: str) -> str:
    """Of the Pooler, and of the Service in front of its PgBouncers."""
    return f"{cluster_name(shard)}-pooler"


def pooled_url(shard: str, password: str) -> str:
    """What carries all traffic, through PgBouncer."""
    return f"postgresql://{SERVICE_ROLE}:{password}@{pooler_name(shard)}:{POSTGRES_PORT}/{DATABASE}?sslmode=require"


def direct_url(shard: str, password: str) -> str:
    """To the primary as the tables' owner. Without a file's path: other shards use it from their own Pods, too."""
    return f"postgresql://{OWNER}:{password}@{cluster_name(shard)}-rw:{POSTGRES_PORT}/{DATABASE}?sslmode=require"


def make_shard(values: Values, shard: Shard) -> list[Manifest]:
    """Everything of one shard, and nothing of another."""
    return [_cluster(values, shard), _pooler(values, shard), _pooler_disruptions(values, shard)]


def _cluster(values: Values, shard: Shard) -> Manifest:
    postgres = values.postgres
    memory = shard.memory or postgres.memory
    found_by = shard_labels("postgres", shard.name)
    connections = values.pgbouncer.connections + _CONNECTIONS_BESIDE
    parameters = postgres_parameters(memory) | {"max_connections": str(connections)}
    spec: Manifest = {
        "description": f"{shard.name} of Shardboard",
        "imageName": postgres.image,
        "instances": postgres.instances,
        # Pods, Services and Secrets that the operator makes are found by these.
        "inheritedMetadata": {"labels": found_by},
        "enableSuperuserAccess": False,
        "postgresql": {"parameters": parameters},
        "bootstrap": {
            "initdb": {
                "database": DATABASE,
                "owner": OWNER,
                "secret": {"name": values.secrets.owner},
                "encoding": "UTF8",
                "localeCollate": "C",
                "localeCType": "C",
                "dataChecksums": True,
            }
        },
        "managed": {"roles": _roles(values)},
        "storage": _volume(values, shard.storage or postgres.storage),
        "walStorage": _volume(values, postgres.wal_storage),
        "resources": resources(shard.cpu or postgres.cpu, memory),
        "affinity": {"enablePodAntiAffinity": True, "topologyKey": "kubernetes.io/hostname"},
        # A planned change of the primary: the old one ends its statements, the new one takes over within seconds.
        "primaryUpdateStrategy": "unsupervised",
        "primaryUpdateMethod": "switchover",
    }
    if postgres.instances > 1:
        # An acknowledged submission must not be lost with a machine: it is on a second one before it is acknowledged.
        # With two instances a dead standby would stop all writes; then the promise waits until it is back.
        durability = "required" if postgres.instances > 2 else "preferred"
        spec["postgresql"]["synchronous"] = {"method": "any", "number": 1, "dataDurability": durability}
    if values.monitoring is not None:
        spec["monitoring"] = {"customQueriesConfigMap": [{"name": QUERIES, "key": "queries"}]}
    if values.secrets.image_pull:
        spec["imagePullSecrets"] = [{"name": values.secrets.image_pull}]
    return manifest(values, "postgresql.cnpg.io/v1", "Cluster", cluster_name(shard.name), found_by, spec=spec)


def _roles(values: Values) -> list[Manifest]:
    """As docs/adr/0011 has them: who owns the tables and may move players, and who serves, to whom `migrate` grants."""
    return [
        {
            "name": OWNER,
            "ensure": "present",
            "login": True,
            "replication": True,
            "inRoles": ["pg_create_subscription", "pg_monitor"],
            "passwordSecret": {"name": values.secrets.owner},
        },
        {
            "name": SERVICE_ROLE,
            "ensure": "present",
            "login": True,
            "passwordSecret": {"name": values.secrets.service},
        },
    ]


def _volume(values: Values, size: str) -> Manifest:
    return {"size": size} | ({"storageClass": values.storage_class} if values.storage_class else {})


def _pooler(values: Values, shard: Shard) -> Manifest:
    bouncer = values.pgbouncer
    found_by = shard_labels("pgbouncer", shard.name)
    container = {
        # The operator finds it by this name, and confines it itself.
        "name": "pgbouncer",
        "resources": resources(bouncer.cpu, bouncer.memory),
    }
    pod: Manifest = {"containers": [container], "topologySpreadConstraints": spread(found_by)}
    if values.secrets.image_pull:
        pod["imagePullSecrets"] = [{"name": values.secrets.image_pull}]
    spec = {
        "cluster": {"name": cluster_name(shard.name)},
        "type": "rw",
        "instances": bouncer.instances,
        "pgbouncer": {
            "image": bouncer.image,
            "poolMode": "transaction",
            "parameters": pgbouncer_parameters(bouncer.connections, bouncer.instances),
        },
        "template": {"metadata": {"labels": found_by}, "spec": pod},
    }
    return manifest(values, "postgresql.cnpg.io/v1", "Pooler", pooler_name(shard.name), found_by, spec=spec)


def _pooler_disruptions(values: Values, shard: Shard) -> Manifest:
    # The operator makes those of its PostgreSQLs itself.
    found_by = shard_labels("pgbouncer", shard.name)
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": found_by}}
    return manifest(values, "policy/v1", "PodDisruptionBudget", pooler_name(shard.name), found_by, spec=spec)
