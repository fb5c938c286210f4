"""The recipes of docs/shipping.md that remove the doubles of a hot pair, run as they stand there."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from pathlib import Path

import pytest

from .tools import LNAV_FORMAT, REPOSITORY, need, parse

PAGE = (REPOSITORY / "docs" / "shipping.md").read_text().partition("## Doubles")[2]
SQL, LNAV = re.findall(r"```sql\n(.*?)\n```", PAGE, flags=re.DOTALL)
[JQ] = re.findall(r"```sh\n(.*?)\n```", PAGE, flags=re.DOTALL)


def key(line: dict[str, object]) -> tuple[object, object]:
    return line["queue_id"], line["scheduled_at"]


@pytest.fixture
def pair(output: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """What two daemons wrote: the second one began in the middle of the run."""
    second = output[len(output) // 2 :]
    return output, second


def wanted(lines: list[bytes]) -> list[tuple[object, object]]:
    """Every (queue_id, scheduled_at) of a snapshot, once."""
    return sorted({key(fact) for fact in map(parse, lines) if fact["event"] == "queue.snapshot"})


def test_jq(pair: tuple[list[bytes], list[bytes]], tmp_path: Path) -> None:
    need("jq")
    for name, lines in zip(("first", "second"), pair, strict=True):
        (tmp_path / f"{name}.jsonl").write_bytes(b"".join(line + b"\n" for line in [*lines, b"junk"]))
    done = subprocess.run(["bash", "-c", JQ], cwd=tmp_path, capture_output=True, check=True)
    facts = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(key(fact) for fact in facts if fact["event"] == "queue.snapshot") == wanted(pair[0])
    others = sum(
        b'"queue_id":' not in line or b'"scheduled_at":' not in line for lines in pair for line in lines
    )
    assert sum(not ("queue_id" in fact and "scheduled_at" in fact) for fact in facts) == others


def test_sql(pair: tuple[list[bytes], list[bytes]]) -> None:
    columns = ("timestamp", "event", "queue_id", "scheduled_at", "waiting")
    with sqlite3.connect(":memory:") as database:
        database.execute(f"CREATE TABLE snapshots ({', '.join(columns)})")
        facts = [fact for lines in pair for fact in map(parse, lines) if fact["event"] == "queue.snapshot"]
        rows = [tuple(fact[column] for column in columns) for fact in facts]
        database.executemany("INSERT INTO snapshots VALUES (?, ?, ?, ?, ?)", rows)
        kept = database.execute(SQL).fetchall()
    database.close()
    assert sorted((row[2], row[3]) for row in kept) == wanted(pair[0])


def test_lnav(pair: tuple[list[bytes], list[bytes]], tmp_path: Path) -> None:
    lnav = need("lnav")
    formats = tmp_path / "home/.lnav/formats/queuetick"
    formats.mkdir(parents=True)
    (formats / "queuetick.json").write_text(LNAV_FORMAT.read_text())
    for name, lines in zip(("first", "second"), pair, strict=True):
        (tmp_path / f"{name}.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    command = [lnav, "-n", "-c", f";{LNAV}", "-c", ":write-json-to -", "first.jsonl", "second.jsonl"]
    environment = {"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin", "TERM": "dumb"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert len(json.loads(done.stdout)) == len(wanted(pair[0]))
