"""Which queues are polled, and what a discovery changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuetick.config import Queues
from queuetick.events import Queue
from queuetick.polling.selection import changes, explicit, select

SALES = Queue("id-sales", "Sales EMEA", "Home", "division-home")
SUPPORT = Queue("id-support", "Support EMEA", "Home", "division-home")
LOBBY = Queue("id-lobby", "Lobby", "Front", "division-front")
NAMELESS = Queue("id-nameless")
LISTING = [SALES, SUPPORT, LOBBY, NAMELESS]


def chosen(**settings) -> list[str]:
    return [queue.id for queue in select(Queues(**settings), LISTING)]


def test_without_a_word_all_queues_are_polled_also_one_without_a_name() -> None:
    assert LISTING == select(Queues(), LISTING)


def test_explicit_ids_come_first_in_their_order_once_each_in_lower_case() -> None:
    assert ["b", "a"] == [queue.id for queue in explicit(Queues(ids=("B", "a", "b", "A")))]


def test_explicit_ids_alone_are_all_that_is_polled_and_get_their_names() -> None:
    assert [LOBBY, Queue("unknown")] == select(Queues(ids=("ID-LOBBY", "unknown")), LISTING)


def test_ids_and_names_together_are_both() -> None:
    assert ["id-lobby", "id-sales"] == chosen(ids=("id-lobby",), names=("sales*", "lobby"))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["sales*"], ["id-sales"]),
        (["SALES EMEA"], ["id-sales"]),
        (["sales"], []),
        (["*emea"], ["id-sales", "id-support"]),
        (["s?les*", "[L]obby"], ["id-sales"]),
        ([""], ["id-nameless"]),
    ],
)
def test_globs_match_the_whole_name_whatever_its_case(names, expected) -> None:
    assert expected == chosen(names=tuple(names))


@pytest.mark.parametrize("division", ["home", "HOME", "division-home", "Division-Home"])
def test_divisions_by_name_or_id_narrow_what_the_globs_find(division) -> None:
    assert ["id-sales", "id-support"] == chosen(divisions=(division,))
    assert ["id-sales"] == chosen(divisions=(division,), names=("sales*",))


def test_several_divisions_are_any_of_them() -> None:
    assert ["id-sales", "id-support", "id-lobby"] == chosen(divisions=("home", "division-front"))


def test_divisions_do_not_narrow_explicit_ids() -> None:
    assert ["id-lobby", "id-sales", "id-support"] == chosen(
        ids=("id-lobby",), names=("*",), divisions=("home",)
    )


@pytest.mark.parametrize("pattern", ["support*", "SUPPORT EMEA", "id-support", "ID-SUPPORT"])
def test_exclude_takes_globs_on_the_name_and_ids(pattern) -> None:
    assert ["id-sales", "id-lobby", "id-nameless"] == chosen(exclude=(pattern,))


def test_exclude_wins_over_an_explicit_id_by_id_and_not_by_name() -> None:
    assert ["id-sales"] == chosen(ids=("id-sales", "id-lobby"), exclude=("ID-LOBBY",))
    assert ["id-lobby"] == chosen(ids=("id-lobby",), exclude=("lobby",))


listings = st.lists(
    st.builds(Queue, st.sampled_from("abcdef"), st.none() | st.sampled_from("XYZ"), st.none() | st.just("d")),
    max_size=8,
)
globs = st.lists(st.sampled_from(["*", "x", "Y", "z", "a", "B"]), max_size=3).map(tuple)


@given(
    ids=globs,
    names=st.none() | globs,
    divisions=st.sampled_from([(), ("D",)]),
    exclude=globs,
    listing=listings,
)
def test_a_queue_is_chosen_once_explicit_ids_always_and_nothing_that_is_excluded_by_id(
    ids, names, divisions, exclude, listing
) -> None:
    found = [queue.id for queue in select(Queues(ids, names, divisions, exclude), listing)]
    excluded = {pattern.lower() for pattern in exclude}
    asked = {queue_id.lower() for queue_id in ids} - excluded
    assert len(found) == len(set(found))
    assert asked <= set(found) <= asked | {queue.id for queue in listing}
    assert set() == excluded & set(found)


# What changed


def test_the_first_discovery_says_how_many_and_names_none() -> None:
    first = changes(None, LISTING)
    assert (4, 4, 0, 0, [], []) == (
        first.total, first.added, first.removed, first.renamed, first.added_ids, first.removed_ids,
    )  # fmt: skip
    assert 0 == changes(None, []).total


def test_a_discovery_that_changes_nothing_says_nothing() -> None:
    assert None is changes(LISTING, LISTING)
    assert None is changes(LISTING, LISTING[::-1])
    assert None is changes([], [])


def test_what_came_went_and_was_renamed_is_told() -> None:
    renamed = Queue(SALES.id, "Sales World", SALES.division, SALES.division_id)
    told = changes([SALES, SUPPORT], [renamed, LOBBY])
    assert (2, 1, 1, 1) == (told.total, told.added, told.removed, told.renamed)
    assert ([LOBBY.id], [SUPPORT.id]) == (told.added_ids, told.removed_ids)


def test_a_change_of_division_alone_is_told_as_renamed() -> None:
    moved = Queue(SALES.id, SALES.name, "Front", "division-front")
    told = changes([SALES], [moved])
    assert (1, 0, 0, 1) == (told.total, told.added, told.removed, told.renamed)


@given(before=listings, after=listings)
def test_before_less_what_went_plus_what_came_is_after(before, after) -> None:
    told = changes(before, after)
    old, new = {queue.id for queue in before}, {queue.id for queue in after}
    if told is None:
        assert old == new
    else:
        assert (old - set(told.removed_ids)) | set(told.added_ids) == new
        assert (len(told.added_ids), len(told.removed_ids)) == (told.added, told.removed)
        assert len(new) == told.total
