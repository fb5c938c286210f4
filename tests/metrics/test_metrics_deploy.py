"""What deploy/ ships for Prometheus and Grafana, checked by promtool and run on a real Prometheus."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import combinations, pairwise

import pytest

from queuetick.metrics.pages import Pages
from queuetick.metrics.server import Listener, bind

from .certificates import Authority
from .recorded import IN_FORCE, SNAPSHOT, STATS, Recorded, replace
from .scraping import DEPLOY, config, scraping, wait_for

DASHBOARD = json.loads((DEPLOY / "grafana" / "queuetick.json").read_text())
RULES = (DEPLOY / "prometheus" / "queuetick.rules.yml").read_text()
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [
    (panel["title"], target["expr"], target["legendFormat"])
    for panel in PANELS
    for target in panel["targets"]
]


OPERATIONS = (DEPLOY.parent / "docs" / "operations.md").read_text()
ALERTS = re.findall(r"- alert: (\w+)", RULES)


def faster(rules: str) -> str:
    """The shipped rules in seconds: minutes become 2 s, the look back 3 s."""
    return re.sub(r"for: \d+[ms]", "for: 2s", rules).replace("[1m]", "[3s]")


@pytest.mark.parametrize(
    "command",
    [("check", "config", "prometheus.yml"), ("test", "rules", "queuetick.rules.test.yml")],
    ids=["the configuration holds", "a night, an outage, a deleted queue, a hot pair and each alert"],
)
def test_promtool_agrees(command, promtool) -> None:
    done = subprocess.run(
        [promtool, *command], cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_unit_test_a_severity_and_a_row_in_the_runbook() -> None:
    tests = (DEPLOY / "prometheus" / "queuetick.rules.test.yml").read_text()
    assert len(ALERTS) == RULES.count("severity: ") == len(set(ALERTS))
    for alert in ALERTS:
        assert re.search(rf'alertname(=\\?"|: ){alert}\b', tests), f"{alert} is not shown to fire"
        assert f"| `{alert}` |" in OPERATIONS


def test_every_alert_links_to_a_heading_of_the_runbook() -> None:
    links = re.findall(r"runbook_url: https://queuetick.example/docs/operations.md#([\w-]+)\n", RULES)
    headings = re.findall(r"^#+ (.+)$", OPERATIONS, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert len(ALERTS) == len(links)
    assert set(links) <= anchors


def test_the_rules_have_no_limit_of_their_own() -> None:
    """How long a contact may wait is in config.toml and in the queue's own target, and nowhere else."""
    expressions = re.findall(r"expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)", RULES)
    queues = [one or other for one, other in expressions if "genesys" in (one or other)]
    numbers = {number for expression in queues for number in re.findall(r"(?:[<>]=?|==) (\d+)", expression)}
    assert {"0", "2", "3", "20"} == numbers, "nobody, severities, and the contacts that make a ratio"
    assert "longest_wait" not in "".join(queues)


def test_inhibition_names_alerts_that_exist_and_labels_that_they_have() -> None:
    text = (DEPLOY / "prometheus" / "alertmanager.yml").read_text()
    for pattern in re.findall(r'alertname=~?"([^"]+)"', text):
        for one in pattern.split("|"):
            assert any(re.fullmatch(one, alert) for alert in ALERTS), one
    assert {"job", "org", "queue_id"} == {
        label for labels in re.findall(r"equal: \[ (.*) \]", text) for label in labels.split(", ")
    }


EVERYTHING = """[genesys]
org = "emea"
[stats]
enabled = true
every = 15
[[thresholds]]
longest_wait = [20, 60]
"""
BUSY = """[queues]
refresh = 2
[[thresholds]]
waiting = 1
"""


