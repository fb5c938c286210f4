"""`queuetick queues`: the org's queues as a table, as JSON, or as TOML to paste into config.toml."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from msgspec import Struct

from queuetick.check.result import evidence_of, exit_for, wait_words
from queuetick.check.selection import unmatched_items
from queuetick.cli.check_text import evidence_words
from queuetick.cli.streams import is_utf8, json_document, redaction, say
from queuetick.cli.terminal import pad, shown, width
from queuetick.clock import Clock
from queuetick.config import Config, Queues
from queuetick.events import Queue
from queuetick.exit_codes import ExitCode
from queuetick.foreign_text import visible
from queuetick.genesys.errors import ApiError, RateLimited
from queuetick.genesys.org import Org
from queuetick.polling import selection

Form = Literal["table", "json", "toml"]

_OPTIONS = {"names": "--name", "divisions": "--division", "exclude": "--exclude"}

HEADINGS = ("name", "division", "id", "polled")


class Row(Struct, frozen=True):
    """A queue, and whether the present configuration polls it."""

    queue: Queue
    polled: bool

    def cells(self, encoding: str) -> tuple[str, str, str, str]:
        queue = self.queue
        return (
            shown(queue.name or "", encoding),
            shown(queue.division or "", encoding),
            shown(queue.id, encoding),
            "yes" if self.polled else "no",
        )


class Choice(Struct, frozen=True):
    """What the command line asks to see; its globs override those of the configuration, section [queues]."""

    names: tuple[str, ...] = ()
    divisions: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    polled: bool = False
    """Only what the present configuration polls."""

    @property
    def settings(self) -> Queues:
        """The choice as the section [queues] would say it."""
        return Queues(names=self.names or ("*",), divisions=self.divisions, exclude=self.exclude)


def rows(listing: Sequence[Queue], settings: Queues, choice: Choice) -> list[Row]:
    """The queues that `choice` lets through, by name; without any flag all of them."""
    polled = {queue.id for queue in selection.select(settings, listing)}
    found = [Row(queue, queue.id in polled) for queue in selection.select(choice.settings, listing)]
    if choice.polled:
        found = [row for row in found if row.polled]
    return sorted(found, key=lambda row: ((row.queue.name or "").casefold(), row.queue.id))


def plain_table(found: Sequence[Row], encoding: str = "utf-8") -> str:
    """Columns under headings, as wide as their widest cell; aligned where characters take two cells or none."""
    lines = [HEADINGS, *(row.cells(encoding) for row in found)]
    widths = [max(width(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "".join(
        "  ".join(pad(cell, cells) for cell, cells in zip(line, widths, strict=True)).rstrip() + "\n"
        for line in lines
    )


def as_json(found: Sequence[Row]) -> str:
    """A list of objects; what the listing did not say is null."""
    document: list[dict[str, Any]] = [
        {
            "id": row.queue.id,
            "name": row.queue.name,
            "division": row.queue.division,
            "division_id": row.queue.division_id,
            "polled": row.polled,
        }
        for row in found
    ]
    return json_document(document)


def as_toml(found: Sequence[Row]) -> str:
    """A [queues] block with explicit ids; each name is a comment, so a rename breaks nothing."""
    lines = [f'    "{row.queue.id}",{_comment(row.queue)}' for row in found]
    return "\n".join(["[queues]", "ids = [", *lines, "]", ""])


def _comment(queue: Queue) -> str:
    name, division = visible(queue.name or ""), visible(queue.division or "")
    text = f"{name} ({division})" if name and division else name or division
    return f"  # {text}" if text else ""


def run(config: Config, choice: Choice, form: Form, *, clock: Clock) -> ExitCode:
    """List and write the queues. What went wrong goes to stderr as one sentence with its fix."""

    def remark(text: str) -> None:
        say(f"queuetick: {visible(text)}\n")

    org = Org(
        config,
        clock=clock,
        emit=lambda *_: None,
        redact=lambda token: redaction().add([token], passing=True),
    )
    try:
        listing = org.client.queues(on_page=_count_pages if sys.stderr.isatty() else None)
    except ApiError as error:
        remark(explain(error))
        return exit_for(error)
    finally:
        org.close()
    found = rows(listing, config.queues, choice)
    if form == "table":
        text = plain_table(found, sys.stdout.encoding)
    else:
        text = as_json(found) if form == "json" else as_toml(found)
        text = text if is_utf8(sys.stdout) else text.encode("ascii", "backslashreplace").decode()
    sys.stdout.write(text)
    for words in _remarks(listing, found, config.queues, choice):
        remark(words)
    if form == "table" and sys.stderr.isatty():
        polled = sum(row.polled for row in found)
        say(f"{len(found)} of {len(listing)} queues, {polled} of them polled\n")
    return ExitCode.OK if found else ExitCode.FAILURE


def explain(error: ApiError) -> str:
    """The cause and what to do; `queuetick check` says more."""
    facts = evidence_words(evidence_of(error))
    reason = f"{error.reason} ({facts})" if facts else error.reason
    if isinstance(error, RateLimited):
        return f"the queues cannot be listed now: {reason}. Fix: {wait_words(error.retry_after)}"
    return f"the queues cannot be listed: {reason}. Fix: run `queuetick check`, which looks for the cause"


def _count_pages(page: int, pages: int) -> None:
    """Show the progress on a terminal, where there is more than one page; wipe the line at the end."""
    if pages > 1:
        say(f"\rlisting queues: page {page} of {pages}" if page < pages else "\r\x1b[K")


def _remarks(
    listing: Sequence[Queue], found: Sequence[Row], settings: Queues, choice: Choice
) -> Iterator[str]:
    """What the user should know beside the list, each one sentence."""
    listed = {queue.id for queue in listing}
    strangers = [queue.id for queue in selection.explicit(settings) if queue.id not in listed]
    if strangers:
        yield f"of queues.ids, {len(strangers)} are not listed: {', '.join(strangers)}"
    if not listing:
        yield "the listing is empty. Fix: give the client's role the divisions of the queues"
    unmatched = unmatched_items(choice.settings, listing, _OPTIONS.__getitem__)
    for item in unmatched:
        yield f"{item.message}. Fix: {item.fix}"
    if listing and not found and not unmatched:
        yield f"none of {len(listing)} queues matches all of the options"
