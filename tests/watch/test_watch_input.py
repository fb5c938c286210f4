"""What a terminal sends becomes a key once, however it is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuetick.watch.input import Asked, Keyboard, press
from queuetick.watch.sort import Sort
from queuetick.watch.view import Pane, View

SENT = {
    b"q": "q",
    "é".encode(): "é",
    b"\x1b[A": "up",
    b"\x1bOB": "down",
    b"\x1b[5~": "pageup",
    b"\x1b[6~": "pagedown",
    b"\x1b[1;5C": "unknown",
    b"\x1b[<64;10;5M": "wheelup",
    b"\x1b[<65;10;5M": "wheeldown",
    b"\x1b[<0;10;5M": "click:9:4",
    b"\x1b[<0;10;5m": "unknown",
    b"\r": "enter",
    b"\x7f": "backspace",
    b"\x15": "erase",
}


@given(st.lists(st.sampled_from(sorted(SENT))), st.lists(st.integers(0, 30)))
def test_keys_do_not_depend_on_how_their_bytes_are_cut(sent: list[bytes], cuts: list[int]) -> None:
    """A slow line delivers a sequence in pieces."""
    keyboard, data, keys = Keyboard(), b"".join(sent), []
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in pairwise(places):
        keys += keyboard.feed(data[start:end])
    assert keys == [SENT[one] for one in sent]


@given(st.lists(st.binary(max_size=8)))
def test_no_bytes_stop_the_keyboard(chunks: list[bytes]) -> None:
    """A paste, a mouse report, line noise. Every key has a name."""
    keyboard = Keyboard()
    keys = [key for chunk in chunks for key in keyboard.feed(chunk)] + keyboard.settle()
    assert all(keys) and not keyboard.undecided


def test_an_escape_byte_is_the_key_when_nothing_follows_it() -> None:
    """And the next key is not swallowed."""
    keyboard = Keyboard()
    assert keyboard.feed(b"\x1b") == [] and keyboard.undecided
    assert keyboard.settle() == ["escape"] and not keyboard.undecided
    assert keyboard.feed(b"\x1bq") == ["escape", "q"]


def pressed(*keys: str, view: View | None = None) -> View:
    view = view or View()
    for key in keys:
        press(view, key, 10)
    return view


@pytest.mark.parametrize(
    ("key", "sort"),
    [("s", Sort.SEVERITY), ("w", Sort.WAITING), ("l", Sort.LONGEST), ("a", Sort.AVAILABLE), ("n", Sort.NAME)],
)
def test_a_sort_key_sorts_and_shows_the_top(key: str, sort: Sort) -> None:
    """The worst are at the top, wherever the reader had scrolled to."""
    view = pressed(key, view=View(sort=Sort.SEEN, offset=7))
    assert (view.sort, view.offset) == (sort, 0)


def test_toggles_go_back() -> None:
    """Pressed twice they are as before."""
    assert pressed("r", "p", "d") == View(reverse=True, problems=True, grouped=True)
    assert pressed("r", "p", "r", "p") == View()


def test_moving_the_cursor_is_left_to_the_screen() -> None:
    """`page` rows at a time; the wheel three."""
    assert pressed("up", "k").move == -2
    assert pressed("down", "j", "pagedown").move == 12
    assert pressed("wheeldown", "wheeldown", "wheelup").move == 3
    assert pressed("g").move < -1_000_000 and pressed("G").move > 1_000_000


def test_any_column_can_sort() -> None:
    """One to the left or right of the one that does, round and round."""
    columns = (Sort.SEVERITY, Sort.NAME, Sort.WAITING)
    view = View()
    found = []
    for key in (">", ">", ">", "<"):
        press(view, key, 9, columns)
        found.append(view.sort)
    assert found == [Sort.NAME, Sort.WAITING, Sort.SEVERITY, Sort.WAITING]


def test_escape_takes_away_what_was_opened_last() -> None:
    """The pane, then the cursor, then the filter."""
    view = View(words="x", cursor=("", "q1"), pane=Pane.DETAIL)
    states = []
    for _ in range(3):
        press(view, "escape", 9)
        states.append((view.pane, view.cursor, view.words))
    assert states == [(Pane.NONE, ("", "q1"), "x"), (Pane.NONE, None, "x"), (Pane.NONE, None, "")]
    assert press(view, "enter", 9) is Asked.OPEN
    assert pressed("e").pane is Pane.EVENTS and pressed("e", "e").pane is Pane.NONE


def test_typing_a_filter_takes_letters_that_are_keys_elsewhere() -> None:
    """q, space and ? are text there."""
    view = pressed("/", *"sqa ?x", "backspace")
    assert (view.words, view.typing) == ("sqa ?", True)
    assert pressed("enter", view=view).words == "sqa ?" and not view.typing
    assert pressed("escape", view=view).words == ""
    assert pressed("/", "a", "erase", "b").words == "b"
    assert pressed("/", "a", "escape") == View()
    assert press(View(typing=True), "up", 9) is Asked.NOTHING


def test_help_closes_on_any_key_and_quits_on_q() -> None:
    """Nobody is caught in it."""
    view = pressed("?")
    assert view.pane is Pane.HELP and press(view, "x", 9) is Asked.REDRAW and view.pane is Pane.NONE
    assert press(pressed("h"), "q", 9) is Asked.QUIT


def test_quitting_and_pausing_are_left_to_the_loop() -> None:
    """An unknown key is nothing at all."""
    assert [press(View(), key, 9) for key in ("q", "quit", " ", "unknown", "Z")] == [
        Asked.QUIT,
        Asked.QUIT,
        Asked.PAUSE,
        Asked.NOTHING,
        Asked.NOTHING,
    ]
