"""`queuetick queues`: what is listed, in which form, and what it says when it cannot."""

from __future__ import annotations

import json
import tomllib
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuetick.cli.queue_table import Choice, as_toml, plain_table, rows
from queuetick.cli.terminal import pad, shown, width
from queuetick.config import Queues
from queuetick.events import Queue
from support.raw import RawServer
from support.simulators import access, access_to, busy

HOME = Queue("11111111-1111-4111-8111-111111111111", "Support EMEA", "Home", "d1")
JAPAN = Queue("22222222-2222-4222-8222-222222222222", "技術サポート", "日本", "d2")
FRANCE = Queue("33333333-3333-4333-8333-333333333333", "Fide\u0301lisation", "France", "d3")
LISTING = [HOME, JAPAN, FRANCE]


@pytest.fixture
def raw_listing() -> Iterator[dict[str, str]]:
    """The environment for a server that logs everybody in and lists no queue."""
    with RawServer(lambda _: False) as server:
        yield access(server.url)


def test_every_queue_is_listed_and_marked_as_the_config_polls_it(queuetick, credentials, simulator):
    polled = simulator.queues[5]
    done = queuetick("queues", "--json", env=credentials, config=f'[queues]\nids = ["{polled.id}"]\n')
    assert done.code == 0
    listed = json.loads(done.stdout)
    assert {row["id"] for row in listed} == set(simulator.queue_ids)
    assert [row["name"] for row in listed if row["polled"]] == [polled.name]
    assert set(listed[0]) == {"id", "name", "division", "division_id", "polled"}


def test_a_pipe_gets_one_plain_line_per_queue_under_headings(queuetick, credentials):
    done = queuetick("queues", env=credentials)
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["name", "division", "id", "polled"]
    assert len(lines) == 1 + 45
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_flags_override_the_globs_of_the_config(queuetick, credentials, simulator):
    division = simulator.queues[0].division_name
    config = '[queues]\nnames = ["nothing*"]\n'
    done = queuetick("queues", "--json", "--division", division, env=credentials, config=config)
    listed = json.loads(done.stdout)
    assert {row["division"] for row in listed} == {division}
    assert not any(row["polled"] for row in listed)


def test_toml_goes_back_into_a_config_that_polls_just_these(queuetick, credentials, simulator):
    block = queuetick("queues", "--toml", "--name", "S*", env=credentials).stdout
    chosen = {queue.id for queue in simulator.queues if queue.name.startswith("S")}
    assert set(tomllib.loads(block)["queues"]["ids"]) == chosen
    listed = json.loads(queuetick("queues", "--json", "--polled", env=credentials, config=block).stdout)
    assert {row["id"] for row in listed} == chosen


def test_a_toml_comment_cannot_break_out_of_its_line():
    forged = Queue(HOME.id, 'C#\nids = ["x"]\x1b', "Home")
    block = as_toml(rows([forged], Queues(), Choice()))
    assert tomllib.loads(block) == {"queues": {"ids": [HOME.id]}}
    assert "# C#" in block


def test_an_empty_selection_is_toml_all_the_same():
    assert tomllib.loads(as_toml([])) == {"queues": {"ids": []}}


def test_names_of_every_script_align():
    lines = plain_table(rows(LISTING, Queues(), Choice())).splitlines()
    assert len({width(line[: line.index("-")]) for line in lines[1:]}) == 1
    assert len({width(line) for line in lines[1:]}) == 1


@pytest.mark.parametrize(
    ("text", "cells"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("\u200fal", 2), ("ｱ", 1)]
)
def test_width_counts_terminal_cells(text, cells):
    assert width(text) == cells
    assert width(pad(text, 9)) == 9


@given(st.text(st.characters(exclude_categories=())))
def test_no_name_steers_a_terminal_or_turns_its_direction(name):
    for encoding in ("utf-8", "ascii", "latin-1"):
        written = shown(name, encoding)
        assert not {unicodedata.category(c) for c in written} & {"Cc", "Cs", "Zl", "Zp"}
        assert not {unicodedata.bidirectional(c) for c in written} & {
            "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"
        }  # fmt: skip
        assert not set(written) & set("\u200e\u200f\u061c\ufeff\u200b\u2060")
        written.encode(encoding)


