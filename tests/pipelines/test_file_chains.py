"""The file output through rsyslog, syslog-ng, mtail, jq and Miller: what goes in comes out."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.processes import until

from .hostile import with_hostile_names
from .tools import REJECTS, SHIPPERS, Sink, SyslogNg, Table, installed, need, parse, with_rejects


@pytest.fixture(params=["real output", "hostile names"])
def lines(request: pytest.FixtureRequest, output: list[bytes]) -> list[bytes]:
    """The daemon's lines, and the same with queue names that somebody might well type."""
    return output if request.param == "real output" else with_hostile_names(output)


def log_file(directory: Path, name: str = "queuetick") -> Path:
    """Return where the unit's log file is: with DynamicUser its directory is a link into a private one."""
    private = directory / "private" / name
    private.mkdir(parents=True)
    (directory / name).symlink_to(Path("private") / name)
    return directory / name / "queuetick.jsonl"


def write(path: Path, lines: list[bytes]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


@contextmanager
def running(command: list[str], environment: dict[str, str] | None = None) -> Iterator[None]:
    """Run a shipper in the foreground for as long as the block lasts."""
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            yield
            assert process.poll() is None, process.communicate()[0].decode()
        finally:
            process.terminate()
            process.communicate(timeout=20)


def rejected(directory: Path) -> list[bytes]:
    file = directory / "rejects.log"
    return file.read_bytes().splitlines() if file.exists() else []


def awaited(sink: Sink, lines: list[bytes], directory: Path) -> None:
    """Wait for as many lines and rejects as were written."""

    def all_there() -> bool:
        return len(sink.received) >= len(lines) and len(rejected(directory)) >= len(REJECTS)

    until(all_there, 30, f"{len(lines)} lines and {len(REJECTS)} rejects; there are {len(sink.received)}")


def test_rsyslog_imfile(lines: list[bytes], chain: str, table: Table, sink: Sink, tmp_path: Path) -> None:
    """rsyslog's imfile ships every line as it was, over TCP, and sets aside what is no JSON object."""
    rsyslogd = need("rsyslogd", package="rsyslog")
    write(log_file(tmp_path), with_rejects(lines))
    config = tmp_path / "rsyslog.conf"
    shipped = installed(SHIPPERS / "rsyslog" / "queuetick-imfile.conf", sink.port, tmp_path)
    config.write_text(f'global(workDirectory="{tmp_path}")\n{shipped}')
    subprocess.run([rsyslogd, "-N1", "-f", config], check=True, capture_output=True)
    with running([rsyslogd, "-n", "-f", str(config), "-i", str(tmp_path / "pid")]):
        awaited(sink, lines, tmp_path)
    table.judge(f"file > rsyslog imfile > TCP{chain}", lines, sink.received, rejected=rejected(tmp_path))


def test_rsyslog_fields_can_be_routed_on(output: list[bytes], tmp_path: Path) -> None:
    """A condition on $!level does what docs/shipping.md says: errors, and only they, go to their own file."""
    rsyslogd = need("rsyslogd", package="rsyslog")
    write(log_file(tmp_path), output)
    errors = tmp_path / "errors.jsonl"
    statement = (
        f'    if $!level == "error" then action(type="omfile" file="{errors}" template="queuetick_line")\n'
    )
    shipped = installed(SHIPPERS / "rsyslog" / "queuetick-imfile.conf", 9, tmp_path)
    shipped = re.sub(r"    action\(type=\"omfwd\".*?\"-1\"\)\n", statement, shipped, flags=re.DOTALL)
    config = tmp_path / "rsyslog.conf"
    config.write_text(f'global(workDirectory="{tmp_path}")\n{shipped}')
    expected = [line for line in output if parse(line)["level"] == "error"]
    with running([rsyslogd, "-n", "-f", str(config), "-i", str(tmp_path / "pid")]):
        until(
            lambda: errors.exists() and len(errors.read_bytes().splitlines()) >= len(expected), 30, "errors"
        )
    assert errors.read_bytes().splitlines() == expected


def test_syslog_ng(
    lines: list[bytes], chain: str, table: Table, sink: Sink, syslog_ng: SyslogNg, tmp_path: Path
) -> None:
    """syslog-ng ships every line as it was, over TCP, and sets aside what is no JSON object."""
    write(log_file(tmp_path), with_rejects(lines))
    config = tmp_path / "syslog-ng.conf"
    shipped = installed(SHIPPERS / "syslog-ng" / "queuetick.conf", sink.port, tmp_path)
    config.write_text(f"@version: 3.38\n{shipped}")
    state = ["-R", f"{tmp_path}/persist", "-c", f"{tmp_path}/control", "-p", f"{tmp_path}/pid"]
    command = [*syslog_ng.command, "--no-caps", "-f", str(config)]
    subprocess.run([*command, "--syntax-only"], env=syslog_ng.environment, check=True, capture_output=True)
    with running([*command, "--foreground", *state], syslog_ng.environment):
        awaited(sink, lines, tmp_path)
    table.judge(f"file > syslog-ng > TCP{chain}", lines, sink.received, rejected=rejected(tmp_path))


@pytest.fixture(params=["dynamic user", "own user"])
def two_units(request: pytest.FixtureRequest, output: list[bytes], tmp_path: Path) -> list[bytes]:
    """The lines of queuetick.service and of queuetick@emea, in their files; and a file of somebody else."""
    with_org = [json.dumps({**parse(line), "org": "emea"}, ensure_ascii=False).encode() for line in output]
    for name, lines in (("queuetick", output), ("queuetick-emea", with_org), ("other", [b'{"not":"ours"}'])):
        if request.param == "dynamic user":
            write(log_file(tmp_path, name), lines)
        else:
            write(tmp_path / name / "queuetick.jsonl", lines)
    return [*output, *with_org]


def test_rsyslog_ships_the_instances_too(two_units: list[bytes], sink: Sink, tmp_path: Path) -> None:
    rsyslogd = need("rsyslogd", package="rsyslog")
    config = tmp_path / "rsyslog.conf"
    shipped = installed(SHIPPERS / "rsyslog" / "queuetick-imfile.conf", sink.port, tmp_path)
    config.write_text(f'global(workDirectory="{tmp_path}")\n{shipped}')
    with running([rsyslogd, "-n", "-f", str(config), "-i", str(tmp_path / "pid")]):
        until(lambda: len(sink.received) >= len(two_units), 30, f"{len(two_units)} lines")
    assert sorted(sink.received) == sorted(two_units)


def test_syslog_ng_ships_the_instances_too(
    two_units: list[bytes], sink: Sink, syslog_ng: SyslogNg, tmp_path: Path
) -> None:
    config = tmp_path / "syslog-ng.conf"
    shipped = installed(SHIPPERS / "syslog-ng" / "queuetick.conf", sink.port, tmp_path)
    config.write_text(f"@version: 3.38\n{shipped}")
    state = ["-R", f"{tmp_path}/persist", "-c", f"{tmp_path}/control", "-p", f"{tmp_path}/pid"]
    command = [*syslog_ng.command, "--no-caps", "-f", str(config), "--foreground", *state]
    with running(command, syslog_ng.environment):
        until(lambda: len(sink.received) >= len(two_units), 30, f"{len(two_units)} lines")
    assert sorted(sink.received) == sorted(two_units)


def test_mtail_tells_the_orgs_apart(output: list[bytes], tmp_path: Path) -> None:
    in_emea = [re.sub(rb'("event":"[a-z_.]+")', rb'\1,"org":"emea"', line, count=1) for line in output]
    found = metrics([*output, *in_emea], tmp_path)
    for series, value in found.items():
        if 'org=""' in series and "_total" in series:
            assert found[series.replace('org=""', 'org="emea"')] == value


def test_jq(lines: list[bytes], chain: str, table: Table, tmp_path: Path) -> None:
    """`jq -cR 'fromjson? | objects'` passes every object, equal, over lines that are none."""
    jq = need("jq")
    file = write(tmp_path / "queuetick.jsonl", with_rejects(lines))
    passed = subprocess.run([jq, "-cR", "fromjson? | objects", file], capture_output=True, check=True).stdout
    keep = "select((fromjson? | objects) // false | not)"
    aside = subprocess.run([jq, "-rR", keep, file], capture_output=True, check=True).stdout
    table.judge(f"file > jq{chain}", lines, passed.splitlines(), rejected=aside.splitlines())


def test_miller(output: list[bytes], table: Table, tmp_path: Path) -> None:
    """Miller passes every object, equal, nested ones and nulls too; jq before it drops other lines."""
    jq, mlr = need("jq"), need("mlr", package="miller")
    file = write(tmp_path / "queuetick.jsonl", with_rejects(output))
    passed = subprocess.run([jq, "-cR", "fromjson? | objects", file], capture_output=True, check=True).stdout
    through = subprocess.run([mlr, "--jsonl", "cat"], input=passed, capture_output=True, check=True).stdout
    table.judge("file > jq > Miller", output, through.splitlines())


SERIES = 'queuetick_lines_total{{event="{event}",level="{level}",org=""}}'


def metrics(lines: list[bytes], directory: Path) -> dict[str, float]:
    """Run the mtail program over `lines`; return each series, as Prometheus writes it, with its value."""
    mtail = need("mtail")
    file = write(directory / "queuetick.jsonl", lines)
    program = SHIPPERS / "mtail" / "queuetick.mtail"
    options = ["--one_shot", "--one_shot_format=prometheus", "--progs", program, "--logs", file]
    # mtail logs to $TMPDIR
    environment = os.environ | {"TMPDIR": str(directory)}
    text = subprocess.run([mtail, *options], capture_output=True, check=True, env=environment).stdout.decode()
    series = [line for line in text.split("\n") if line and not line.startswith("#")]
    without_program = [
        line.replace('prog="queuetick.mtail",', "").replace(',prog="queuetick.mtail"', "") for line in series
    ]
    pairs = [line.replace('{prog="queuetick.mtail"}', "").rsplit(" ", 1) for line in without_program]
    return {name: float(value) for name, value in pairs}


def test_mtail_counts_every_line(lines: list[bytes], chain: str, table: Table, tmp_path: Path) -> None:
    """mtail's counters add up to the lines, by level and event, and count the lines that are none."""
    found = metrics(with_rejects(lines), tmp_path)
    facts = map(parse, lines)
    expected = Counter(SERIES.format(**fact) for fact in facts)
    counted = {name: value for name, value in found.items() if name.startswith("queuetick_lines_total")}
    aside = int(found["queuetick_rejected_lines_total"])
    equal = counted == dict(expected)
    total = int(sum(counted.values()))
    table.enter(f"file > mtail (counters){chain}", len(lines), total, equal=equal, rejected=REJECTS[:aside])
    assert dict(expected) == counted
    assert len(REJECTS) == aside


@pytest.mark.parametrize("field", ["waiting", "agents_available", "longest_wait_seconds"])
def test_mtail_gauges_are_the_last_snapshot(lines: list[bytes], field: str, tmp_path: Path) -> None:
    """A queue's gauge is its last snapshot's number; null leaves no gauge behind."""
    found = metrics(lines, tmp_path)
    snapshots = [fact for fact in map(parse, lines) if fact["event"] == "queue.snapshot"]
    last = {fact["queue_id"]: fact[field] for fact in snapshots}
    name = f"queuetick_queue_{field}"
    expected = {
        f'{name}{{org="",queue_id="{queue}"}}': value for queue, value in last.items() if value is not None
    }
    assert expected == {series: value for series, value in found.items() if series.startswith(name)}


def test_mtail_takes_a_longest_wait_away_when_nobody_waits_any_more(
    output: list[bytes], tmp_path: Path
) -> None:
    """Whatever fields follow longest_wait_seconds, its null takes the gauge away."""
    snapshots = [fact for fact in map(parse, output) if fact["event"] == "queue.snapshot"]
    waited = next(fact for fact in snapshots if fact["longest_wait_seconds"] is not None)
    over = waited | {"longest_wait_seconds": None}
    both = [json.dumps(fact, separators=(",", ":")).encode() for fact in (waited, over)]
    name = f'queuetick_queue_longest_wait_seconds{{org="",queue_id="{waited["queue_id"]}"}}'
    assert waited["longest_wait_seconds"] == metrics(both[:1], tmp_path / "before")[name]
    assert name not in metrics(both, tmp_path / "after")
