"""What Pods of the service's image have in common: settings, secrets, and how they are confined."""

from __future__ import annotations

import json
from collections.abc import Sequence

from infra.kubernetes import valkey
from infra.kubernetes.manifest import (
    API_PORT,
    CONTAINER_SECURITY,
    VALKEY_PORT,
    Manifest,
    from_secret,
    pod_security,
)
from infra.kubernetes.shard import direct_url, pooled_url
from infra.kubernetes.values import Values

_KEYS = "/run/secrets/shardboard"
# The image's.
_USER = 10001


def make_pod(values: Values, containers: Sequence[Manifest], **more: object) -> Manifest:
    """A Pod with these containers, the keys mounted into it."""
    keys = {"secretName": values.secrets.keys, "defaultMode": 0o440}
    pod: Manifest = {
        "automountServiceAccountToken": False,
        # Kubernetes would set SHARDBOARD_PORT, and other variables that look like settings, for each Service.
        "enableServiceLinks": False,
        "securityContext": pod_security(_USER),
        "containers": list(containers),
        "volumes": [{"name": "keys", "secret": keys}, {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
        **more,
    }
    if values.secrets.image_pull:
        pod["imagePullSecrets"] = [{"name": values.secrets.image_pull}]
    return pod


def make_container(values: Values, name: str, *, owner: bool, **more: object) -> Manifest:
    """A container of the service's image.

    Args:
        owner: whether it knows the password of who owns the tables. What serves does not.
    """
    return {
        "name": name,
        "image": values.image,
        "env": _variables(values, owner=owner),
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [
            {"name": "keys", "mountPath": _KEYS, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
        **more,
    }


def _variables(values: Values, *, owner: bool) -> list[Manifest]:
    """The settings. Passwords come from Secrets by `$(NAME)`, which Kubernetes fills in, and have to stand before."""
    secrets = values.secrets
    passwords = [
        {"name": "SERVICE_PASSWORD", "valueFrom": from_secret(secrets.service, "password")},
        {"name": "VALKEY_PASSWORD", "valueFrom": from_secret(secrets.valkey, "password")},
    ]
    if owner:
        passwords.append({"name": "OWNER_PASSWORD", "valueFrom": from_secret(secrets.owner, "password")})
    networks = values.monitoring.networks if values.monitoring is not None else []
    settings = {
        "SHARDBOARD_SHARDS": json.dumps(_shards(values, owner=owner)),
        "SHARDBOARD_REDIS_URL": f"redis://:$(VALKEY_PASSWORD)@{valkey.NAME}:{VALKEY_PORT}/0",
        "SHARDBOARD_HOST": "0.0.0.0",
        "SHARDBOARD_PORT": str(API_PORT),
        "SHARDBOARD_SERVER_KEY_FILE": f"{_KEYS}/server-key",
        "SHARDBOARD_ADMIN_KEY_FILE": f"{_KEYS}/admin-key",
        "SHARDBOARD_PRODUCTION": "true",
        "SHARDBOARD_TRUSTED_PROXIES": json.dumps([str(network) for network in values.api.trusted_proxies]),
    }
    if networks:
        settings["SHARDBOARD_METRICS_NETWORKS"] = json.dumps([str(network) for network in networks])
    settings |= values.api.settings
    return [*passwords, *({"name": name, "value": value} for name, value in settings.items())]


def _shards(values: Values, *, owner: bool) -> list[dict[str, str]]:
    """Those of the first installation; they know those that were added."""
    return [
        {"name": shard.name, "url": pooled_url(shard.name, "$(SERVICE_PASSWORD)")}
        | ({"direct_url": direct_url(shard.name, "$(OWNER_PASSWORD)")} if owner else {})
        for shard in values.shards
        if not shard.added
    ]
