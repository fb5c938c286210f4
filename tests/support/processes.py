"""The daemon and the simulator as processes of their own, on real sockets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from support.account import Account
from support.simulators import access

QUEUETICK = [sys.executable, "-m", "queuetick"]


def clean_environment(home: Path) -> dict[str, str]:
    """No credentials, no proxies, a home of its own."""
    names = ("PATH", "LANG", "TMPDIR", "COVERAGE_PROCESS_CONFIG")  # the last: set by `make test COVERAGE=yes`
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {**kept, "HOME": str(home)}


def until(ask: Callable[[], Any], seconds: float, what: str = "") -> Any:
    """The first answer of `ask` that is true; the deadline only ends what has failed."""
    deadline = time.monotonic() + seconds
    while not (last := ask()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what or ask} (last answer: {last!r:.2000})")
        time.sleep(0.01)
    return last


class SimulatorProcess:
    """`queuetick simulate` in a process, so that it can be killed and come back on the same port."""

    def __init__(self, *options: str, home: Path, port: int = 0) -> None:
        self._options, self._home = options, home
        self.port = port
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [*QUEUETICK, "simulate", "--at", "10:30", "--port", str(self.port), *self._options],
            env=clean_environment(self._home),
            cwd=self._home,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.about: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.port = int(self.about["url"].rpartition(":")[2])

    def set_faults(self, **faults: Any) -> None:
        request = urllib.request.Request(
            self.about["control_url"] + "/faults", json.dumps(faults).encode(), method="PATCH"
        )
        urllib.request.urlopen(request, timeout=10).close()

    @property
    def environment(self) -> dict[str, str]:
        return {
            **clean_environment(self._home),
            **access(*(self.about[name] for name in ("url", "client_id", "client_secret"))),
        }

    def kill(self) -> None:
        self.process.kill()
        self._reap()

    def _reap(self) -> None:
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self._reap()


class DaemonProcess:
    """`queuetick run`, or another command that writes lines; its lines are read as they come."""

    def __init__(
        self,
        config: str,
        *,
        environment: Mapping[str, str],
        directory: Path,
        keep: int = 100_000,
        command: Sequence[str] = ("run",),
        program: Sequence[str] = QUEUETICK,
    ) -> None:
        (directory / "config.toml").write_text(config)
        self.directory = directory
        self.account = Account(secrets=tuple(filter(None, [environment.get("GENESYS_CLIENT_SECRET")])))
        self.lines: list[dict[str, Any]] = []
        self.arrived: list[float] = []
        self._keep = keep
        self.started = time.monotonic()
        with (directory / "stderr").open("wb") as errors:
            self.process = subprocess.Popen(
                [*program, *command],
                env=dict(environment),
                cwd=directory,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if not line.endswith(b"\n"):
                self.account.breaches.append(f"a torn line: {line[:80]!r}")
                continue
            fact = self.account.take(line[:-1])
            if fact is not None and (fact["event"] != "queue.snapshot" or len(self.lines) < self._keep):
                self.lines.append(fact)
                self.arrived.append(time.monotonic())

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in list(self.lines) if line["event"] == name]

    def await_event(self, name: str, count: int = 1, seconds: float = 20.0) -> dict[str, Any]:
        """The `count`-th such event, waited for."""
        until(lambda: len(self.events(name)) >= count, seconds, f"{count} {name}: {self.account.events}")
        return self.events(name)[count - 1]

    @property
    def stderr(self) -> str:
        return (self.directory / "stderr").read_text()

    def stop(self, number: int = signal.SIGTERM, seconds: float = 15.0) -> float:
        """Send a signal and wait for the end; returns how long that took, in seconds."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(seconds)
        took = time.monotonic() - began
        self.read_rest()
        print(f"{signal.Signals(number).name} answered in {took:.2f} s", file=sys.stderr)
        return took

    def read_rest(self) -> None:
        """Read what a process that has ended wrote last."""
        self._reader.join(5.0)

    def check(self) -> list[str]:
        """The breaches of the accounting law, of a daemon that has stopped."""
        self.account.close(
            self.events("daemon.stopped")[-1]["cycles"] if self.events("daemon.stopped") else None
        )
        return self.account.breaches

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.read_rest()
        assert self.process.stdout is not None
        self.process.stdout.close()
