"""What a line looks like."""

from __future__ import annotations

import gc
import json
import logging
import math
import re
import threading
import tracemalloc
import warnings
from itertools import chain

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec import UNSET, structs

from queuetick.events import (
    EVENTS,
    BatchFailed,
    ConfigRejected,
    CycleCrashed,
    DaemonStarted,
    DaemonStopped,
    Event,
    Fact,
    LogMessage,
    MediaCounts,
    Problem,
    QueueMissing,
    QueueSnapshot,
    QueueStats,
)
from queuetick.events.examples import EXAMPLES
from queuetick.events.schema import json_schema
from queuetick.lines.length import escape
from queuetick.lines.profiles import render
from queuetick.lines.redaction import Redaction
from queuetick.lines.stdlib import LineLogger, install_logging
from queuetick.lines.writer import LEVELS, stamp
from support.collect import NOW, STAMP, emitter, written
from support.facts import facts

TICK = "2026-11-24T04:00:15.000Z"
VALIDATOR = Draft202012Validator(json_schema())
SNAPSHOT = next(fact for fact in EXAMPLES if isinstance(fact, QueueSnapshot))
STOPPED = DaemonStopped(reason="SIGTERM", cycles=3, uptime_seconds=45.0)


def test_a_line_is_stamp_level_event_and_the_facts_fields_in_order():
    writer, output = emitter()
    writer.emit(STOPPED)
    line, *rest = output.lines
    assert not rest
    assert line == (
        b'{"timestamp":"2026-11-24T04:00:15.412Z","level":"info","event":"daemon.stopped",'
        b'"reason":"SIGTERM","cycles":3,"uptime_seconds":45.0}\n'
    )


@pytest.mark.parametrize("fact", EXAMPLES, ids=lambda fact: type(fact).__name__)
def test_every_event_is_written_with_its_own_level(fact):
    (line,) = written(fact)
    assert line == {"timestamp": STAMP, "level": fact.severity, **msgspec.to_builtins(fact)}


def test_the_facts_of_one_call_share_one_timestamp_and_one_write():
    ticks = iter([1.0, 2.0])
    writer, output = emitter()
    writer._now = lambda: next(ticks)
    writer.emit(*[SNAPSHOT] * 20)
    assert ({line["timestamp"] for line in output.objects}, output.writes) == (
        {"1970-01-01T00:00:01.000Z"},
        1,
    )


def test_a_level_given_stands_in_for_the_facts_own():
    writer, output = emitter()
    writer.emit(LogMessage(logger="a", message="b"), level="critical")
    assert output.objects[0]["level"] == "critical"


def test_the_level_silences_operational_events_but_no_measurement():
    for level in LEVELS:
        lines = written(*EXAMPLES, level=level)
        loud = [fact for fact in EXAMPLES if LEVELS.index(fact.severity) >= LEVELS.index(level)]
        expected = {msgspec.to_builtins(fact)["event"] for fact in loud} | {"queue.snapshot", "queue.stats"}
        assert {line["event"] for line in lines} == expected


@pytest.mark.parametrize("profile", sorted(render))
def test_every_line_of_every_event_says_the_org_right_after_its_event(profile):
    for line in written(*EXAMPLES, level="debug", org="emea", profile=profile):
        match profile:
            case "plain":
                assert list(line)[:4] == ["timestamp", "level", "event", "org"] and line["org"] == "emea"
            case "ecs":
                assert line["organization"] == {"name": "emea"}
            case "otel":
                assert line["resource"]["genesys.org"] == "emea"


def test_without_an_org_no_line_has_the_field():
    assert not [line for line in written(*EXAMPLES, level="debug") if "org" in line]


@given(facts(), st.none() | st.text(min_size=1, max_size=20))
def test_lines_with_an_org_are_valid_by_the_schema(fact, org):
    for line in written(fact, level="debug", org=org):
        VALIDATOR.validate(line)


BUSY, IDLE = MediaCounts(1, 0, 0), MediaCounts(0, 0, 0, wait_target_seconds=20.0)
UNKNOWN = MediaCounts(None, 0, 0)


@pytest.mark.parametrize(
    ("choice", "kept"),
    [("all", {"voice", "email", "chat"}), ("active", {"voice", "chat"}), ("none", set())],
)
def test_output_media_leaves_out_media_and_no_sum(choice, kept):
    snapshot = structs.replace(SNAPSHOT, media={"voice": BUSY, "email": IDLE, "chat": UNKNOWN})
    (all_media,) = written(snapshot)
    (line,) = written(snapshot, media=choice)
    assert line.pop("media").keys() == kept
    del all_media["media"]
    assert line == all_media