@pytest.mark.slow
def test_alerts_fire_and_resolve_in_a_real_prometheus(start, simulator, tmp_path) -> None:
    """From a threshold of config.toml to the alert, and an outage that pages once."""
    daemon = start(config(interval=1, more=BUSY))
    critical = (
        "QueuetickNotPolling",
        "QueuetickDown",
        "QueuetickCredentialsRefused",
        "QueuetickPermissionMissing",
    )
    with scraping(daemon, tmp_path / "prometheus", faster) as prometheus:

        def paging() -> list[str]:
            return [name for name in critical if "firing" in prometheus.alerts(name)]

        wait_for(lambda: "firing" in prometheus.alerts("GenesysQueueCritical"), "a queue over the limit", 30)
        # Its queue is deleted: the series vanishes, and with it the alert, however high the last value was.
        firing = next(
            alert["labels"]["queue_id"]
            for alert in prometheus.ask("alerts")["alerts"]
            if alert["labels"]["alertname"] == "GenesysQueueCritical" and alert["state"] == "firing"
        )
        simulator.remove_queue(firing)
        wait_for(lambda: not prometheus.alerts("GenesysQueueCritical", queue_id=firing), "it resolves", 30)
        assert prometheus.query(f'genesys_queue_waiting{{queue_id="{firing}"}}') == []

        assert paging() == []
        simulator.set_faults(status={503: 1.0})
        wait_for(lambda: paging() == ["QueuetickNotPolling"], "an outage fires, once", 60)
        wait_for(
            lambda: not prometheus.alerts("GenesysQueueCritical"), "no queue alerts on frozen values", 30
        )
        simulator.set_faults(status={})
        wait_for(lambda: paging() == [], "it resolves", 60)

        simulator.set_faults(login_status={401: 1.0})
        simulator.revoke_tokens()
        wait_for(
            lambda: paging() == ["QueuetickCredentialsRefused"], "credentials refused, and nothing else", 60
        )

        daemon.stop()
        wait_for(lambda: paging() == ["QueuetickDown"], "the daemon is gone", 30)
        assert prometheus.alerts("QueuetickAbsent") == []


@pytest.mark.slow
def test_a_real_prometheus_scrapes_over_tls_with_a_client_certificate(start, tmp_path) -> None:
    """With the lines on https that the shipped prometheus.yml has as a comment."""
    authority = Authority(tmp_path, "authority")
    (cert, key), (scraper, scraper_key) = authority.sign("server"), authority.sign("scraper")
    daemon = start(
        config(more=f'tls_cert = "{cert}"\ntls_key = "{key}"\ntls_client_ca = "{authority.cert}"\n')
    )
    tls = {"ca.pem": str(authority.cert), "scraper.pem": scraper, "scraper.key": scraper_key}
    with scraping(daemon, tmp_path / "prometheus", tls=tls) as prometheus:
        wait_for(lambda: prometheus.query("genesys_queue_waiting"), "numbers of queues")


@contextlib.contextmanager
def second_org() -> Iterator[str]:
    """Metrics of another organisation, with numbers of the day."""
    recorded = Recorded(replace(IN_FORCE, org="apac", stats_every=60.0))
    recorded(SNAPSHOT, STATS)
    pages = Pages(recorded.metrics, monotonic=time.monotonic, mask=str)
    listener = Listener("127.0.0.1:0", bind("127.0.0.1:0"), pages, None)
    listener.start()
    with contextlib.closing(listener):
        yield listener.url


@pytest.mark.slow
def test_every_query_of_the_dashboard_answers_in_a_real_prometheus(start, tmp_path) -> None:
    """With the defaults of its variables, none is empty, and each legend names labels that the answer has.

    What a panel leaves out while it is 0 (`> 0`) is asked for without that.
    """
    daemon = start(config(more=EVERYTHING))
    with second_org() as url, scraping(daemon, tmp_path / "prometheus", also=(url,)) as prometheus:
        wait_for(
            lambda: (
                prometheus.query("increase(queuetick_cycles_total[5s])")
                and prometheus.query("genesys_queue_longest_wait_seconds")
                and prometheus.query("genesys_queue_today_service_level_ratio")
            ),
            "two scrapes",
            30,
        )
        for title, expression, legend in QUERIES:
            filled = filled_in(expression).removesuffix(" > 0")
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
        assert {"Worst queues", "Service level today", "Versions"} == {
            panel["title"] for panel in PANELS if panel["type"] == "table"
        }
        orgs = prometheus.query("count by (org) (queuetick_build_info)")
        assert {"emea", "apac"} == {series["metric"]["org"] for series in orgs}, "kept apart"
        assert 20 == len(prometheus.query(filled_in(worst_queues()[0])))


def filled_in(expression: str) -> str:
    for variable, value in {
        "$__rate_interval": "30s",
        "$instance": ".*",
        "$org": ".*",
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


@pytest.mark.slow
def test_every_panel_shows_something_of_a_troubled_hour(promtool, tmp_path) -> None:
    """The picture of docs/metrics.md: an hour of scrapes in a real Prometheus, each panel drawn from its queries."""
    picture = tmp_path / "dashboard.png"
    draw = [sys.executable, DEPLOY.parent / "docs" / "dashboard.py", picture]
    done = subprocess.run(draw, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    assert picture.read_bytes().startswith(b"\x89PNG")


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
