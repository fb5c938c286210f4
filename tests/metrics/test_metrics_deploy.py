"""What deploy/ ships for Prometheus and Grafana, checked by promtool and run on a real Prometheus."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import combinations, pairwise

import pytest

from .scraping import DEPLOY, config, scraping, wait_for

DASHBOARD = json.loads((DEPLOY / "grafana" / "queuetick.json").read_text())
RULES = (DEPLOY / "prometheus" / "queuetick.rules.yml").read_text()
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [
    (panel["title"], target["expr"], target["legendFormat"])
    for panel in PANELS
    for target in panel["targets"]
]


def faster(rules: str) -> str:
    """The shipped rules in seconds: minutes become 2 s, the look back 3 s; more than 20 waiting become more than 0."""
    rules = re.sub(r"for: \d+[ms]", "for: 2s", rules).replace("[1m]", "[3s]")
    assert "waiting:sum > 20" in rules
    return rules.replace("waiting:sum > 20", "waiting:sum > 0").replace("_seconds + 15", "_seconds + 3")


@pytest.mark.parametrize(
    "command",
    [("check", "config", "prometheus.yml"), ("test", "rules", "queuetick.rules.test.yml")],
    ids=["the configuration holds", "each alert fires and does not fire"],
)
def test_promtool_agrees(command, promtool) -> None:
    done = subprocess.run(
        [promtool, *command], cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_unit_test_a_severity_and_a_place_in_the_docs() -> None:
    alerts = re.findall(r"- alert: (\w+)", RULES)
    tests = (DEPLOY / "prometheus" / "queuetick.rules.test.yml").read_text()
    docs = (DEPLOY.parent / "docs" / "metrics.md").read_text()
    assert len(alerts) == RULES.count("severity: ") == len(set(alerts))
    for alert in alerts:
        assert re.search(rf"alertname: {alert}\s+eval_time: \S+\s+exp_alerts:\n", tests), (
            f"{alert} is not shown to fire"
        )
        assert f"| `{alert}`" in docs


@pytest.mark.slow
def test_alerts_fire_and_resolve_in_a_real_prometheus(start, simulator, tmp_path) -> None:
    daemon = start(config(interval=1, more="[queues]\nrefresh = 2\n"))
    with scraping(daemon, tmp_path / "prometheus", faster) as prometheus:
        wait_for(
            lambda: "firing" in prometheus.alerts("GenesysQueueWaitingHigh"), "a queue over the threshold", 30
        )
        # Its queue is deleted: the series vanishes, and with it the alert, however high the last value was.
        firing = next(
            alert["labels"]["queue_id"]
            for alert in prometheus.ask("alerts")["alerts"]
            if alert["labels"]["alertname"] == "GenesysQueueWaitingHigh" and alert["state"] == "firing"
        )
        simulator.remove_queue(firing)
        wait_for(lambda: not prometheus.alerts("GenesysQueueWaitingHigh", queue_id=firing), "it resolves", 30)
        assert prometheus.query(f'genesys_queue_waiting{{queue_id="{firing}"}}') == []

        outage = ("QueuetickApiLost", "QueuetickStale")
        assert [[], []] == [prometheus.alerts(name) for name in outage]
        simulator.set_faults(status={503: 1.0})
        wait_for(
            lambda: [["firing"]] * 2 == [prometheus.alerts(name) for name in outage], "an outage fires", 60
        )
        wait_for(
            lambda: not prometheus.alerts("GenesysQueueWaitingHigh"), "no queue alerts on frozen values", 30
        )
        simulator.set_faults(status={})
        wait_for(lambda: [[], []] == [prometheus.alerts(name) for name in outage], "it resolves", 60)

        simulator.set_faults(login_status={401: 1.0})
        simulator.revoke_tokens()
        wait_for(
            lambda: prometheus.alerts("QueuetickCredentialsRefused") == ["firing"], "credentials refused", 60
        )

        daemon.stop()
        wait_for(lambda: prometheus.alerts("QueuetickDown") == ["firing"], "the daemon is gone", 30)
        assert prometheus.alerts("QueuetickAbsent") == []


@pytest.mark.slow
def test_every_query_of_the_dashboard_answers_in_a_real_prometheus(start, tmp_path) -> None:
    """With the defaults of its variables, none is empty, and each legend names labels that the answer has."""
    daemon = start(config())
    with scraping(daemon, tmp_path / "prometheus") as prometheus:
        wait_for(
            lambda: (
                prometheus.query("increase(queuetick_cycles_total[5s])")
                and prometheus.query("genesys_queue_longest_wait_seconds")
            ),
            "two scrapes",
            30,
        )
        for title, expression, legend in QUERIES:
            filled = filled_in(expression)
            assert "$" not in filled, filled
            answer = wait_for(lambda filled=filled: prometheus.query(filled), f"{title}: {filled}", 15)
            for label in re.findall(r"{{(\w+)}}", legend):
                assert any(label in series["metric"] for series in answer), f"{title}: {label} in {filled}"
        for variable in DASHBOARD["templating"]["list"]:
            if variable["type"] == "query":
                found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
                answer = prometheus.query(filled_in(found[1]))
                assert any(found[2] in series["metric"] for series in answer), variable["name"]
        [chosen] = {
            series["metric"]["queue_name"] for series in prometheus.query("topk(1, genesys_queue_waiting)")
        }
        first = PANELS[0]["targets"][0]["expr"].replace("$queue", as_grafana_escapes(chosen))
        assert prometheus.query(filled_in(first)), "a queue can be chosen by its name"
        assert {"Worst queues", "Versions"} == {
            panel["title"] for panel in PANELS if panel["type"] == "table"
        }
        assert 20 == len(prometheus.query(filled_in(worst_queues()[0])))


def filled_in(expression: str) -> str:
    for variable, value in {
        "$__rate_interval": "30s",
        "$instance": ".*",
        "$division": ".*",
        "$queue": ".*",
    }.items():
        expression = expression.replace(variable, value)
    return expression


def as_grafana_escapes(value: str) -> str:
    """The value of a variable that may have several, as the Prometheus data source writes it into a query."""
    return re.sub(r"[$^*{}\[\]'+?.()|]", r"\\\\\g<0>", value.replace("\\", "\\" * 4))


def worst_queues() -> list[str]:
    [panel] = [panel for panel in PANELS if panel["title"] == "Worst queues"]
    return [target["expr"] for target in panel["targets"]]


def test_dashboard_panels_lie_beside_each_other_and_have_ids_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    assert len(panels) == len({panel["id"] for panel in panels})
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    assert all(above["gridPos"]["y"] <= below["gridPos"]["y"] for above, below in pairwise(panels))


def test_dashboard_names_no_data_source_of_ours() -> None:
    """It is imported elsewhere: each panel takes the one that is chosen."""
    assert {"${datasource}"} == {panel["datasource"]["uid"] for panel in PANELS}
    assert "id" not in DASHBOARD
