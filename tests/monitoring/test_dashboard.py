"""infra/grafana: that the dashboard asks for what there is, in words that Prometheus understands."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.metric_names import SERVICE, known_series, names_in, names_in_all
from tests.monitoring.promtool import run_promtool
from tests.monitoring.test_rules import ROOT, read_rules

GRAFANA = ROOT / "infra" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "shardboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def filled_in(expression: str) -> str:
    """As Grafana sends it."""
    return expression.replace("$__rate_interval", "1m").replace("$shard", "shard1|shard2")


def expressions() -> list[str]:
    asked = [target["expr"] for panel in PANELS for target in panel["targets"]]
    noted = [note["expr"] for note in DASHBOARD["annotations"]["list"] if "expr" in note]
    return [filled_in(expression) for expression in asked + noted]


def test_it_answers_three_questions_in_order() -> None:
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == ["Are players happy?", "Which shard is in trouble?", "What does Redis lag?"]


def test_prometheus_understands_every_expression(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(expressions())]
    file = tmp_path / "expressions.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    answer = run_promtool("check", "rules", "--lint=none", file)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"{len(rules)} rules found" in answer.stdout


def test_it_asks_for_series_that_there_are() -> None:
    recorded = {rule["record"] for rule in read_rules() if "record" in rule}
    assert names_in_all(expressions()) - recorded - known_series() == set()


def test_everything_that_the_service_measures_is_shown() -> None:
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names_in_all(expressions())}
    # Whether a replica is used is an alert; that of one that is not reads as late.
    assert SERVICE.keys() - shown == {"shardboard_replica_used"}


def test_the_shard_that_is_chosen_is_the_shard_that_is_shown() -> None:
    [variable] = DASHBOARD["templating"]["list"]
    assert variable["query"]["query"] == "label_values(shardboard_shard_up, shard)"
    inside = False
    for panel in DASHBOARD["panels"]:
        if panel["type"] == "row":
            inside = panel["title"] == "Which shard is in trouble?"
        elif inside and panel["title"] != "Moves of players between shards":
            assert 'shard=~"$shard"' in panel["targets"][0]["expr"], panel["title"]


def test_every_panel_is_explained_has_a_unit_and_the_source_that_is_provisioned() -> None:
    source = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())
    uid = source["datasources"][0]["uid"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in PANELS:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"], panel["title"]
        assert panel["datasource"]["uid"] == uid, panel["title"]
        assert all(target["datasource"]["uid"] == uid for target in panel["targets"]), panel["title"]


def test_no_panel_lies_over_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_links_lead_to_runbooks() -> None:
    text = json.dumps(DASHBOARD)
    links = re.findall(r'"url": "/public/runbooks/([\w-]+\.md)(?:#(\w+))?"', text)
    assert text.count('"url"') == len(links) > 20
    alerts = {rule["alert"].lower() for rule in read_rules() if "alert" in rule}
    assert {section for _, section in links if section} <= alerts
    missing = {file for file, _ in links if not (ROOT / "docs" / "runbooks" / file).is_file()}
    assert missing == set()


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('sum by (shard) (rate(a_total{shard=~"b_c"}[$__rate_interval]))', {"a_total"}),
        ("x:y / on() group_left() (0.8 * z) or vector(0)", {"x:y", "z"}),
        ('histogram_quantile(0.99, sum by (le) (rate(a_bucket{b!~"c|d"}[5m]))) > 1e3', {"a_bucket"}),
    ],
)
def test_names_are_found(expression: str, names: set[str]) -> None:
    assert names_in(expression) == names
