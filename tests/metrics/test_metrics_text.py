"""The text: what Prometheus reads is what the API said; null is absence."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from queuetick.events import MediaCounts, QueueSnapshot
from queuetick.events.examples import EXAMPLES
from queuetick.events.thresholds import Severity, Threshold
from queuetick.metrics.health import InForce
from queuetick.metrics.queues import QueueText

from .recorded import IN_FORCE, SNAPSHOT, Recorded
from .scraping import Series

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
BARE = replace(
    SNAPSHOT,
    queue_name=UNSET,
    division=UNSET,
    waiting=None,
    agents_available=None,
    interacting=None,
    longest_wait_seconds=None,
    over_target=None,
    agents_on_queue=None,
    media=None,
)


FULL = replace(
    IN_FORCE,
    org="emea",
    stats_every=60.0,
    route_limits={"stats": 60},
    thresholds=(Threshold(waiting=5, longest_wait=60),),
)


def exposed(*snapshots: QueueSnapshot, in_force: InForce = IN_FORCE) -> bytes:
    recorded = Recorded(in_force)
    recorded(*snapshots)
    return recorded.metrics.text()


def read(*snapshots: QueueSnapshot) -> Series:
    return Series.of(exposed(*snapshots).decode())


def checked(promtool: str, text: bytes) -> str:
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return (done.stdout + done.stderr).decode()


def test_null_is_absence_and_zero_is_zero() -> None:
    assert not [key for key in read(BARE) if key[0].startswith("genesys_queue_")]
    series = read(replace(BARE, waiting=0, agents_available=0, agents_on_queue=0, interacting=0))
    assert {0.0} == {
        series.one(f"genesys_queue_{name}", queue_id=BARE.queue_id)
        for name in ("waiting", "agents_available", "agents_on_queue", "interacting")
    }
    assert series.total("genesys_queue_longest_wait_seconds") is None


def test_a_null_within_a_media_type_is_absence_too() -> None:
    media = {"voice": MediaCounts(4, None, None), "email": MediaCounts(None, 2, None, 7.5)}
    series = read(replace(SNAPSHOT, media=media))
    assert {"voice"} == {dict(labels)["media"] for labels in series.select("genesys_queue_waiting")}
    assert {"email"} == {dict(labels)["media"] for labels in series.select("genesys_queue_interacting")}
    assert series.total("genesys_queue_longest_wait_seconds", media="email") == 7.5


def test_sum_counts_every_contact_once() -> None:
    """By media or without it, never both."""
    without = replace(SNAPSHOT, queue_id="details", media=None)
    series = read(SNAPSHOT, without)
    assert series.total("genesys_queue_waiting", queue_id=SNAPSHOT.queue_id) == SNAPSHOT.waiting
    assert series.total("genesys_queue_waiting") == 2 * SNAPSHOT.waiting
    assert series.total("genesys_queue_interacting") == 2 * SNAPSHOT.interacting
    assert not series.select("genesys_queue_waiting", queue_id="details", media="all")


def test_agents_have_no_media() -> None:
    """An agent who is free is free for all of them: by media, sum() would count her five times."""
    labels = {"queue_id": SNAPSHOT.queue_id, "queue_name": "Support EMEA", "division": "Home"}
    assert read(SNAPSHOT).one("genesys_queue_agents_available", **labels) == 3


def test_a_label_that_is_not_known_is_left_out() -> None:
    assert read(replace(BARE, waiting=2)).one("genesys_queue_waiting", queue_id=BARE.queue_id) == 2


@given(
    name=st.text(st.characters(exclude_categories=("Cs",))),
    division=st.text('ab\\"\n{},=é#'),
    media=st.text(min_size=1),
    org=st.text('ab\\"\n{},=é#', min_size=1),
)
def test_any_name_comes_through(name, division, media, org) -> None:
    snapshot = replace(SNAPSHOT, queue_name=name, division=division, media={media: MediaCounts(5, 1, 0)})
    text = b"".join(QueueText(str).render(org, [snapshot], [], (), 0.0)).decode()
    # The parser splits at what Python calls line ends; Prometheus ends a line at \n alone.
    if not re.search("[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", name + media) and not re.search(
        "[\ud800-\udfff]", media
    ):
        labels = {
            "queue_id": snapshot.queue_id,
            "queue_name": name,
            "division": division,
            "media": media,
            "org": org,
        }
        assert Series.of(text).one("genesys_queue_waiting", **labels) == 5


def test_a_lone_surrogate_costs_a_character_and_not_the_scrape() -> None:
    assert b'queue_name="bad?name"' in exposed(replace(SNAPSHOT, queue_name="bad\ud800name"))


def test_targets_are_by_media_and_over_target_is_of_the_queue() -> None:
    media = {"voice": MediaCounts(4, 0, 0, 30.0, wait_target_seconds=20.0), "email": MediaCounts(1, 0, 0)}
    series = read(replace(SNAPSHOT, media=media, over_target=True))
    labels = {"queue_id": SNAPSHOT.queue_id, "queue_name": "Support EMEA", "division": "Home"}
    assert {20.0} == set(series.select("genesys_queue_wait_target_seconds").values())
    assert series.one("genesys_queue_wait_target_seconds", media="voice", **labels) == 20.0
    assert series.one("genesys_queue_over_target", **labels) == 1
    assert read(replace(SNAPSHOT, over_target=None)).total("genesys_queue_over_target") is None


def at(now: float, *thresholds: Threshold, **fields) -> Series:
    """What a queue with 4 calls (30 s) and an e-mail (2 h) waiting shows at `now`."""
    voice = MediaCounts(4, 0, 0, 30.0, wait_target_seconds=20.0)
    email = MediaCounts(1, 0, 0, 7200.0, wait_target_seconds=86_400.0)
    fields = {"media": {"voice": voice, "email": email}, "over_target": True, **fields}
    snapshot = replace(SNAPSHOT, **fields)
    return Series.of(b"".join(QueueText(str).render(None, [snapshot], [], thresholds, now)).decode())


MONDAY_NOON, MONDAY_NIGHT = 1795435200.0, 1795474800.0


def severity(series: Series, kind: str = "live") -> float | None:
    return series.total("genesys_queue_severity", kind=kind)


def test_severity_is_the_one_that_watch_and_tail_show() -> None:
    """Each queue's own target where no threshold selects it, the first threshold whose hours hold where one does."""
    assert severity(at(0)) == Severity.WARN
    assert severity(at(0, agents_on_queue=0)) == Severity.CRIT
    assert severity(at(0, waiting=0, media={})) == Severity.QUIET
    assert severity(at(0, Threshold(media=("voice",), waiting=(4.0, 10.0)))) == Severity.WARN
    assert severity(at(0, Threshold(names=("other",)))) == Severity.WARN
    assert severity(at(0, Threshold(waiting=6.0))) == Severity.NORMAL


