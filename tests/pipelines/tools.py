"""Where the shippers come from, what happens when one is missing, how its answer is awaited and judged."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest

REPOSITORY = Path(__file__).parents[2]
SHIPPERS = REPOSITORY / "deploy" / "shippers"
LNAV_FORMAT = REPOSITORY / "deploy" / "lnav" / "queuetick.json"

REJECTS = [
    b"Traceback (most recent call last):",
    b'{"timestamp":"2026-11-24T04:00:15.412Z","level":"inf',
    b"42",
]
"""What a shipper must set aside: text, a line cut short, and JSON that is no object."""


def missing(reason: str) -> NoReturn:
    """Skip where a tool is missing; in CI, where all of them are installed, fail."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def need(program: str, *, package: str | None = None) -> str:
    """Return the path of `program`."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    return path or missing(f"{program} is not installed: apt-get install {package or program}")


@dataclass(frozen=True)
class SyslogNg:
    """Debian's syslog-ng, installed, or unpacked beside the rsyslog that it conflicts with."""

    command: list[str]
    environment: dict[str, str]


def unpacked_syslog_ng(directory: Path) -> SyslogNg:
    """Download syslog-ng and the libraries that it lacks here, and unpack them under `directory`."""
    root, archives = directory / "root", directory / "archives"
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    if not (root / "usr/sbin/syslog-ng").exists():
        options = ["Debug::NoLocking=1", f"Dir::Cache::archives={archives}/", "APT::Sandbox::User=root"]
        fetch = ["apt-get", "-qq", "-y", "--download-only", "--no-install-recommends"]
        fetch += [word for option in options for word in ("-o", option)]
        done = subprocess.run(
            [*fetch, "install", "syslog-ng-core"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            missing(f"syslog-ng is neither installed nor to be had from apt: {done.stderr.strip()}")
        for archive in sorted(archives.glob("*.deb")):
            subprocess.run(["dpkg", "-x", archive, root], check=True)
    libraries = [root / "usr/lib/syslog-ng", *root.glob("usr/lib/*-linux-gnu"), *root.glob("lib/*-linux-gnu")]
    modules = next(root.glob("usr/lib/syslog-ng/*/libaffile.so")).parent
    return SyslogNg(
        [str(root / "usr/sbin/syslog-ng"), f"--module-path={modules}"],
        {"LD_LIBRARY_PATH": ":".join(map(str, libraries)), "PATH": os.environ["PATH"]},
    )


def with_rejects(lines: list[bytes]) -> list[bytes]:
    """Put `REJECTS` amid the lines, where a crash of something else would leave them."""
    middle = len(lines) // 2
    return [*lines[:middle], *REJECTS, *lines[middle:]]


def installed(config: Path, port: int, directory: Path | None = None) -> str:
    """Return a shipped config that sends to the test, its files where it says or in `directory`."""
    text = config.read_text()
    changes = {"aggregator.example.com": "127.0.0.1", "5140": str(port)}
    if directory:
        changes["/var/log/queuetick-rejects.log"] = f"{directory}/rejects.log"
        changes["/var/log"] = str(directory)
    for old, new in changes.items():
        assert old in text, f"{config.name} no longer says {old}"
        text = text.replace(old, new)
    return text


class Sink:
    """A TCP aggregator that keeps every line it is sent."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        sink = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    sink.received.append(line.rstrip(b"\n"))

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]

    def __enter__(self) -> Sink:
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def parse(line: bytes | str) -> Any:
    """Read one JSON text; a key given twice is an error, not a silent loss."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen = dict(pairs)
        assert len(seen) == len(pairs), f"a key twice: {pairs}"
        return seen

    return json.loads(line, object_pairs_hook=unique)


def same(one: Any, other: Any) -> bool:
    """Compare as JSON does: 4 and 4.0 are one number, but "4", 4, true and null are four different things."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    numbers = (int, float)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, numbers) and isinstance(other, numbers):
        return one == other
    return type(one) is type(other) and one == other


@dataclass(frozen=True)
class Row:
    """What came of one chain."""

    chain: str
    lines_in: int
    objects_out: int
    equal: bool
    rejects: str


@dataclass
class Table:
    """Every chain's row, for the summary at the end of the run."""

    rows: list[Row] = field(default_factory=list)

    def judge(
        self,
        chain: str,
        sent: Iterable[bytes],
        shipped: Iterable[bytes | str],
        *,
        rejected: Iterable[bytes | str] | None = None,
    ) -> None:
        """Enter `chain`; assert that what was sent came out equal and in order, and `REJECTS` aside."""
        lines = list(sent)
        expected, arrived = [parse(line) for line in lines], [parse(line) for line in shipped]
        aside = None if rejected is None else [r.encode() if isinstance(r, str) else r for r in rejected]
        equal = same(expected, arrived)
        self.enter(chain, len(lines), len(arrived), equal=equal, rejected=aside)
        if not equal:
            for one, other in zip(expected, arrived, strict=False):
                assert same(one, other), f"{chain} changed\n{one}\ninto\n{other}"
        assert len(expected) == len(arrived), chain
        assert aside is None or aside == REJECTS, chain

    def enter(
        self, chain: str, lines_in: int, objects_out: int, *, equal: bool, rejected: list[bytes] | None
    ) -> None:
        """Enter a row as it is."""
        rejects = "-" if rejected is None else f"{len(rejected)} of {len(REJECTS)}"
        self.rows.append(Row(chain, lines_in, objects_out, equal, rejects))

    def __str__(self) -> str:
        cells = [("chain", "lines in", "objects out", "equal", "rejects")]
        for row in sorted(self.rows, key=lambda row: row.chain):
            equal = "yes" if row.equal else "NO"
            cells.append((row.chain, str(row.lines_in), str(row.objects_out), equal, row.rejects))
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells
        ]
        return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def machine() -> str:
    """Return what the table ran on."""
    return f"{platform.freedesktop_os_release().get('PRETTY_NAME', platform.system())}, {platform.machine()}"
