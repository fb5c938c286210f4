"""One table of the file, key by key, as a typed section, or every problem in it: unknown keys and wrong types."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import date, time
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Meta, Struct

from queuetick.events import Problem

PLACEHOLDER = "00000000-0000-0000-0000-000000000000"
"""Replaces a wrong value, so that no rule objects to it a second time."""

Section = TypeVar("Section", bound=Struct)

_IN_WORDS = (
    (r"Expected `str` of length", "is empty"),
    (r"Expected `array` of length (\d+), got (\d+)", "must have {} values, not {}"),
    (r"Expected `[^`]+` (<=|>=|<|>) (\S+)", "must be {} {}"),
    (r"Expected `([^`]+)`, got `([^`]+)`", "must be {}, not {}"),
    (r"Invalid enum value", "is not one of the allowed values"),
)
_WORDS = {
    "<=": "at most",
    ">=": "at least",
    "<": "below",
    ">": "above",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "datetime": "a date and time",
    "date": "a date",
    "time": "a time",
}

_SECRET = re.compile(r"secret|token|password|client_id|clientid", re.IGNORECASE)


def is_secret_key(key: str) -> bool:
    """Whether a key's name says that its value must not be shown."""
    return _SECRET.search(key) is not None


def convert(name: str, kind: type[Section], table: Any, problems: list[Problem]) -> Section:
    """Convert one table key by key, so that one bad value does not hide the next."""
    if not isinstance(table, dict):
        problems.append(Problem(name, "is a value, not a table", f"write it as a section: [{name}]"))
        return kind()
    hints = get_type_hints(kind, include_extras=True)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in hints:
            problems.append(unknown(f"{name}.{key}", key, hints))
            continue
        converted = _value(f"{name}.{key}", value, hints[key], problems)
        if converted is not msgspec.UNSET:
            values[key] = converted
    return kind(**values)


def _value(key: str, value: Any, hint: Any, problems: list[Problem]) -> Any:
    """Convert one value, UNSET where it is wrong.

    A list of text goes element by element: a placeholder replaces a wrong one, so that the rules still see the others
    at their own index.
    """
    if isinstance(value, list) and tuple[str, ...] in (get_args(hint)[0], *get_args(get_args(hint)[0])):
        bad = [index for index, element in enumerate(value) if not isinstance(element, str)]
        problems += [
            Problem(
                f"{key}[{index}]", f"must be text{_shown(key, value[index])}", f"{key} takes {describe(hint)}"
            )
            for index in bad
        ]
        value = [element if index not in bad else PLACEHOLDER for index, element in enumerate(value)]
    try:
        return msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        problem = _in_words(str(error)) + _shown(key, value)
        problems.append(Problem(key, problem, f"{key} takes {describe(hint)}"))
        return msgspec.UNSET


def _shown(key: str, value: Any) -> str:
    """The start of a wrong value, in brackets; nothing where it is empty or may hold a secret."""
    try:
        text = _spelled(value)
    except ValueError:  # int() and repr() stop at 4,300 digits; a hexadecimal literal does not
        return " (it is a number of thousands of digits)"
    return "" if value == "" or is_secret_key(key) or "@" in text else f" (it is {text:.60})"


def _spelled(value: Any) -> str:
    """A value as the file has it, also where Python spells it in another way."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, date | time) else repr(value)


def describe(hint: Any) -> str:
    """The description that a setting's type carries."""
    return next(meta.description for meta in hint.__metadata__ if isinstance(meta, Meta) and meta.description)


def _in_words(message: str) -> str:
    """What msgspec found wrong, for people who do not know Python's types."""
    for pattern, words in _IN_WORDS:
        if found := re.match(pattern, message):
            return words.format(*(_words(group) for group in found.groups()))
    return message


def _words(group: str) -> str:
    return " or ".join(_WORDS.get(word, word) for word in group.split(" | ") if word != "null")


def unknown(key: str, last: str, known: Mapping[str, Any]) -> Problem:
    if is_secret_key(last):
        return Problem(
            key,
            "is not a setting",
            "keep secrets out of the file: use GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET",
        )
    near = difflib.get_close_matches(last, list(known), n=1)
    prefix = key[: len(key) - len(last)]
    if near:
        return Problem(key, "is not a setting", f"did you mean {prefix}{near[0]}?")
    return Problem(key, "is not a setting", f"remove it; known here: {', '.join(known)}")
