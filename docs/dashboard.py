"""Draw each panel of deploy/grafana from a Prometheus that has scraped a busy, troubled hour: `make pictures`.

The hour is that of docs/pictures.py: the real daemon in virtual time. What its metrics page said every 15 s goes into a
real Prometheus (promtool makes its blocks), and each panel's own queries are asked there. matplotlib draws the answers.
It is not Grafana: layout, titles, queries, legends and column names are the dashboard's, the drawing is not.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter
from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "docs")]
from metrics.scraping import DEPLOY, Prometheus, free_port, get, required, wait_for
from pictures import CYCLES, troubled_hour
from queuetick.events.thresholds import Threshold
from queuetick.metrics.collector import EventMetrics
from queuetick.metrics.health import InForce
from support.virtual import World

STEP = 15
NO_GLYPHS = ("*サポート*", "請求*", "営業*")
"""Queues whose names matplotlib's own font cannot draw."""
LIMITS = (
    Threshold(names=("*Brasil*",), waiting=(8, 12)),
    Threshold(names=("*Norden",), longest_wait=(120, 240)),
)
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
OF_A_PROCESS = ("Memory", "CPU")
"""Panels about the process: this one has simulated an hour in seconds, so they say nothing."""


def scrapes() -> Iterator[tuple[float, str]]:
    """What the metrics page says, and when, at each tick of the hour."""
    world = World(
        queues=34,
        seed=11,
        hour=9.75,
        trouble=0.3,
        stats_enabled=True,
        genesys_org="emea",
        queues_exclude=NO_GLYPHS,
    )
    runner = world.cycles

    def in_force() -> InForce:
        org, poll = runner.org, world.config.poll
        return InForce(
            interval=runner.interval,
            interval_configured=float(poll.interval),
            batch_size=poll.batch_size,
            budget_used=org.limits.used,
            budget_allowed=org.limits.budget,
            budget_needed=runner.requests_per_minute().needed,
            org="emea",
            thresholds=LIMITS,
            stats_every=world.config.stats.every,
        )

    metrics = EventMetrics(in_force, monotonic=world.time.monotonic, now=world.time.now)
    world.emitter.observers.append(metrics.observe)
    pages = []

    def before(number: int) -> None:
        pages.append((world.time.now(), metrics.text().decode()))
        trouble(number)

    trouble = troubled_hour(world)
    try:
        world.run(CYCLES, before=before)
        pages.append((world.time.now(), metrics.text().decode()))
    finally:
        world.close()
    return iter(pages)


def write_open_metrics(path: Path) -> tuple[float, float]:
    """The scrapes as promtool reads them; the first and the last instant."""
    times = []
    with path.open("w", encoding="utf-8") as file:
        for at, page in scrapes():
            times.append(at)
            for name, labels, value in SAMPLE.findall(page):
                labels = ",".join(filter(None, (labels, 'job="queuetick",instance="queue1:9477"')))
                file.write(f"{name}{{{labels}}} {value} {at:.3f}\n")
        file.write("# EOF\n")
    return times[0], times[-1]