def test_names_that_an_ascii_terminal_lacks_are_escaped_and_still_align():
    lines = plain_table(rows(LISTING, Queues(), Choice()), "ascii").splitlines()
    assert "\\u6280" in lines[2] or "\\u6280" in lines[3]
    assert len({line.index("-") for line in lines[1:]}) == 1


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(), {HOME, JAPAN, FRANCE}),
        (Choice(names=("support*",)), {HOME}),
        (Choice(divisions=("日本", "D3")), {JAPAN, FRANCE}),
        (Choice(exclude=("support*", JAPAN.id)), {FRANCE}),
        (Choice(polled=True), {HOME}),
        (Choice(names=("*サポート",), polled=True), set()),
    ],
)
def test_a_choice_filters_as_the_config_does(choice, expected):
    assert {row.queue for row in rows(LISTING, Queues(ids=(HOME.id,)), choice)} == expected


def test_a_name_that_matches_nothing_is_said_with_the_nearest_and_exits_1(queuetick, credentials, simulator):
    name = simulator.queues[0].name
    done = queuetick("queues", "--name", f"{name}x", "--name", "S*", env=credentials)
    assert done.code == 0
    assert f"--name '{name}x' matches no queue. Fix: did you mean '{name}'?" in done.stderr
    done = queuetick("queues", "--name", "Nope*", env=credentials)
    assert done.code == 1
    assert "--name 'Nope*' matches no queue" in done.stderr


def test_options_that_exclude_each_other_say_so(queuetick, credentials, simulator):
    config = f'[queues]\nids = ["{simulator.queue_ids[0]}"]\n'
    name = simulator.queues[1].name
    done = queuetick("queues", "--json", "--polled", "--name", name, env=credentials, config=config)
    assert (done.code, json.loads(done.stdout)) == (1, [])
    assert "none of 45 queues matches all of the options" in done.stderr


def test_a_listing_without_a_queue_exits_1_with_its_fix(queuetick, environment, raw_listing):
    done = queuetick("queues", env={**environment, **raw_listing})
    assert done.code == 1
    assert "the listing is empty. Fix: give the client's role the divisions" in done.stderr


def test_an_explicit_id_that_is_not_listed_is_said_on_stderr(queuetick, credentials):
    config = f'[queues]\nids = ["{HOME.id}"]\n'
    assert HOME.id in queuetick("queues", env=credentials, config=config).stderr


def test_a_terminal_gets_a_table_that_keeps_ids_whole(on_a_terminal, credentials, simulator):
    shown = on_a_terminal("queues", env={**credentials, "TERM": "xterm", "COLUMNS": "90"})
    assert all(queue_id in shown for queue_id in simulator.queue_ids)


def test_long_listings_count_their_pages_on_a_terminal_only(on_a_terminal, environment, queuetick):
    with busy(1200, seed=3) as simulator:
        env = {**environment, **access_to(simulator)}
        shown = on_a_terminal("queues", "--json", env={**env, "TERM": "xterm"})
        assert "\rlisting queues: page 2 of 3\r\x1b[K" in shown
        assert queuetick("queues", env=env).stderr == ""


@pytest.mark.parametrize(
    "reason",
    [
        ({}, "wrong-secret", 77, "client secret is wrong"),
        ({"denied_permissions": ("routing:queue:view",)}, None, 77, "routing:queue:view"),
        ({"status": {429: 1.0}, "status_retry_after": 9.0}, None, 75, "Fix: wait 9 s"),
        ({"status": {503: 1.0}}, None, 75, "503"),
        ({"html": 1.0}, None, 75, "queuetick check"),
    ],
)
def test_a_listing_that_fails_is_one_sentence_on_stderr(queuetick, credentials, simulator, reason):
    faults, secret, code, words = reason
    simulator.set_faults(**faults)
    env = credentials if secret is None else {**credentials, "GENESYS_CLIENT_SECRET": secret}
    done = queuetick("queues", env=env)
    assert done.code == code
    assert done.stdout == ""
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_host_that_is_not_there_exits_75(queuetick, credentials, closed_port):
    done = queuetick("queues", env={**credentials, "GENESYS_API_URL": f"http://127.0.0.1:{closed_port}"})
    assert done.code == 75
    assert "Connection refused" in done.stderr