@pytest.mark.parametrize("choice", ["all", "active", "none"])
def test_media_that_the_api_did_not_say_stay_null(choice):
    (line,) = written(structs.replace(SNAPSHOT, media=None), media=choice)
    assert line["media"] is None


def test_configure_changes_level_and_profile_from_the_next_line_on():
    writer, output = emitter()
    writer.emit(STOPPED)
    writer.configure(level="error", profile="ecs")
    writer.emit(STOPPED, SNAPSHOT)
    assert [("event" in line, "@timestamp" in line) for line in output.objects] == [
        (True, False),
        (True, True),
    ]
    assert len(output.lines) == 2


def test_journal_lines_start_with_their_syslog_priority():
    writer, output = emitter(journal=True, level="debug")
    for level in LEVELS:
        writer.emit(STOPPED, level=level)
    assert [line[:3] for line in output.lines] == [b"<7>", b"<6>", b"<4>", b"<3>", b"<2>"]


def test_numbers_that_are_none_become_null():
    fact = structs.replace(STOPPED, uptime_seconds=math.nan)
    infinite = structs.replace(STOPPED, uptime_seconds=math.inf)
    assert [line["uptime_seconds"] for line in written(fact, infinite)] == [None, None]


@given(st.text(st.characters(min_codepoint=0, max_codepoint=0x2100, exclude_categories=("Cs",))))
def test_no_control_character_and_no_second_line_end_in_a_line(text):
    """journald takes a message with a control character for binary; str.splitlines knows ten line ends."""
    writer, output = emitter()
    writer.emit(structs.replace(STOPPED, reason=text))
    line = output.lines[0].decode()
    assert len(line.splitlines()) == 1
    assert not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in line[:-1])
    assert json.loads(line)["reason"] == text


@given(st.text(st.sampled_from("a\x7f\x80\x85\x9f\xa0\xc2ü\u2013\u2028\u2029\u202a\u20a8\u4e2d\U0001f600")))
def test_only_del_c1_and_line_separators_are_spelled_out(text):
    """For any neighbours: `escape` looks for octets, and these are shared with characters that stay."""
    escaped = escape(msgspec.json.encode(text)).decode()
    assert json.loads(escaped) == text
    assert set(escaped) & set(text) == {
        char for char in text if not re.match("[\x7f-\x9f\u2028\u2029]", char)
    }


@pytest.mark.parametrize(
    "fact",
    [
        structs.replace(STOPPED, reason="a lone \udcff surrogate"),
        structs.replace(STOPPED, cycles=2**80),
        structs.replace(STOPPED, reason=object()),
        structs.replace(EXAMPLES[0], config={("a", "tuple"): 1}),
        structs.replace(EXAMPLES[0], config={"deep": {"path": UNSET, "set": {1}, "bytes": b"\xff"}}),
        structs.replace(
            EXAMPLES[0], config={**dict.fromkeys(map(str, range(900)), "v"), "list": ["x" * 99] * 99}
        ),
    ],
)
@pytest.mark.parametrize("profile", sorted(render))
def test_a_fact_that_json_cannot_say_costs_no_more_than_itself(fact, profile):
    writer, output = emitter(profile=profile)
    writer.emit(fact, SNAPSHOT)
    assert len(output.objects) == 2


def test_stamps_are_utc_with_milliseconds():
    assert (stamp(NOW), stamp(0.0)) == (STAMP, "1970-01-01T00:00:00.000Z")


# Lines below PIPE_BUF


def _merged(lines):
    """The original fact's fields, from its lines, by the rule of docs/events.md."""
    parts = [{key: value for key, value in line.items() if key not in ("part", "parts")} for line in lines]
    merged = parts[0]
    for part in parts[1:]:
        merged = _merge(merged, part)
    return merged


def _merge(one, other):
    if one == other:
        return one
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return {key: _merge(one[key], other[key]) for key in one}
    assert isinstance(one, list)
    return one + other


def _same(original, line):
    """Equal, but for strings that were cut."""
    if isinstance(original, str) and isinstance(line, str) and "…" in line:
        head, _, tail = line.partition("…")
        return original.startswith(head) and original.endswith(tail) if len(line) < len(original) else True
    if isinstance(original, dict) and isinstance(line, dict):
        return original.keys() == line.keys() and all(_same(original[key], line[key]) for key in original)
    if isinstance(original, list) and isinstance(line, list):
        return len(original) == len(line) and all(map(_same, original, line))
    return original == line


