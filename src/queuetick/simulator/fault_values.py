"""The values that each knob of Faults may have."""

from collections.abc import Mapping
from typing import Any

from queuetick.simulator.fault_rules import ANSWER_FAULTS, Rule, UnknownFaultError

WINDOWS = ("fixed", "sliding")
RETRY_AFTER_FORMS = ("seconds", "date", "absent")
UNKNOWN_QUEUE_FORMS = ("absent", "no_data", "bad_request")

_PROBABILITIES = (*ANSWER_FAULTS, "login_hang", "login_reset", "login_html", "login_garbage")
_TUPLES = (
    "bad_ids",
    "denied_permissions",
    "listing_deletes",
    "listing_repeated",
    "listing_unreadable",
    "missing_queues",
    "only",
    "queues_without_data",
    "script",
)
_CHOICES = {"window": WINDOWS, "unknown_queue": UNKNOWN_QUEUE_FORMS}
_SHARES = (
    "listing_deletes",
    "listing_repeated",
    "listing_unreadable",
    "missing_queues",
    "queues_without_data",
)
_SIGNED = ("clock_skew",)
_TABLES = {"status": "HTTP statuses", "login_status": "HTTP statuses", "listing_cut": "page numbers"}
_NULLABLE = ("listing_page_count", "listing_total", "stated_lifetime", "status_retry_after")
_FLAGS = ("legacy_429", "listing_empty", "rate_limit_headers")


def plain(name: str, value: Any) -> Any:
    """Bring JSON's and TOML's containers into the forms of the fields."""
    if name in _TUPLES and isinstance(value, list | tuple):
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


def problem(name: str, value: Any) -> str | None:  # noqa: PLR0912 - a decision table
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
    elif name in _SHARES and _is_number(value):
        if not 0 <= value <= 1:
            return f"{name} is a share between 0 and 1 or a list of ids, not {value!r}"
    elif name in _TUPLES:
        if not isinstance(value, tuple):
            return f"{name} is a list of strings, not {value!r}"
        if name == "script":
            return _script_problem(value)
    elif name in _FLAGS:
        if not isinstance(value, bool):
            return f"{name} is true or false, not {value!r}"
    elif name == "unknown_media":
        if not isinstance(value, str) or (value and not value.isidentifier()):
            return f"unknown_media is a name like hologram, not {value!r}"
    elif value is None and name in _NULLABLE:
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
