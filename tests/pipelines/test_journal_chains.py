"""The journal's lines through journalctl and rsyslog's imjournal, on a booted systemd."""

from __future__ import annotations

import json

import pytest

from support.processes import until

from .box import LEVELS, Box, journalled
from .hostile import with_hostile_names
from .tools import REJECTS, SHIPPERS, Sink, Table, installed, need, parse, with_rejects

REJECT_FILE = "/var/log/queuetick-rejects.log"


@pytest.fixture(params=["real output", "hostile names"])
def lines(request: pytest.FixtureRequest, output: list[bytes]) -> list[bytes]:
    """The daemon's lines, and the same with queue names that somebody might well type."""
    return output if request.param == "real output" else with_hostile_names(output)


def test_journald_keeps_every_line(lines: list[bytes], chain: str, table: Table, box: Box) -> None:
    """journalctl gives the lines back as they were, as text and as the MESSAGE of its own JSON."""
    journalled(box, with_rejects(lines))
    as_text = split(box.sh("journalctl -t queuetick -o cat"))
    entries = [json.loads(entry) for entry in split(box.sh("journalctl -t queuetick -o json"))]
    rejects = [reject.decode() for reject in REJECTS]
    kept = [text for text in as_text if text not in rejects]
    messages = [entry["MESSAGE"] for entry in entries if entry["MESSAGE"] not in rejects]
    aside = [text for text in as_text if text in rejects]
    table.judge(f"journal > journalctl -o cat{chain}", lines, kept, rejected=aside)
    table.judge(f"journal > journalctl -o json{chain}", lines, messages)


def test_journald_knows_the_level(output: list[bytes], box: Box) -> None:
    """`journalctl -p err` and `-p warning` give the lines of those levels and worse, without the rest."""
    journalled(box, output)
    for priority, highest in {"err": 3, "warning": 4}.items():
        expected = [line.decode() for line in output if LEVELS[parse(line)["level"]] <= highest]
        assert expected == split(box.sh(f"journalctl -t queuetick -p {priority} -o cat"))


def test_rsyslog_imjournal(lines: list[bytes], chain: str, table: Table, box: Box, sink: Sink) -> None:
    """On Debian's rsyslog.conf, imjournal ships each line once, as it was; /var/log/syslog stays clean."""
    need("rsyslogd", package="rsyslog")
    config = installed(SHIPPERS / "rsyslog" / "queuetick-imjournal.conf", sink.port)
    box.sh("cat > /etc/rsyslog.d/60-queuetick.conf", stdin=config.encode())
    box.sh("rsyslogd -N1")
    written = with_rejects(lines)
    journalled(box, written[: len(written) // 2])
    box.sh("systemctl start rsyslog")
    journalled(box, written[len(written) // 2 :])

    def all_there() -> bool:
        return len(sink.received) >= len(lines) and len(rejected(box)) >= len(REJECTS)

    until(all_there, 30, f"{len(lines)} lines and {len(REJECTS)} rejects; there are {len(sink.received)}")
    table.judge(f"journal > rsyslog imjournal > TCP{chain}", lines, sink.received, rejected=rejected(box))

    # imjournal reads in order: once the line after it is here, it has read somebody else's line as well.
    box.sh("logger -t somebody-else one line")
    journalled(box, lines[-1:])
    until(lambda: len(sink.received) > len(lines), 30, "line written after somebody else's")
    until(lambda: "somebody-else" in syslog(box), 30, "line of another program in /var/log/syslog")
    assert syslog(box).count("somebody-else") == 1
    assert "queue.snapshot" not in syslog(box)


def test_the_daemon_into_the_journal(table: Table, box: Box, sink: Sink) -> None:
    """A running queuetick's own lines: journald takes their priorities off, imjournal ships the rest."""
    need("rsyslogd", package="rsyslog")
    config = installed(SHIPPERS / "rsyslog" / "queuetick-imjournal.conf", sink.port)
    box.sh("cat > /etc/rsyslog.d/60-queuetick.conf; systemctl start rsyslog", stdin=config.encode())
    box.sh(
        "systemd-run --quiet --wait --collect -p SyslogIdentifier=queuetick queuetick demo --cycles 3 --interval 1"
    )
    box.sh("journalctl --sync")
    entries = [json.loads(entry) for entry in split(box.sh("journalctl -t queuetick -o json"))]
    kept = [entry["MESSAGE"].encode() for entry in entries]
    facts = list(map(parse, kept))
    assert [fact["event"] for fact in facts].count("cycle.completed") == 3
    assert [str(LEVELS[fact["level"]]) for fact in facts] == [entry["PRIORITY"] for entry in entries]
    until(lambda: len(sink.received) >= len(kept), 30, f"{len(kept)} lines; there are {len(sink.received)}")
    table.judge("queuetick demo > journal > rsyslog imjournal > TCP", kept, sink.received)


def test_who_can_read_what(box: Box) -> None:
    """A dynamic user's log file is for root alone; the journal is for the group systemd-journal as well."""
    service = "-p DynamicUser=yes -p User=queuetick -p LogsDirectory=queuetick -p SyslogIdentifier=queuetick"
    file = "/var/log/queuetick/queuetick.jsonl"
    box.sh(f"systemd-run --quiet --wait {service} sh -c 'echo {{}} > {file}; echo {{}}' && journalctl --sync")
    assert box.sh(f"cat {file}") == "{}\n"
    nobody = "setpriv --reuid nobody --regid nogroup"
    assert box.sh(f"{nobody} --clear-groups cat {file}", check=False) == ""
    assert box.sh(f"{nobody} --clear-groups journalctl -q -t queuetick -o cat", check=False) == ""
    assert box.sh(f"{nobody} --groups systemd-journal journalctl -q -t queuetick -o cat") == "{}\n"


def split(text: str) -> list[str]:
    """Cut at newlines only; `splitlines` would cut inside a name with a Unicode line separator."""
    return text.split("\n")[:-1]


def syslog(box: Box) -> str:
    return box.sh("cat /var/log/syslog", check=False)


def rejected(box: Box) -> list[str]:
    return box.sh(f"cat {REJECT_FILE}", check=False).splitlines()
