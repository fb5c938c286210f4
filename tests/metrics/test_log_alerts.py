"""The alerts on the lines, deploy/alerts. No Loki, Kibana or Splunk can be had here: none of them has been run.

Tested is what needs no engine: LogQL by Grafana's own grammar, and that each names what the shippers' configs send.
"""

from __future__ import annotations

import configparser
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from support.npm import node_modules

from .scraping import DEPLOY

ALERTS = DEPLOY / "alerts"
SHIPPERS = DEPLOY / "shippers"
LOKI = [
    rule
    for group in yaml.safe_load((ALERTS / "loki.rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
LOGQL = Path(__file__).with_name("logql.mjs")


@pytest.mark.node
def test_loki_rules_are_logql() -> None:
    modules = node_modules("@grafana/lezer-logql", "0.4.2", pytest.skip)
    broken = LOKI[0]["expr"].replace("}", "")
    queries = [*(rule["expr"] for rule in LOKI), broken]

    done = subprocess.run(
        ["node", LOGQL, modules], input=json.dumps(queries), capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    *ours, of_the_broken = json.loads(done.stdout)
    assert ours == [[]] * len(LOKI)
    assert of_the_broken, "the grammar finds errors"


def test_loki_rules_select_by_labels_that_the_shippers_set() -> None:
    stages = yaml.safe_load((SHIPPERS / "promtail" / "queuetick.yaml").read_text())["scrape_configs"][0]
    [labels] = [stage["labels"] for stage in stages["pipeline_stages"] if "labels" in stage]
    for rule in LOKI:
        [selector] = re.findall(r"\{([^}]*)\}", rule["expr"])
        assert set(re.findall(r"(\w+)=", selector)) <= {"job", *labels}
        assert rule["labels"]["severity"] == "critical"


def test_kibana_rule_asks_for_fields_that_filebeat_sends() -> None:
    rule = json.loads((ALERTS / "kibana.json").read_text())
    filebeat = (SHIPPERS / "filebeat" / "queuetick.yml").read_text()
    query = rule["params"]["esqlQuery"]["esql"]
    assert (".es-query", "esqlQuery", [0], ">") == (
        rule["rule_type_id"], *(rule["params"][key] for key in ("searchType", "threshold", "thresholdComparator"))
    )  # fmt: skip
    assert 'index: "queuetick-%' in filebeat
    assert "FROM queuetick-*" in query
    assert "to: event.action" in filebeat
    assert "target: queuetick\n" in filebeat
    assert {"event.action", "queuetick.org"} == set(re.findall(r"\b(?:event|queuetick)\.\w+", query))


def test_splunk_alerts_search_the_source_type_that_the_forwarder_sends() -> None:
    alerts, inputs = configparser.RawConfigParser(), configparser.RawConfigParser()
    alerts.read_string((ALERTS / "savedsearches.conf").read_text())
    inputs.read_string((SHIPPERS / "splunk" / "inputs.conf").read_text())
    sent = {inputs[section]["sourcetype"] for section in inputs.sections()}
    assert len(alerts.sections()) == 2
    for name in alerts.sections():
        assert {re.search(r'sourcetype="([^"]+)"', alerts[name]["search"])[1]} == sent
        assert ("* * * * *", "1", "0") == tuple(
            alerts[name][key] for key in ("cron_schedule", "enablesched", "quantity")
        )


def test_the_page_shows_the_same_rules_and_says_that_none_was_run() -> None:
    page = (DEPLOY.parent / "docs" / "metrics.md").read_text()
    for name in ("loki.rules.yml", "kibana.json", "savedsearches.conf"):
        assert f"(../deploy/alerts/{name})" in page
    assert all(rule["expr"] in page for rule in LOKI)
    esql = json.loads((ALERTS / "kibana.json").read_text())["params"]["esqlQuery"]["esql"]
    assert esql in page.replace("\n|", " |")
