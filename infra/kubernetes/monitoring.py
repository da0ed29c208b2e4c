"""For the Prometheus Operator: what is scraped, under the names that infra/prometheus and infra/grafana ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from infra.kubernetes.manifest import Manifest, labels, manifest
from infra.kubernetes.quantity import cores
from infra.kubernetes.shard import QUERIES
from infra.kubernetes.values import Monitoring, Values

_HERE = Path(__file__).parent
_RULES = _HERE.parent / "prometheus" / "rules"
_API = "monitoring.coreos.com/v1"
_SHARD: Manifest = {"sourceLabels": ["__meta_kubernetes_pod_label_app_kubernetes_io_instance"], "targetLabel": "shard"}


def make_monitoring(values: Values, monitoring: Monitoring) -> list[Manifest]:
    """Queries for CloudNativePG's exporter, what to scrape, and the alert rules."""
    queries = (_HERE / "queries.yaml").read_text(encoding="utf-8")
    # CloudNativePG reads it again when it changes.
    reloaded = {"cnpg.io/reload": ""}
    return [
        manifest(values, "v1", "ConfigMap", QUERIES, labels("postgres") | reloaded, data={"queries": queries}),
        _scrape(values, monitoring, "api", "http", job="shardboard"),
        _scrape(values, monitoring, "postgres", "metrics", job="postgres", renamed=_POSTGRES_NAMES),
        _scrape(values, monitoring, "pgbouncer", "metrics", job="pgbouncer", renamed=_PGBOUNCER_NAMES),
        _scrape(values, monitoring, "valkey", "metrics", job="redis"),
        manifest(
            *(values, _API, "PrometheusRule", "shardboard", labels("monitoring") | monitoring.labels),
            spec={"groups": _rules(values)},
        ),
    ]


def _rules(values: Values) -> list[Manifest]:
    """Those of infra/prometheus, which leave it to who deploys to say how many cores the smallest database has."""
    groups: list[Manifest] = [
        group
        for path in sorted(_RULES.glob("*.yml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    ]
    smallest = min(cores(shard.cpu or values.postgres.cpu) for shard in values.shards)
    for rule in (rule for group in groups for rule in group["rules"]):
        if rule.get("record") == "shardboard:database_cores":
            rule["expr"] = f"vector({smallest:g})"
    return groups


# CloudNativePG's names of what the exporters beside docker-compose.yml call otherwise. Its default queries have some;
# the others are those of queries.yaml.
_POSTGRES_NAMES = {
    "cnpg_collector_up": "pg_up",
    # A column cannot be label and value under one name.
    "cnpg_shardboard_(pg_.+?)(_now)?": "$1",
    "cnpg_(pg_database_size_bytes|pg_replication_slots_pg_wal_lsn_diff)": "$1",
}
_PGBOUNCER_NAMES = {
    "cnpg_pgbouncer_up": "pgbouncer_up",
    "cnpg_pgbouncer_pools_cl_waiting": "pgbouncer_pools_client_waiting_connections",
}


def _scrape(
    values: Values,
    monitoring: Monitoring,
    component: str,
    port: str,
    *,
    job: str,
    renamed: dict[str, str] | None = None,
) -> Manifest:
    endpoint: dict[str, Any] = {
        "port": port,
        "path": "/metrics",
        "interval": "15s",
        "relabelings": [{"targetLabel": "job", "replacement": job}, *([_SHARD] if renamed else [])],
    }
    if renamed:
        endpoint["metricRelabelings"] = [
            {"sourceLabels": ["__name__"], "regex": regex, "targetLabel": "__name__", "replacement": name}
            for regex, name in renamed.items()
        ]
    spec = {"selector": {"matchLabels": labels(component)}, "podMetricsEndpoints": [endpoint]}
    found_by = labels("monitoring") | monitoring.labels
    return manifest(values, _API, "PodMonitor", f"shardboard-{component}", found_by, spec=spec)