OPERATIONAL = [event for event in EVENTS if issubclass(event, Event) and event is not QueueStats]


@settings(deadline=None)
@given(facts(*OPERATIONAL), st.sampled_from(sorted(render)))
def test_any_event_becomes_lines_below_pipe_buf(fact, profile):
    writer, output = emitter(journal=True, level="debug", profile=profile)
    writer.emit(fact)
    assert all(len(line) < 4096 and line.endswith(b"}\n") and line.count(b"\n") == 1 for line in output.lines)
    assert all(isinstance(json.loads(line[3:]), dict) for line in output.lines)


@settings(deadline=None)
@given(facts(*OPERATIONAL))
def test_the_lines_of_one_event_together_say_all_of_it(fact):
    lines = written(fact, level="debug")
    if len(lines) > 1:
        assert [(line["part"], line["parts"]) for line in lines] == [
            (number, len(lines)) for number in range(1, len(lines) + 1)
        ]
    merged = _merged(lines)
    original = {"timestamp": STAMP, "level": fact.severity, **msgspec.to_builtins(fact)}
    assert _same(original, json.loads(json.dumps(merged)))


@settings(deadline=None)
@given(facts(QueueSnapshot, QueueStats))
def test_any_measurement_is_one_line_below_pipe_buf(snapshot):
    writer, output = emitter(journal=True)
    writer.emit(snapshot)
    (line,) = output.lines
    assert len(line) < 4096
    assert json.loads(line[3:])["queue_id"][:3] in ("…", snapshot.queue_id[:3])


def test_a_snapshot_with_too_many_media_types_loses_the_empty_and_small_ones_and_says_so():
    media = {f"medium_{at:03d}": MediaCounts(at if at > 50 else 0, 0, 0) for at in range(120)}
    (line,) = written(structs.replace(SNAPSHOT, media=media))
    assert line["media_omitted"] == 120 - len(line["media"]) > 0
    kept = sorted(counts["waiting"] for counts in line["media"].values())
    assert kept == list(range(120 - len(kept), 120))
    assert line["waiting"] == SNAPSHOT.waiting


def test_stats_with_too_many_media_types_lose_the_small_ones_and_say_so():
    """They are an event too, and are still no list to carry on: one line a queue."""
    stats = next(fact for fact in EXAMPLES if isinstance(fact, QueueStats))
    (medium,) = list(stats.media.values())[:1]
    media = {f"medium_{at:03d}": structs.replace(medium, offered=at) for at in range(60)}
    (line,) = written(structs.replace(stats, media=media))
    assert line["media_omitted"] == 60 - len(line["media"]) > 0
    assert sorted(counts["offered"] for counts in line["media"].values()) == list(
        range(60 - len(line["media"]), 60)
    )


def test_a_long_list_is_carried_on_and_the_other_fields_are_repeated():
    ids = [f"e8963ace-0000-4000-8000-{at:012d}" for at in range(200)]
    failed = BatchFailed(
        cycle=7, batch=3, queue_ids=ids, status=503, code=None, correlation_id=None, reason="why", attempts=3
    )
    lines = written(failed)
    assert [line["part"] for line in lines] == [1, 2, 3]
    assert {(line["cycle"], line["batch"], line["status"], line["reason"]) for line in lines} == {
        (7, 3, 503, "why")
    }
    assert list(chain.from_iterable(line["queue_ids"] for line in lines)) == ids


def test_a_list_deep_inside_is_carried_on_too():
    ids = [f"e8963ace-0000-4000-8000-{at:012d}" for at in range(10_000)]
    config = {"poll": {"interval": 15}, "queues": {"ids": ids, "names": ["*"]}}
    started = structs.replace(EXAMPLES[0], config=config)
    assert isinstance(started, DaemonStarted)
    lines = written(started)
    assert list(chain.from_iterable(line["config"]["queues"]["ids"] for line in lines)) == ids
    assert all(line["config"]["queues"]["names"] == ["*"] for line in lines)
    assert len(lines) == lines[0]["parts"] < 120


def test_every_problem_of_a_rejected_configuration_is_written():
    problems = [
        Problem(key=f"queues.ids[{at}]", problem="not a UUID " * 9, fix="look it up") for at in range(300)
    ]
    lines = written(ConfigRejected(problems=problems))
    assert list(chain.from_iterable(line["problems"] for line in lines)) == msgspec.to_builtins(problems)


