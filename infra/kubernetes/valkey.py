"""Valkey: one, with its data on a volume. It may be away for a while, so one is enough."""

from __future__ import annotations

from pathlib import Path

from infra.kubernetes.manifest import (
    CONTAINER_SECURITY,
    VALKEY_METRICS_PORT,
    VALKEY_PORT,
    Manifest,
    from_secret,
    labels,
    manifest,
    pod_security,
    resources,
)
from infra.kubernetes.quantity import mebibytes
from infra.kubernetes.values import Values

NAME = "shardboard-valkey"
_SCRIPT = Path(__file__).parents[1] / "compose" / "valkey.sh"
_SECRETS = "/run/secrets/valkey"
# The user `valkey` of the image, and the exporter's.
_USER = 999
_EXPORTER_USER = 59000


def make_valkey(values: Values) -> list[Manifest]:
    """The script that starts it, the Service, and the StatefulSet."""
    found_by = labels("valkey")
    script = {"start.sh": _SCRIPT.read_text(encoding="utf-8")}
    ports = [{"name": "valkey", "port": VALKEY_PORT, "targetPort": "valkey"}]
    service = {"clusterIP": "None", "selector": found_by, "ports": ports}
    return [
        manifest(values, "v1", "ConfigMap", NAME, found_by, data=script),
        manifest(values, "v1", "Service", NAME, found_by, spec=service),
        manifest(values, "apps/v1", "StatefulSet", NAME, found_by, spec=_stateful_set(values, found_by)),
    ]


def _stateful_set(values: Values, found_by: dict[str, str]) -> Manifest:
    containers = [_container(values)]
    if values.monitoring is not None:
        containers.append(_exporter(values))
    pod: Manifest = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(_USER),
        "terminationGracePeriodSeconds": 30,
        "containers": containers,
        "volumes": [
            {"name": "script", "configMap": {"name": NAME}},
            {"name": "secret", "secret": {"secretName": values.secrets.valkey, "defaultMode": 0o440}},
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
        ],
    }
    if values.secrets.image_pull:
        pod["imagePullSecrets"] = [{"name": values.secrets.image_pull}]
    claim: Manifest = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": values.valkey.storage}}}
    if values.storage_class:
        claim["storageClassName"] = values.storage_class
    return {
        "serviceName": NAME,
        "replicas": 1,
        "selector": {"matchLabels": found_by},
        "template": {"metadata": {"labels": found_by}, "spec": pod},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
    }


def _container(values: Values) -> Manifest:
    ping = {"exec": {"command": ["/bin/sh", "-c", f'REDISCLI_AUTH="$(cat {_SECRETS}/password)" valkey-cli ping']}}
    alive = {"tcpSocket": {"port": "valkey"}, "periodSeconds": 10, "failureThreshold": 6}
    # Writing its log anew takes a copy of what changes meanwhile. When full it says so, instead of being killed.
    most = f"{mebibytes(values.valkey.memory) * 7 // 10}mb"
    variables = [
        {"name": "VALKEY_PASSWORD_FILE", "value": f"{_SECRETS}/password"},
        {"name": "VALKEY_MAXMEMORY", "value": most},
    ]
    if values.monitoring is not None:
        variables.append({"name": "MONITOR_PASSWORD_FILE", "value": f"{_SECRETS}/monitor-password"})
    return {
        "name": "valkey",
        "image": values.valkey.image,
        "command": ["/bin/sh", "/etc/shardboard/start.sh"],
        "env": variables,
        "ports": [{"name": "valkey", "containerPort": VALKEY_PORT}],
        # Reading its log back after a start takes a while; it accepts connections, and answers LOADING.
        "startupProbe": {"tcpSocket": {"port": "valkey"}, "periodSeconds": 2, "failureThreshold": 60},
        "livenessProbe": alive,
        "readinessProbe": {**ping, "periodSeconds": 5, "timeoutSeconds": 3},
        "resources": resources(values.valkey.cpu, values.valkey.memory),
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "script", "mountPath": "/etc/shardboard", "readOnly": True},
            {"name": "secret", "mountPath": _SECRETS, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def _exporter(values: Values) -> Manifest:
    return {
        "name": "exporter",
        "image": values.valkey.exporter_image,
        "env": [
            {"name": "REDIS_ADDR", "value": f"redis://127.0.0.1:{VALKEY_PORT}"},
            {"name": "REDIS_USER", "value": "shardboard_monitor"},
            {"name": "REDIS_PASSWORD", "valueFrom": from_secret(values.secrets.valkey, "monitor-password")},
            # It may not: CONFIG GET shows passwords, too.
            {"name": "REDIS_EXPORTER_CONFIG_COMMAND", "value": "-"},
        ],
        "ports": [{"name": "metrics", "containerPort": VALKEY_METRICS_PORT}],
        "resources": resources("50m", "64Mi"),
        "securityContext": CONTAINER_SECURITY | {"runAsUser": _EXPORTER_USER, "runAsGroup": _EXPORTER_USER},
    }
