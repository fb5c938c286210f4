"""The checks as text for people, and as one JSON document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from queuetick import __version__
from queuetick.check.result import Check, Evidence, Item, Status, exit_of
from queuetick.cli.streams import json_document
from queuetick.clock import utc
from queuetick.foreign_text import visible

SHOWN_ITEMS = 20
"""Items of one check that the text shows; --json has them all."""

EVIDENCE_SHOWN = ("status", "code", "correlation_id", "retry_after_seconds", "verify_code")
"""Evidence that the text shows; the rest is in the message already."""

_COLOURS = {"pass": "32", "warn": "33", "fail": "1;31", "skipped": "2"}

Colour = Callable[[str, str], str]


def painter(*, colour: bool) -> Colour:
    """A function (text, status) that colours, or leaves text as it is."""
    if not colour:
        return lambda text, _: text
    return lambda text, status: f"\x1b[{_COLOURS[status]}m{text}\x1b[0m"


def as_text(checks: Sequence[Check], paint: Colour) -> str:
    """One check with its fix, its evidence and its items, each on a line; or several that one cause skipped."""
    check = checks[0]
    names = ", ".join(each.name for each in checks)
    lines = [f"{paint(f'{check.status:<8}', check.status)}{names}: {visible(check.message)}"]
    if check.status in ("warn", "fail"):
        items = [item for item in check.items if item.status != "pass"]
        if len(items) < 2:  # the check itself says what its one item says
            lines += _more("fix", check.fix)
            lines += _more("evidence", evidence_words(check.evidence))
            items = []
        lines += _more("note", check.note)
        for item in items[:SHOWN_ITEMS]:
            lines += _item(item, paint)
        if len(items) > SHOWN_ITEMS:
            lines.append(f"{'':8}… and {len(items) - SHOWN_ITEMS} more; --json lists all")
    if check.name == "config":
        sources = (item for item in check.items if item.status == "pass")
        lines += [f"{'':8}{visible(source.subject)}: {visible(source.message)}" for source in sources]
    return "\n".join(lines) + "\n"


def _item(item: Item, paint: Colour) -> list[str]:
    lines = [f"{'':8}{paint(item.status, item.status)} {visible(item.subject)}: {visible(item.message)}"]
    lines += [
        f"{'':4}{line}" for line in _more("fix", item.fix) + _more("evidence", evidence_words(item.evidence))
    ]
    return lines


def _more(label: str, text: str | None) -> list[str]:
    return [f"{'':8}{label}: {visible(text)}"] if text else []


def evidence_words(evidence: Evidence) -> str:
    """Status, code and what else helps to find the cause, as far as it is known."""
    names = {
        "correlation_id": "correlation id",
        "retry_after_seconds": "retry after (s)",
        "verify_code": "verify code",
    }
    known = [name for name in EVIDENCE_SHOWN if evidence.get(name) is not None]
    return ", ".join(f"{names.get(name, name)} {evidence[name]}" for name in known)


def summary(checks: Sequence[Check], paint: Colour) -> str:
    """The last line: how many of each, and the exit code."""
    counts = Counter(check.status for check in checks)
    worst = "fail" if counts["fail"] else "warn" if counts["warn"] else "pass"
    words: Sequence[tuple[Status, str]] = (
        ("pass", "passed"),
        ("warn", "warned"),
        ("fail", "failed"),
        ("skipped", "skipped"),
    )
    told = ", ".join(f"{counts[status]} {word}" for status, word in words if counts[status])
    return paint(f"{told}: exit {exit_of(checks):d}", worst) + "\n"


def as_json(checks: Sequence[Check], *, now: float) -> str:
    """One document; the keys of every check and item are always there."""
    document: dict[str, Any] = {
        "version": __version__,
        "checked_at": utc(now),
        "exit_code": int(exit_of(checks)),
        "checks": [_plain(check) for check in checks],
    }
    return json_document(document)


def _plain(check: Check) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(check)
    del plain["exit"]
    return plain
