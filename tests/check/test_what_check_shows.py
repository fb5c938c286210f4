"""check as its reader meets it: text, colour, secrets, speed; and the pieces that need no server."""

from __future__ import annotations

import resource
import time

import pytest

from queuetick.check.probe import Probe, clock
from queuetick.check.result import Check, Item, exit_of, failed, passed, warned
from queuetick.cli.check_text import as_text, painter, summary
from queuetick.exit_codes import ExitCode
from queuetick.genesys.transport import Response
from support.simulators import access_to, busy

PLAIN = painter(colour=False)


def test_text_names_cause_fix_and_evidence_on_lines_of_their_own(queuetick, credentials):
    done = queuetick("check", env={**credentials, "GENESYS_CLIENT_SECRET": "not-the-secret"})
    lines = done.stdout.splitlines()
    place = next(
        index for index, line in enumerate(lines) if line.startswith("fail    login: wrong client secret")
    )
    assert lines[place + 1].startswith("        fix: set GENESYS_CLIENT_SECRET")
    assert lines[place + 2].startswith("        evidence: status 401, code invalid_client, correlation id ")
    assert lines[-1].endswith("exit 77")
    assert done.code == 77


def test_colour_is_for_terminals_and_not_where_no_color_says_no(on_a_terminal, credentials):
    env = {**credentials, "TERM": "xterm"}
    assert "\x1b[32mpass" in on_a_terminal("check", env=env)
    assert "\x1b" not in on_a_terminal("check", env={**env, "NO_COLOR": "1"})
    assert "\x1b" not in on_a_terminal("check", env={**env, "TERM": "dumb"})


def test_a_pipe_gets_plain_text(queuetick, credentials):
    assert "\x1b" not in queuetick("check", env=credentials).stdout


def test_offline_reads_the_config_and_sends_nothing(queuetick, credentials, simulator):
    done = queuetick("check", "--offline", env=credentials)
    assert done.code == 0
    assert done.stdout.startswith("pass    config: no file: defaults and environment\n")
    assert simulator.requests == []


def test_offline_exits_78_on_a_config_problem(queuetick, environment):
    done = queuetick("check", "--offline", env=environment)
    assert done.code == 78
    assert "GENESYS_CLIENT_ID: is not set" in done.stdout
    assert "GENESYS_CLIENT_SECRET: is not set" in done.stdout


def test_no_secret_or_token_shows_in_any_form(queuetick, credentials, simulator):
    secret = credentials["GENESYS_CLIENT_SECRET"]
    name = f"Desk {secret}"
    simulator.rename_queue(simulator.queue_ids[0], name)
    simulator.set_faults(missing_queues=(simulator.queue_ids[0],))
    for arguments in (("check",), ("check", "--json")):
        done = queuetick(*arguments, env=credentials)
        assert "Desk ***" in done.stdout  # the line was written, the secret was not
        assert secret not in done.stdout + done.stderr
        assert "Bearer" not in done.stdout + done.stderr


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_200_queues_take_under_3_seconds(queuetick, environment):
    with busy(200) as simulator:
        env = {**environment, **access_to(simulator)}
        began, used = time.monotonic(), cpu_of_children()
        done = queuetick("check", env=env)
        assert cpu_of_children() - used < 3
        assert time.monotonic() - began < 20, (
            "a busy machine gives it less than a processor; it waits for nothing"
        )
        assert done.code == 0
        assert len(simulator.requests) == 12  # a login, a page of the listing, ten batches


def test_a_name_cannot_steer_the_terminal():
    item = Item("id \x1b[2J\x07", "fail", "gone\nforged line", "remove it")
    text = as_text([Check("queues", "fail", "2 of 2 ids", items=(item, item))], PLAIN)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert not any(line.startswith("forged") for line in text.splitlines())


def test_many_items_are_cut_in_text_and_said_so():
    items = tuple(Item(str(number), "fail", "unknown id", "remove it") for number in range(30))
    text = as_text([Check("queues", "fail", "30 of 30 ids", items=items)], PLAIN)
    assert "and 10 more; --json lists all" in text


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((), ExitCode.OK),
        ((ExitCode.FAILURE, ExitCode.TEMPFAIL), ExitCode.TEMPFAIL),
        ((ExitCode.TEMPFAIL, ExitCode.NOPERM), ExitCode.NOPERM),
        ((ExitCode.NOPERM, ExitCode.CONFIG), ExitCode.CONFIG),
    ],
)
def test_the_exit_code_is_what_must_be_fixed_first(codes, expected):
    checks = [
        passed("a", "well"),
        warned("b", "so so", "fix"),
        *(failed("c", "bad", "fix", exits=c) for c in codes),
    ]
    assert exit_of(checks) is expected


def test_the_summary_counts_and_names_the_exit_code():
    checks = [passed("a", "well"), failed("c", "bad", "fix", exits=ExitCode.NOPERM)]
    assert summary(checks, PLAIN) == "1 passed, 1 failed: exit 77\n"


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}])
def test_an_answer_without_a_readable_date_says_nothing_of_the_clock(headers):
    probe = Probe(lambda: 1_000_000.0)
    probe.note_answer("GET", "", Response(200, "OK", headers, b""))
    assert clock(probe).status == "skipped"


def test_of_several_answers_the_least_skew_counts():
    """One slow answer makes the clock seem late; no answer makes it seem better than it is."""
    probe = Probe(iter((784111777.0 + 30, 784111777.0 + 1)).__next__)
    for _ in range(2):
        probe.note_answer("GET", "", Response(200, "OK", {"Date": "Sun, 06 Nov 1994 08:49:37 GMT"}, b""))
    assert clock(probe).status == "pass"
    assert clock(probe).evidence == {"skew_seconds": 0.5}
