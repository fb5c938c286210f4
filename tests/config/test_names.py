"""One rule for patterns: brackets are themselves, only * and ? are wild, and letters compare as people read them."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuetick.config import Queues
from queuetick.events import Queue
from queuetick.names import folded, matches, suggestion
from queuetick.polling.selection import Unmatched, select, unmatched

NFD = unicodedata.normalize("NFD", "Café Süd")


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("[VIP]*", "[VIP] Gold"),
        ("[vip] gold", "[VIP] Gold"),
        ("Sales [1-3]", "Sales [1-3]"),
        ("caf\u00e9 s\u00fcd", NFD),
        (NFD, "CAF\u00c9 S\u00dcD"),
        ("STRASSE", "Stra\u00dfe"),
        ("Support  EMEA", " Support\u00a0EMEA"),
        ("Support\tEMEA", "Support EMEA"),
        ("What?", "What?"),
        ("Wha??", "What?"),
        ("*", ""),
        ("**", "x"),
        ("a*b*c", "a b b c"),
        ("a\\*", "a\\b"),
        ("*\n*", "a b"),
    ],
)
def test_a_pattern_matches_as_people_read_it(pattern, name) -> None:
    assert matches(pattern, name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("[VIP]*", "Payments"),
        ("[!a]", "b"),
        ("Sales [1-3]", "Sales 2"),
        ("a?", "a"),
        ("a*a", "a"),
        ("Sales", "Sales EMEA"),
        ("", "x"),
        ("a.c", "abc"),
        ("(a|b)", "a"),
    ],
)
def test_a_pattern_does_not_match_beyond_its_characters(pattern, name) -> None:
    assert not matches(pattern, name)


@given(name=st.text(max_size=30))
def test_every_name_matches_itself_whatever_is_in_it(name) -> None:
    assert matches(name, name)
    assert matches(name.upper(), name) or folded(name.upper()) != folded(name)
    assert matches("*", name)
    assert matches(unicodedata.normalize("NFD", name), unicodedata.normalize("NFC", name))


@given(parts=st.lists(st.text("ab[] ", max_size=3), min_size=1, max_size=4), filler=st.text("ab", max_size=5))
def test_a_star_stands_for_any_text(parts, filler) -> None:
    assert (
        matches("*".join(parts), filler.join(parts))
        or "".join(parts) != "".join(parts).strip()
        or "  " in (filler.join(parts))
    )


def test_many_stars_cost_no_time() -> None:
    began = time.process_time()
    assert not matches("*a" * 40 + "*b", "a" * 5000)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("text", "known", "said"),
    [
        ("\u0405ales", "Sales", "It has 's' where yours has '\u0455' (U+0455 CYRILLIC SMALL LETTER DZE)"),
        ("Suport EMEA", "Support EMEA", "Yours lacks the 'p' at character 3"),
        ("Sales\u200b", "Sales", "It lacks the '\\u200b' (U+200B ZERO WIDTH SPACE) at character 6 of yours"),
        ("Sales_EMEA*", "Sales EMEA", "It has ' ' where yours has '_'"),
    ],
)
def test_a_suggestion_says_where_it_differs(text, known, said) -> None:
    assert f"did you mean {known!r}? {said}" == suggestion(text, ["Billing", known])


def test_what_is_like_nothing_gets_no_suggestion() -> None:
    assert suggestion("zzz", ["Sales"]) is None
    assert suggestion("zzz", []) is None


@given(text=st.text(max_size=20), known=st.lists(st.text(max_size=20), max_size=4))
def test_a_suggestion_of_any_text_is_one_of_the_known_names(text, known) -> None:
    said = suggestion(text, known)
    assert said is None or any(repr(name) in said for name in known)


LISTING = [
    Queue("0a", "[VIP] Gold", "Home", "d-1"),
    Queue("0b", "Payments", "EMEA  South", "D-2"),
    Queue("0c", None, None, None),
]


def chosen(**settings: tuple[str, ...]) -> list[str]:
    return [queue.id for queue in select(Queues(**settings), LISTING)]


def test_brackets_in_a_pattern_are_brackets() -> None:
    assert ["0a"] == chosen(names=("[VIP]*",))
    assert ["0b", "0c"] == chosen(names=("*",), exclude=("[vip]*",))


def test_divisions_compare_by_the_same_rule_or_by_id() -> None:
    for entry in ("emea south", "EMEA\u00a0South", "d-2", "D-2", "emea*"):
        assert ["0b"] == chosen(names=("*",), divisions=(entry,)), entry
    assert [] == chosen(names=("*",), divisions=("[EMEA] South",))


def test_entries_that_match_nothing_are_named_each_with_what_is_like_it() -> None:
    settings = Queues(
        ids=("0A", "0F", "0F"), names=("[VIP]*", "Payment"), divisions=("Hone", "d-1"), exclude=("0c", "x")
    )
    found = unmatched(settings, LISTING)
    suggestions = (
        ("Payment", "did you mean 'Payments'? Yours lacks the 's' at character 8"),
        ("Hone", "did you mean 'Home'? It has 'm' where yours has 'n'"),
    )
    assert Unmatched(("Payment",), ("Hone",), ("0F",), ("x",), suggestions) == found
    assert Unmatched() == unmatched(Queues(), LISTING)
