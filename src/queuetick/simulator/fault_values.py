"""The values that each knob of Faults may have."""

from collections.abc import Mapping
from dataclasses import Field
from types import NoneType
from typing import Any, get_args

from queuetick.simulator.fault_rules import ANSWER_FAULTS, Rule, UnknownFaultError

WINDOWS = ("fixed", "sliding")
RETRY_AFTER_FORMS = ("seconds", "date", "absent")
UNKNOWN_QUEUE_FORMS = ("absent", "no_data", "bad_request")

_PROBABILITIES = (*ANSWER_FAULTS, "login_hang", "login_reset", "login_html", "login_garbage")
_TEXTS = tuple[str, ...]
_CHOSEN = float | tuple[str, ...]
"""Types of knobs: a list of strings, and a share or a list of ids."""
_CHOICES = {"window": WINDOWS, "unknown_queue": UNKNOWN_QUEUE_FORMS}
_SIGNED = ("clock_skew",)
_TABLES = {"status": "HTTP statuses", "login_status": "HTTP statuses", "listing_cut": "page numbers"}


def plain(knob: Field[Any], value: Any) -> Any:
    """Bring JSON's and TOML's containers into the forms of the fields."""
    name = knob.name
    if knob.type in (_TEXTS, _CHOSEN) and isinstance(value, list | tuple):
        return tuple(str(item) for item in value)
    if name == "rules" and isinstance(value, list | tuple):
        return tuple(each if isinstance(each, Rule) else Rule.from_mapping(each) for each in value)
    if name in _TABLES and isinstance(value, Mapping):
        try:
            return {int(key): item for key, item in value.items()}
        except ValueError:
            raise UnknownFaultError(f"{name}: keys are {_TABLES[name]}, not {list(value)}") from None
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def problem(knob: Field[Any], value: Any) -> str | None:  # noqa: PLR0912 - a decision table
    """What is wrong with the value of a field of Faults."""
    name, kind = knob.name, knob.type
    if name in _PROBABILITIES:
        if not _is_number(value) or not 0 <= value <= 1:
            return f"{name} is a probability between 0 and 1, not {value!r}"
    elif name in ("status", "login_status"):
        if not isinstance(value, Mapping):
            return f"{name} maps HTTP statuses to probabilities, not {value!r}"
        for status, chance in value.items():
            if (
                not isinstance(status, int)
                or not 400 <= status <= 599
                or not _is_number(chance)
                or not 0 <= chance <= 1
            ):
                return f"{name} maps 400..599 to probabilities, not {status!r} to {chance!r}"
    elif name == "rules":
        if not isinstance(value, tuple) or not all(isinstance(each, Rule) for each in value):
            return f"rules is a list of rules, not {value!r}"
    elif name == "listing_cut":
        if not isinstance(value, Mapping) or not all(
            isinstance(each, int) and each >= 0 for pair in value.items() for each in pair
        ):
            return f"listing_cut maps page numbers to rows, not {value!r}"
    elif name == "listing_page_count" and isinstance(value, str):
        return None
    elif name in _CHOICES:
        if value not in _CHOICES[name]:
            return f"{name} is one of {', '.join(_CHOICES[name])}, not {value!r}"
    elif name == "retry_after":
        if not (value in RETRY_AFTER_FORMS or (_is_number(value) and value >= 0)):
            return f"retry_after is {', '.join(RETRY_AFTER_FORMS)} or a number of seconds, not {value!r}"
    elif kind == _CHOSEN and _is_number(value):
        if not 0 <= value <= 1:
            return f"{name} is a share between 0 and 1 or a list of ids, not {value!r}"
    elif kind in (_TEXTS, _CHOSEN):
        if not isinstance(value, tuple):
            return f"{name} is a list of strings, not {value!r}"
        if name == "script":
            return _script_problem(value)
    elif kind is bool:
        if not isinstance(value, bool):
            return f"{name} is true or false, not {value!r}"
    elif name == "unknown_media":
        if not isinstance(value, str) or (value and not value.isidentifier()):
            return f"unknown_media is a name like hologram, not {value!r}"
    elif value is None and NoneType in get_args(kind):
        return None
    elif not _is_number(value) or (value < 0 and name not in _SIGNED):
        return f"{name} is a number of at least 0, not {value!r}"
    return None


def _script_problem(steps: tuple[str, ...]) -> str | None:
    for step in steps:
        is_status = step.isdecimal() and 400 <= int(step) <= 599
        if not is_status and step != "ok" and step not in ANSWER_FAULTS:
            return f"script: {step!r} is neither ok, nor a status, nor one of {', '.join(ANSWER_FAULTS)}"
    return None
