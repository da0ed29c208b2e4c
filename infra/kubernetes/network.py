"""Who may speak to whom. By component, not by shard: another shard changes none of them."""

from __future__ import annotations

from collections.abc import Sequence

from infra.kubernetes.manifest import (
    API_PORT,
    APP,
    PGBOUNCER_METRICS_PORT,
    POSTGRES_METRICS_PORT,
    POSTGRES_PORT,
    VALKEY_METRICS_PORT,
    VALKEY_PORT,
    Manifest,
    labels,
    manifest,
)
from infra.kubernetes.values import Values

# Where instances and the operator ask a PostgreSQL's Pod how it is.
_STATUS_PORT = 8000


def make_policies(values: Values) -> list[Manifest]:
    """What each component lets in. What is not said is refused."""
    operator = _namespace(values.operator_namespace)
    postgres_itself = {"podSelector": {"matchExpressions": [{"key": "cnpg.io/cluster", "operator": "Exists"}]}}
    return [
        # The settings' networks and keys say who is who; players come from everywhere.
        _policy(values, "api", [_rule([], [API_PORT])]),
        _policy(
            values,
            "postgres",
            [
                _rule([_components("pgbouncer", "migrate", "operator")], [POSTGRES_PORT]),
                # Standbys follow their primary, and a shard follows another while players move.
                _rule([postgres_itself, operator], [POSTGRES_PORT, _STATUS_PORT]),
                *_scraped(values, POSTGRES_METRICS_PORT),
            ],
        ),
        _policy(
            values,
            "pgbouncer",
            [
                _rule([_components("api", "migrate", "operator")], [POSTGRES_PORT]),
                *_scraped(values, PGBOUNCER_METRICS_PORT),
            ],
        ),
        _policy(
            values,
            "valkey",
            [_rule([_components("api", "migrate", "operator")], [VALKEY_PORT]), *_scraped(values, VALKEY_METRICS_PORT)],
            # It answers and never asks.
            egress=[],
        ),
        _policy(values, "migrate", []),
        _policy(values, "operator", []),
    ]


def _policy(
    values: Values, component: str, ingress: Sequence[Manifest], egress: Sequence[Manifest] | None = None
) -> Manifest:
    spec: Manifest = {
        "podSelector": {"matchLabels": labels(component)},
        "policyTypes": ["Ingress"],
        "ingress": list(ingress),
    }
    if egress is not None:
        spec |= {"policyTypes": ["Ingress", "Egress"], "egress": list(egress)}
    name = f"shardboard-{component}"
    return manifest(values, "networking.k8s.io/v1", "NetworkPolicy", name, labels(component), spec=spec)


def _rule(peers: Sequence[Manifest], ports: Sequence[int]) -> Manifest:
    rule: Manifest = {"ports": [{"protocol": "TCP", "port": port} for port in ports]}
    return rule | ({"from": list(peers)} if peers else {})


def _components(*names: str) -> Manifest:
    is_one = {"key": "app.kubernetes.io/component", "operator": "In", "values": list(names)}
    return {"podSelector": {"matchLabels": {"app.kubernetes.io/name": APP}, "matchExpressions": [is_one]}}


def _namespace(name: str) -> Manifest:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _scraped(values: Values, port: int) -> list[Manifest]:
    return [] if values.monitoring is None else [_rule([_namespace(values.monitoring.namespace)], [port])]