def test_a_mailbox_has_a_severity_of_its_own_so_that_it_need_not_page() -> None:
    assert severity(at(0), "asynchronous") == Severity.NORMAL
    late = {"email": MediaCounts(1, 0, 0, 90_000.0, wait_target_seconds=86_400.0)}
    series = at(0, waiting=1, media=late, agents_on_queue=0)
    assert (Severity.QUIET, Severity.WARN) == (severity(series), severity(series, "asynchronous"))
    assert severity(at(0, media={"voice": MediaCounts(1, 0, 0)}), "asynchronous") is None


def test_limits_are_by_media_and_level_while_their_hours_hold_and_the_queue_is_closed_outside() -> None:
    office = Threshold(
        media=("voice",), waiting=9.0, longest_wait=(20.0, 60.0), hours="Mon-Fri 08:00-18:00 Europe/Berlin"
    )
    series = at(MONDAY_NOON, office)
    assert {"warning": 20.0, "critical": 60.0} == limits(series, "longest_wait_limit_seconds")
    assert {"critical": 9.0} == limits(series, "waiting_limit")
    assert series.total("genesys_queue_closed") is None
    series = at(MONDAY_NIGHT, office)
    assert ({}, {}) == (limits(series, "longest_wait_limit_seconds"), limits(series, "waiting_limit"))
    assert ["voice"] == [dict(labels)["media"] for labels in series.select("genesys_queue_closed")]
    assert severity(series) == Severity.NORMAL


def limits(series: Series, name: str) -> dict[str, float]:
    found = series.select(f"genesys_queue_{name}", media="voice")
    return {dict(labels)["level"]: value for labels, value in found.items()}


def test_every_series_has_the_org_where_one_is_set_and_none_where_not() -> None:
    with_org = Series.of(exposed(*EXAMPLES, in_force=FULL).decode())
    assert {"emea"} == {dict(labels).get("org") for _, labels in with_org}
    without = Series.of(exposed(*EXAMPLES, in_force=replace(FULL, org=None)).decode())
    assert {None} == {dict(labels).get("org") for _, labels in without}


def test_a_secret_in_a_name_is_masked() -> None:
    named = replace(SNAPSHOT, queue_name="hunter2hunter2", division="hunter2hunter2")
    masking = QueueText(lambda value: value.replace("hunter2hunter2", "***"))
    text = b"".join(masking.render("org", [named], [], (), 0.0))
    assert b"hunter2" not in text
    assert b'queue_name="***"' in text


def test_promtool_finds_nothing_to_say(promtool) -> None:
    odd = replace(
        SNAPSHOT,
        queue_id="odd",
        queue_name='"quoted" \\ back\nline\r\u2028 \x7f é',
        media={"": MediaCounts(1, 1, 1)},
    )
    assert checked(promtool, exposed()) == ""
    assert checked(promtool, exposed(*(fact for fact in EXAMPLES), odd, BARE)) == ""


def test_every_family_is_in_the_docs_and_the_docs_name_no_other() -> None:
    series = {
        line.split()[2]
        for line in exposed(*EXAMPLES, in_force=FULL).decode().splitlines()
        if line.startswith("# TYPE")
    }
    own = {name for name in series if not name.startswith("process_")}
    documented = set(re.findall(r"^\| `((?:genesys|queuetick)_\w+)", DOCS.read_text(), re.MULTILINE))
    assert own == documented


def test_every_series_that_can_be_named_beforehand_is_there_at_0() -> None:
    """So that rate() and increase() see the first of them."""
    series = read()
    for name, labels in {
        "queuetick_cycles_total": 4,
        "queuetick_cycles_skipped_total": 3,
        "queuetick_batches_total": 3,
        "queuetick_rate_limit_pauses_total": 15,
        "queuetick_token_renewals_total": 3,
        "queuetick_api_lost": 4,
        "queuetick_unhealthy": 7,
    }.items():
        expected = [0.0] * labels
        if name == "queuetick_unhealthy":
            expected = [1.0, *expected[1:]]  # starting
        assert expected == list(series.select(name).values()), name


def test_no_secret_and_no_global_metric_gets_in() -> None:
    assert not [name for name, _ in read() if not name.startswith(("queuetick_", "process_"))]