@contextmanager
def prometheus_of(directory: Path, text: Path) -> Iterator[Prometheus]:
    """A Prometheus with these samples, which scrapes nothing."""
    data, settings = directory / "data", directory / "prometheus.yml"
    blocks = [required("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)]
    subprocess.run(blocks, check=True, stdout=subprocess.DEVNULL)
    settings.write_text("{}")
    url = f"127.0.0.1:{free_port()}"
    command = [required("prometheus"), f"--config.file={settings}", f"--storage.tsdb.path={data}",
               "--storage.tsdb.retention.time=100y", f"--web.listen-address={url}", "--log.level=error"]  # fmt: skip
    process = subprocess.Popen(command)
    try:
        wait_for(lambda: _ready(f"http://{url}/-/ready"), "Prometheus is ready")
        yield Prometheus(f"http://{url}")
    finally:
        process.terminate()
        process.wait(20)


def _ready(url: str) -> bool:
    try:
        return get(url)[0] == 200
    except OSError:
        return False


def filled(expression: str) -> str:
    """The query with every variable as Grafana sets it: all, and four scrapes."""
    return re.sub(r"\$(org|instance|division|queue)\b", ".*", expression.replace("$__rate_interval", "1m"))


def human(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{value:.0%}"
    if unit == "s" and value >= 60:
        return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"
    text = f"{value:.0f}" if value == int(value) or value >= 100 else f"{value:.2g}"
    return f"{text} s" if unit == "s" else text


class Dashboard:
    """The panels of the dashboard, on the answers of one Prometheus at the end of one hour."""

    def __init__(self, prometheus: Prometheus, start: float, end: float) -> None:
        self._prometheus = prometheus
        self._start, self._end = start, end
        self.panels = json.loads((DEPLOY / "grafana" / "queuetick.json").read_text())["panels"]
        self.empty: list[str] = []
        """Titles of panels for which no query has an answer."""

    def draw(self, path: Path) -> None:
        mpl.rcParams.update({"font.size": 7, "axes.titlesize": 8, "axes.titlelocation": "left"})
        panels = [panel for panel in self.panels if panel["title"] not in OF_A_PROCESS]
        rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) + 1
        figure = Figure(figsize=(15, rows * 0.34), dpi=80)
        figure.text(0.012, 1 - 0.6 / rows, "The panels' own queries, answered by Prometheus, drawn by matplotlib. "
                    "This is not Grafana.", weight="bold", size=9, va="center")  # fmt: skip
        for panel in panels:
            place = panel["gridPos"]
            left, top = place["x"] / 24, 1 - (place["y"] + 1) / rows
            if panel["type"] == "row":
                figure.text(0.012, top - 0.5 / rows, panel["title"], weight="bold", size=10, va="center")
                continue
            # Below a graph are its times and its legend.
            below = 2.6 if panel["type"] == "timeseries" else 0.3
            axes = figure.add_axes((
                left + 0.036, top - (place["h"] - below) / rows,
                place["w"] / 24 - 0.046, (place["h"] - below - 0.9) / rows,
            ))  # fmt: skip
            axes.set_title(panel["title"])
            if not getattr(self, f"_{panel['type']}")(axes, panel):
                self.empty.append(panel["title"])
        figure.savefig(path, metadata={"Software": None})

    def _stat(self, axes: Axes, panel: dict[str, Any]) -> bool:
        found = self._at_the_end(panel["targets"][0])
        defaults = panel["fieldConfig"]["defaults"]
        axes.set_axis_off()
        if found:
            value = float(found[0]["value"][1])
            steps = defaults["thresholds"]["steps"]
            colour = [step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]
            colour = {"text": "black", "orange": "darkorange"}.get(colour, colour)
            axes.text(0, 0.45, human(value, defaults["unit"]), size=20, color=colour, va="center")
        return bool(found)

    def _timeseries(self, axes: Axes, panel: dict[str, Any]) -> bool:
        unit, drawn = panel["fieldConfig"]["defaults"]["unit"], 0
        for target in panel["targets"]:
            answers = self._prometheus.ask(
                "query_range",
                query=filled(target["expr"]),
                start=str(self._start),
                end=str(self._end),
                step=str(STEP),
            )["result"]
            for answer in answers[:12]:
                legend = target["legendFormat"]
                name = re.sub(r"\{\{(\w+)\}\}", lambda match: answer["metric"].get(match[1], ""), legend)
                points = _with_gaps(answer["values"])
                axes.plot(
                    [at for at, _ in points],
                    [value for _, value in points],
                    linewidth=1,
                    label=name or "value",
                )
                drawn += 1
        axes.xaxis.set_major_formatter(DateFormatter("%H:%M"))
        axes.yaxis.set_major_formatter(lambda value, _: human(value, unit))
        axes.set_xlim(datetime.fromtimestamp(self._start, UTC), datetime.fromtimestamp(self._end, UTC))
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        if drawn:
            axes.legend(fontsize=5.5, ncols=4, loc="upper left", bbox_to_anchor=(-0.04, -0.1), frameon=False,
                        handlelength=1, columnspacing=1, labelspacing=0.2)  # fmt: skip
        return drawn > 0

    def _table(self, axes: Axes, panel: dict[str, Any]) -> bool:
        [organize] = [step["options"] for step in panel["transformations"] if step["id"] == "organize"]
        rows: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
        for target in panel["targets"]:
            for answer in self._at_the_end(target):
                key = tuple(sorted(answer["metric"].items()))
                rows.setdefault(key, dict(key))[f"Value #{target['refId']}"] = answer["value"][1]
        named = organize.get("indexByName", {})
        columns = sorted({name for row in rows.values() for name in row if not organize["excludeByName"].get(name)
                          and (not name.startswith("Value") or name in named)}, key=lambda name: (named.get(name, 99), name))  # fmt: skip
        units = {override["matcher"]["options"]: override["properties"][0]["value"]
                 for override in panel["fieldConfig"]["overrides"] if override["properties"][0]["id"] == "unit"}  # fmt: skip
        titles = [organize.get("renameByName", {}).get(name, name) for name in columns]
        ordered = list(rows.values())
        for order in reversed(panel["options"].get("sortBy", [])):
            column = columns[titles.index(order["displayName"])]
            ordered.sort(key=lambda row: float(row.get(column, "-inf")), reverse=order["desc"])
        cells = [
            [human(float(row[name]), units.get(title, "short")) if name.startswith("Value") and name in row
             else row.get(name, "") for name, title in zip(columns, titles, strict=True)]
            for row in ordered[: int(panel["gridPos"]["h"] * 1.6)]
        ]  # fmt: skip
        axes.set_axis_off()
        if cells:
            share = (len(cells) + 1) / (panel["gridPos"]["h"] * 1.6 + 1)
            table = axes.table(cells, colLabels=titles, cellLoc="left", edges="horizontal",
                               bbox=(0, 1 - share, 1, share))  # fmt: skip
            table.auto_set_font_size(False)
            table.set_fontsize(6.5)
            table.auto_set_column_width(list(range(len(titles))))
        return bool(cells)

    def _at_the_end(self, target: dict[str, Any]) -> list[dict[str, Any]]:
        return self._prometheus.ask("query", query=filled(target["expr"]), time=str(self._end))["result"]


def _with_gaps(values: list[tuple[float, str]]) -> list[tuple[datetime, float]]:
    """The points of a line, which ends where a sample is missing."""
    points: list[tuple[datetime, float]] = []
    for at, value in values:
        when = datetime.fromtimestamp(at, UTC)
        if points and (when - points[-1][0]).total_seconds() > STEP:
            points.append((when, float("nan")))
        points.append((when, float(value)))
    return points


def main(path: Path = ROOT / "docs" / "img" / "dashboard.png") -> list[str]:
    """Draw into `path`; the titles of panels without data."""
    with tempfile.TemporaryDirectory() as name:
        text = Path(name) / "hour.txt"
        start, end = write_open_metrics(text)
        with prometheus_of(Path(name), text) as prometheus:
            dashboard = Dashboard(prometheus, start, end)
            dashboard.draw(path)
    return dashboard.empty


if __name__ == "__main__":
    if empty := main(*map(Path, sys.argv[1:])):
        sys.exit(f"without data: {', '.join(empty)}")