def test_a_long_traceback_keeps_its_end_and_a_long_message_its_start():
    text = "".join(f"line {at}\n" for at in range(5000))
    crashed, message = written(
        CycleCrashed(cycle=1, scheduled_at=TICK, error="E", traceback=text),
        LogMessage(logger="x", message=text),
    )
    assert crashed["traceback"].startswith("…")
    assert crashed["traceback"].endswith("line 4999\n")
    assert message["message"].startswith("line 0\n")
    assert message["message"].endswith("…")


# Secrets

# What a profile calls its fields stands in every line: a secret spelled like a part of it is not leaked by it.
FIELD_NAMES = "".join(
    renderer(fact, "", "info", None).decode() for renderer in render.values() for fact in EXAMPLES
)

SECRETS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x2FF), min_size=6, max_size=40).filter(
    lambda text: (
        text.strip("* ") != ""
        and text not in ascii(EXAMPLES)
        and text not in FIELD_NAMES
        and not text.isdigit()
    )
)


@given(SECRETS, st.integers(0, 3), st.sampled_from(sorted(render)))
def test_no_form_of_a_secret_reaches_a_line(secret, before, profile):
    import base64
    from urllib.parse import quote, quote_plus

    writer, output = emitter(profile=profile)
    writer.redact(secret)
    basic = base64.b64encode(b"i" * before + b":" + secret.encode()).decode()
    forms = [secret, json.dumps(secret), quote(secret, safe=""), quote_plus(secret), repr(secret)]
    writer.emit(
        *(LogMessage(logger="x", message=f"before {form} after") for form in forms),
        LogMessage(logger="x", message=f"Authorization: Basic {basic}", traceback=secret),
        structs.replace(EXAMPLES[0], config={"client": [secret], "x" + secret: 1}),
    )
    assert len(output.lines) == len(forms) + 2
    for line in output.objects:
        text = " ".join(_texts(line))
        assert not [form for form in forms if form.strip("'\"") in text]
        assert basic[8:-4] not in text or len(basic[8:-4]) < 6


@pytest.mark.parametrize("place", ["queue_name", "division", "medium", "status", "queue_id"])
@pytest.mark.parametrize("profile", sorted(render))
def test_a_snapshot_whose_names_hold_a_secret_is_masked_also_where_they_were_harmless_before(place, profile):
    secret = "s3cret_of_the_client"
    snapshot = next(fact for fact in EXAMPLES if isinstance(fact, QueueSnapshot))
    changed = {
        "queue_name": {"queue_name": f"Billing {secret}"},
        "division": {"division": secret},
        "medium": {"media": {secret: MediaCounts(1, 0, 0)}},
        "status": {"agents_by_status": {secret: 1}},
        "queue_id": {"queue_id": secret},
    }[place]
    telling = structs.replace(snapshot, **changed)
    writer, output = emitter(profile=profile)
    writer.emit(snapshot, telling, telling)
    writer.redact(secret)
    writer.emit(snapshot, telling, telling)
    assert [secret in line.decode() for line in output.lines] == [False, True, True, False, False, False]
    assert len(output.objects) == 6


def _texts(value):
    if isinstance(value, dict):
        for key, child in value.items():
            yield key
            yield from _texts(child)
    elif isinstance(value, list):
        for child in value:
            yield from _texts(child)
    elif isinstance(value, str):
        yield value


def test_short_strings_are_no_secrets():
    writer, output = emitter()
    writer.redact("inf", "")
    writer.emit(structs.replace(STOPPED, reason="info"))
    assert output.objects[0]["reason"] == "info"


def test_renewed_tokens_leave_no_memory_behind():
    """A client with the shortest token lifetime renews 288 times a day."""
    redaction = Redaction(["a-client-secret-of-some-length"])

    def renew(first, count):
        for number in range(first, first + count):
            redaction.add([f"an-access-token-as-long-as-the-real-ones-are-{number:040d}"], passing=True)

    def allocated():
        gc.collect()  # a pattern's parse tree is a circle, and dies when the collector happens to run
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        renew(0, 4)
        before = allocated()
        renew(4, 4)
        after = allocated()
    finally:
        tracemalloc.stop()
    assert after - before < 4 * 25_000, "the pattern of one token takes 50 KB"


