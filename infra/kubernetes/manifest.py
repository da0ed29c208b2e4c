"""What all manifests have in common: names, labels, and how little their containers may do."""

from __future__ import annotations

from typing import Any

from infra.kubernetes.values import Values

Manifest = dict[str, Any]

APP = "shardboard"
OWNER = DATABASE = "shardboard"
SERVICE_ROLE = "shardboard_service"
POSTGRES_PORT = 5432
VALKEY_PORT = 6379
API_PORT = 8000
# CloudNativePG's exporters, in each PostgreSQL and each PgBouncer, and the one of Valkey.
POSTGRES_METRICS_PORT = 9187
PGBOUNCER_METRICS_PORT = 9127
VALKEY_METRICS_PORT = 9121

# As the namespace's `restricted` profile demands it.
CONTAINER_SECURITY: Manifest = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def pod_security(user: int) -> Manifest:
    """A Pod's, whose containers run as `user` and read what is mounted for its group."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def labels(component: str, **more: str) -> dict[str, str]:
    """By which the Pods of a component are found."""
    return {"app.kubernetes.io/name": APP, "app.kubernetes.io/component": component, **more}


def shard_labels(component: str, shard: str) -> dict[str, str]:
    """By which those of one shard are found."""
    return labels(component, **{"app.kubernetes.io/instance": shard})


def manifest(
    values: Values, api_version: str, kind: str, name: str, found_by: dict[str, str], **content: Any
) -> Manifest:
    """One object in the namespace."""
    metadata = {"name": name, "namespace": values.namespace, "labels": found_by}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def resources(cpu: str, memory: str) -> Manifest:
    """Asks for so much processor, of which more may be used when it is there, and memory, which is the bound."""
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}}


def from_secret(secret: str, key: str) -> Manifest:
    """The value of a variable that stands in a Secret."""
    return {"secretKeyRef": {"name": secret, "key": key}}


def spread(found_by: dict[str, str]) -> list[Manifest]:
    """Pods of a kind on different machines where there are some, and in different zones."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": found_by},
        }
        for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    ]
