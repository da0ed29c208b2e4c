"""What is scraped in Kubernetes has the names that the alert rules ask for."""

from __future__ import annotations

import re
from typing import Any

import yaml

from infra.kubernetes.values import Values
from infra.local.cluster import LocalCluster
from tests.db.shards import connected
from tests.kubernetes.manifests import everything, example, named
from tests.monitoring.metric_names import EXPORTERS, names_in_all
from tests.monitoring.test_rules import read_rules

# Of PgBouncer, and of CloudNativePG's default queries: config/manager/default-monitoring.yaml.
BY_DEFAULT = {
    "cnpg_collector_up",
    "cnpg_pg_database_size_bytes",
    "cnpg_pg_replication_slots_pg_wal_lsn_diff",
    "cnpg_pgbouncer_up",
    "cnpg_pgbouncer_pools_cl_waiting",
}


def queries() -> dict[str, Any]:
    config = named(everything(example()), "ConfigMap", "shardboard-queries")
    found: dict[str, Any] = yaml.safe_load(config["data"]["queries"])
    return found


def exported() -> set[str]:
    """Names of the series, as CloudNativePG puts them together."""
    return BY_DEFAULT | {
        f"cnpg_{query}_{column}"
        for query, said in queries().items()
        for metric in said["metrics"]
        for column, told in metric.items()
        if told["usage"] != "LABEL"
    }


def renamed(name: str) -> str:
    for component in ("postgres", "pgbouncer"):
        monitor = named(everything(example()), "PodMonitor", f"shardboard-{component}")
        for rule in monitor["spec"]["podMetricsEndpoints"][0]["metricRelabelings"]:
            if found := re.fullmatch(rule["regex"], name):
                return found.expand(rule["replacement"].replace("$", "\\"))
    return name


def test_every_series_that_a_rule_asks_for_is_there() -> None:
    asked = {name for name in names_in_all(rule["expr"] for rule in read_rules()) if name.startswith(("pg_", "pgb"))}
    scraped = {renamed(name) for name in exported()}
    assert asked - scraped == set()
    assert scraped - EXPORTERS == set()


def test_the_rules_are_those_of_prometheus_with_the_cores_of_the_smallest_shard() -> None:
    values = Values(**(example().model_dump(mode="json") | {"shards": [{"name": "a"}, {"name": "b", "cpu": "1500m"}]}))
    rule = named(everything(values), "PrometheusRule", "shardboard")
    rules = [each for group in rule["spec"]["groups"] for each in group["rules"]]
    differing = [
        (ours["expr"], theirs["expr"]) for ours, theirs in zip(rules, read_rules(), strict=True) if ours != theirs
    ]
    assert differing == [("vector(1.5)", "vector(4)")]
    assert rule["metadata"]["labels"]["release"] == "prometheus"


async def test_the_queries_answer_with_the_columns_that_are_told(clean: LocalCluster) -> None:
    async with connected(clean.shards[0].direct_url) as connection:
        slot = "select pg_create_physical_replication_slot('seen', true, true)"
        await connection.execute(slot)
        for name, said in queries().items():
            rows = await connection.fetch(said["query"])
            assert rows, name
            assert list(rows[0].keys()) == [column for metric in said["metrics"] for column in metric], name
        loads = {
            row["datname"]: row for row in await connection.fetch(queries()["shardboard_pg_stat_database"]["query"])
        }
        assert loads["shardboard"]["active_time_seconds_total"] > 0
        [found] = await connection.fetch(queries()["shardboard_pg_replication_slots"]["query"])
        assert (found["slot_name"], found["wal_status"], found["wal_status_now"]) == ("seen", "reserved", 1)