def test_of_passing_secrets_the_latest_are_remembered_and_lasting_ones_stay():
    writer, output = emitter()
    writer.redact("the client secret")
    for number in range(100):
        writer.redact(f"token-number-{number:03d}", passing=True)
    writer.emit(structs.replace(STOPPED, reason="the client secret token-number-099 token-number-092"))
    assert output.objects[0]["reason"] == "*** *** ***"


def test_a_secret_in_the_middle_of_an_escape_leaves_the_line_valid():
    writer, output = emitter()
    writer.redact("nabcdef")
    writer.emit(structs.replace(STOPPED, reason="\nabcdef nabcdef"))
    assert output.objects[0]["reason"] == "\nabcdef ***"


# Observers


def test_observers_see_every_fact_the_silenced_ones_too():
    writer, _ = emitter(level="critical")
    seen: list[Fact] = []
    writer.observers.append(seen.append)
    writer.emit(STOPPED, SNAPSHOT)
    assert seen == [STOPPED, SNAPSHOT]


def test_an_observer_that_fails_costs_no_line_and_is_named_once():
    writer, output = emitter()

    def fail(fact):
        raise RuntimeError("metrics are broken")

    writer.observers.append(fail)
    writer.emit(STOPPED)
    writer.emit(STOPPED)
    assert [line["event"] for line in output.objects] == ["log.message", "daemon.stopped", "daemon.stopped"]
    assert "metrics are broken" in output.objects[0]["message"]


# Logging


@pytest.fixture
def logged():
    writer, output = emitter()
    undo = install_logging(writer)
    yield writer, output
    undo()


def test_library_log_lines_become_log_messages_from_warning_up(logged):
    _, output = logged
    logging.getLogger("urllib3.pool").info("quiet")
    logging.getLogger("urllib3.pool").warning("pool of %d is full", 4)
    logging.getLogger("queuetick.daemon").info("own")
    assert [(line["level"], line["logger"], line["message"]) for line in output.objects] == [
        ("warning", "urllib3.pool", "pool of 4 is full"),
        ("info", "queuetick.daemon", "own"),
    ]


def test_the_level_of_the_configuration_decides_for_libraries_too(logged):
    writer, output = logged
    writer.configure(level="error", profile="plain")
    logging.getLogger("urllib3").warning("quiet")
    writer.configure(level="debug", profile="plain")
    logging.getLogger("urllib3").debug("loud")
    assert [line["message"] for line in output.objects] == ["loud"]


def test_a_traceback_is_a_field(logged):
    _, output = logged
    try:
        int("no")
    except ValueError:
        logging.getLogger("apscheduler").exception("job failed")
    (line,) = output.objects
    assert (line["level"], line["message"]) == ("error", "job failed")
    assert line["traceback"].startswith("Traceback") and "ValueError: invalid" in line["traceback"]


def test_a_warning_of_a_library_has_no_traceback(logged):
    """As urllib3 gives one to its warning about a header that cannot be read."""
    _, output = logged
    logging.getLogger("urllib3.connection").warning("header", exc_info=ValueError("no colon"))
    (line,) = output.objects
    assert "traceback" not in line


def test_a_log_call_with_the_wrong_arguments_is_still_a_line():
    writer, output = emitter()
    LineLogger(writer).handle(
        logging.makeLogRecord({"msg": "%d queues", "args": ("many",), "levelno": logging.ERROR})
    )
    assert output.objects[0]["message"] == "%d queues ('many',)"


def test_warnings_become_lines(logged):
    _, output = logged
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old call", DeprecationWarning, stacklevel=1)
    assert "DeprecationWarning: old call" in output.objects[0]["message"]


def test_install_logging_can_be_undone():
    before = (logging.getLogger().handlers[:], logging.getLogger().level)
    install_logging(emitter()[0])()
    assert (logging.getLogger().handlers[:], logging.getLogger().level) == before


def test_many_threads_write_whole_lines_and_lose_none():
    writer, output = emitter()
    start = threading.Barrier(8)

    def write(number):
        start.wait()
        for cycle in range(200):
            writer.emit(
                *(structs.replace(SNAPSHOT, cycle=cycle, queue_id=f"{number}-{at}") for at in range(5))
            )

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = [(line["queue_id"], line["cycle"]) for line in output.objects]
    assert len(seen) == len(set(seen)) == 8 * 200 * 5


def test_a_queue_without_a_name_has_no_name_field():
    (line,) = written(QueueMissing(cycle=1, queue_id="q", reason="left out"))
    assert "queue_name" not in line
