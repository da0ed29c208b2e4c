"""infra/prometheus: that every alert fires when it has to and only then, and leads to a runbook."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml

from tests.monitoring.metric_names import known_series, names_in_all
from tests.monitoring.promtool import run_promtool

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "infra" / "prometheus" / "rules").glob("*.yml"))
TESTS = sorted((Path(__file__).parent / "rules").glob("*.yml"))


def read_rules() -> list[dict[str, Any]]:
    return [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in read_rules() if "alert" in rule}


def test_prometheus_takes_the_configuration_and_every_rule(tmp_path: Path) -> None:
    # The configuration as it is mounted, with the rules at the place where they are here.
    text = (ROOT / "infra" / "prometheus" / "prometheus.yml").read_text()
    assert "/etc/prometheus/rules/*.yml" in text
    config = tmp_path / "prometheus.yml"
    config.write_text(text.replace("/etc/prometheus/rules", str(RULES[0].parent)))
    answer = run_promtool("check", "config", "--lint=all", "--lint-fatal", config)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"{len(RULES)} rule files found" in answer.stdout


def test_alerts_fire_when_they_have_to() -> None:
    answer = run_promtool("test", "rules", *TESTS)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout.count("SUCCESS") == len(TESTS) == len(RULES)


def test_every_alert_is_seen_firing_and_quiet() -> None:
    seen = defaultdict(set)
    for path in TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            # A series in which the alert never fires is another one than that in which it does.
            fires = {check["alertname"]: False for check in test["alert_rule_test"]}
            for check in test["alert_rule_test"]:
                fires[check["alertname"]] |= bool(check["exp_alerts"])
            for name, fired in fires.items():
                seen[name].add(fired)
    assert dict(seen) == {name: {True, False} for name in alerts()}


def test_every_alert_says_what_players_notice_and_where_to_read_on() -> None:
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in ("critical", "warning"), name
        told = rule["annotations"]
        assert told.keys() == {"summary", "description", "runbook"}, name
        assert re.search(r"[Pp]layer|[Nn]obody|[Ss]cores|board|[Ss]ubmi|Nothing yet", told["summary"]), name
        file, section = told["runbook"].split("#")
        headings = re.findall(r"^## (\w+)", (ROOT / file).read_text(), re.MULTILINE)
        assert section == name.lower()
        assert name in headings


def test_the_runbook_has_no_section_without_an_alert() -> None:
    text = (ROOT / "docs" / "runbooks" / "alerts.md").read_text()
    assert re.findall(r"^## (\w+)", text, re.MULTILINE) == list(alerts_by_file())


def alerts_by_file() -> list[str]:
    order = ("players", "shards", "ranks")
    paths = sorted(RULES, key=lambda path: order.index(path.stem))
    return [
        rule["alert"]
        for path in paths
        for rule in yaml.safe_load(path.read_text())["groups"][0]["rules"]
        if "alert" in rule
    ]


def test_rules_ask_for_series_that_there_are() -> None:
    recorded = {rule["record"] for rule in read_rules() if "record" in rule}
    assert names_in_all(rule["expr"] for rule in read_rules()) - recorded - known_series() == set()
    # Each recorded one is used, by an alert or on the dashboard.
    dashboard = (ROOT / "infra" / "grafana" / "dashboards" / "shardboard.json").read_text()
    used = names_in_all(rule["expr"] for rule in alerts().values())
    assert {name for name in recorded if name not in used and name not in dashboard} == set()
