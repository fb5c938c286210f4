"""A daemon with its metrics, a Prometheus that scrapes it, and waiting with a deadline."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.processes import DaemonProcess, until

DEPLOY = Path(__file__).parents[2] / "deploy"


def wait_for(ask: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    return until(ask, seconds, what)


def get(url: str) -> tuple[int, str]:
    """Status and body, whatever the status."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


class Series(dict[tuple[str, frozenset[tuple[str, str]]], float]):
    """The samples of one scrape."""

    @classmethod
    def of(cls, text: str) -> Series:
        found = cls()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in found, f"twice: {key}"
                found[key] = sample.value
        return found

    def select(self, name: str, **labels: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Values of `name` whose labels include `labels`, by the other labels."""
        return {
            tuple(sorted(found - labels.items())): value
            for (known, found), value in self.items()
            if known == name and labels.items() <= found
        }

    def by(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """Values of `name` whose labels are `label` and `labels`, by the value of `label`."""
        found = self.select(name, **labels)
        assert all([label] == [key for key, _ in others] for others in found), found
        return {others[0][1]: value for others, value in found.items()}

    def one(self, name: str, **labels: str) -> float | None:
        """The one value of `name` with exactly `labels`."""
        return self.get((name, frozenset(labels.items())))

    def total(self, name: str, **labels: str) -> float | None:
        """The sum over what `labels` leaves open; None when there is no series."""
        values = self.select(name, **labels).values()
        return sum(values) if values else None

    def ids(self, name: str = "genesys_queue_agents_available") -> set[str]:
        return {dict(labels)["queue_id"] for labels in self.select(name)}


class Running(DaemonProcess):
    """`queuetick run`, its lines as they come, and its metrics."""

    def url(self, count: int = 1, scheme: str = "http") -> str:
        """Where the metrics are, as the `count`-th announcement says."""

        def announced() -> list[str]:
            found = [
                re.search(rf"({scheme}://\S+)/metrics", line["message"])
                for line in self.events("log.message")
            ]
            return [match[1] for match in found if match]

        def ask() -> bool:
            if self.process.poll() is not None:
                pytest.fail(f"it ended: {self.stderr}")
            return len(announced()) >= count

        wait_for(ask, "the daemon says where its metrics are")
        return announced()[count - 1]

    def scrape(self) -> Series:
        status, text = get(self.url() + "/metrics")
        assert status == 200
        return Series.of(text)

    def until(self, satisfied: Callable[[Series], Any], what: str, seconds: float = 20.0) -> Series:
        """The first scrape that satisfies."""

        def ask() -> Series | None:
            found = self.scrape()
            return found if satisfied(found) else None

        return wait_for(ask, what, seconds)

    def configure(self, config: str) -> None:
        """Reload with another config.toml, once the daemon has begun."""
        self.url()
        (self.directory / "config.toml").write_text(config)
        self.process.send_signal(signal.SIGHUP)


def config(interval: float = 0.5, listen: str = "127.0.0.1:0", batch_size: int = 200, more: str = "") -> str:
    """One request a cycle, unless asked otherwise: the simulator allows 300 a minute."""
    poll = f"[poll]\ninterval = {interval}\nbatch_size = {batch_size}\nrequests_per_minute = 250\n"
    return f'{poll}[metrics]\nlisten = "{listen}"\n{more}'


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def required(program: str) -> str:
    """The path of `program`. Without it a test is skipped, but on CI it fails: there nobody reads skips."""
    path = shutil.which(program)
    if path is None:
        reason = f"{program} is not installed (apt-get install prometheus)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


class Prometheus:
    """A Prometheus that runs, asked over its own API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **parameters: str) -> Any:
        status, text = get(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        answer = json.loads(text)
        assert (status, answer["status"]) == (200, "success"), answer
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        return self.ask("query", query=expression)["result"]

    def alerts(self, name: str, **labels: str) -> list[str]:
        """States of the alerts of that name: pending, firing."""
        return [
            alert["state"]
            for alert in self.ask("alerts")["alerts"]
            if alert["labels"]["alertname"] == name and labels.items() <= alert["labels"].items()
        ]


@contextlib.contextmanager
def scraping(
    daemon: Running,
    directory: Path,
    change: Callable[[str], str] = str,
    also: tuple[str, ...] = (),
    tls: Mapping[str, str] | None = None,
) -> Iterator[Prometheus]:
    """A Prometheus that scrapes `daemon`, and `also`, each second, with the rules of deploy/ after `change`.

    With `tls` it takes the lines on https of the shipped prometheus.yml, with these paths in place of the names there.
    """
    program = required("prometheus")
    directory.mkdir()
    rules = (DEPLOY / "prometheus" / "queuetick.rules.yml").read_text()
    (directory / "queuetick.rules.yml").write_text(change(rules))
    settings = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    urls = (daemon.url(scheme="http" if tls is None else "https"), *also)
    if tls is not None:
        settings = re.sub(r"# (scheme:|tls_config:)", r"\1", settings)
    for shipped, here in (
        ("- 127.0.0.1:9477", "\n          ".join(f"- {url.partition('//')[2]}" for url in urls)),
        *(tls or {}).items(),
        ("evaluation_interval: 15s", "evaluation_interval: 1s"),
        ("scrape_interval: 15s", "scrape_interval: 1s"),
        ("scrape_timeout: 5s", "scrape_timeout: 1s"),
    ):
        assert shipped in settings
        settings = settings.replace(shipped, here)
    (directory / "prometheus.yml").write_text(settings)
    port = free_port()
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        running = Prometheus(f"http://127.0.0.1:{port}")

        def up() -> bool:
            if process.poll() is not None:
                pytest.fail((directory / "log").read_text())
            try:
                if get(f"{running.url}/-/ready")[0] != 200:
                    return False
                return [sample["value"][1] for sample in running.query("up")] == ["1", *("1" for _ in also)]
            except OSError:
                return False

        wait_for(up, "Prometheus scrapes the daemon", 30)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
