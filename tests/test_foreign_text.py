"""What a queue's name may bring to a terminal, by every door."""

from __future__ import annotations

import json
import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from queuetick.cli.streams import json_document
from queuetick.cli.terminal import shown
from queuetick.foreign_text import visible
from queuetick.watch.text import clean

EVERYTHING = [chr(code) for code in range(sys.maxunicode + 1)]
DOORS = {
    "check and queues": lambda text: shown(text, "utf-8"),
    "tail and watch": clean,
    "JSON": json_document,
}
TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
JOINERS = "\u200c\u200d"
FULL = "\ufffd"


def harm(character: str) -> str | None:
    """Why a terminal must not get `character`."""
    category = unicodedata.category(character)
    if category in ("Cc", "Cs", "Zl", "Zp"):
        return "steers"
    if unicodedata.bidirectional(character) in TURNS or character in "\u200e\u200f\u061c":
        return "turns"
    # Marks and emoji modifiers change the character before them, and jamo complete a syllable: none of them hides.
    if category in ("Mn", "Me", "Mc", "Sk", "Cn") or cell_len(character):
        return None
    name = unicodedata.name(character, "")
    jamo = name.startswith(("HANGUL JUNGSEONG", "HANGUL JONGSEONG")) and not name.endswith("FILLER")
    return None if jamo else "hides"


def test_of_all_of_unicode_nothing_that_steers_turns_or_hides_reaches_a_terminal() -> None:
    harmful = {each: why for each in EVERYTHING if (why := harm(each)) and each not in JOINERS}
    for door, write in DOORS.items():
        written = write("".join(c for c in EVERYTHING if c != "\n" or door != "JSON"))
        assert {each: harmful[each] for each in set(written) & harmful.keys() - {"\n"}} == {}, door


def test_every_door_replaces_the_same_characters_and_keeps_every_letter() -> None:
    everything = "".join(EVERYTHING)
    seen = visible(everything)
    assert clean(everything) == shown(everything, "utf-8") == seen
    changed = [(one, other) for one, other in zip(everything, seen, strict=True) if one != other]
    assert {other for _, other in changed} == {FULL}
    replaced = [one for one, _ in changed if one != "\n"]
    assert json.loads(json_document(replaced)) == replaced
    assert visible("Énergie 日本\x1b[31m\n\u2028") == f"Énergie 日本{FULL}[31m{FULL}{FULL}"
    assert visible("soft\u00adhyphen") == f"soft{FULL}hyphen"


def test_joiners_stay_because_scripts_and_emoji_need_them() -> None:
    for name in (
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "क्\u200dष",
        "👩\u200d💻 Support",
        "❤\ufe0f Sales",
    ):
        assert visible(name) == clean(name) == name
        assert json.loads(json_document([name])) == [name]


@given(st.text(st.characters(exclude_categories=())))
def test_a_text_is_shown_as_its_characters_are(text) -> None:
    assert visible(text) == "".join(map(visible, text))
