"""`queuetick queues`: the org's queues as a table, as JSON, or as TOML to paste into config.toml."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TextIO

from msgspec import Struct

from queuetick.check.result import exit_for, wait_words
from queuetick.cli.terminal import coloured, pad, visible, width
from queuetick.clock import Clock
from queuetick.config import Config, Queues
from queuetick.events import Queue
from queuetick.exit_codes import ExitCode
from queuetick.genesys.errors import ApiError, RateLimited
from queuetick.genesys.org import Session
from queuetick.polling import selection

Form = Literal["table", "json", "toml"]

HEADINGS = ("name", "division", "id", "polled")


class Row(Struct, frozen=True):
    """A queue, and whether the present configuration polls it."""

    queue: Queue
    polled: bool

    @property
    def cells(self) -> tuple[str, str, str, str]:
        queue = self.queue
        return (
            visible(queue.name or ""),
            visible(queue.division or ""),
            queue.id,
            "yes" if self.polled else "no",
        )


class Choice(Struct, frozen=True):
    """What the command line asks to see; its globs override those of the configuration, section [queues]."""

    names: tuple[str, ...] = ()
    divisions: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    polled: bool = False
    """Only what the present configuration polls."""


def rows(listing: Sequence[Queue], settings: Queues, choice: Choice) -> list[Row]:
    """The queues that `choice` lets through, by name; without any flag all of them."""
    polled = {queue.id for queue in selection.select(settings, listing)}
    wanted = Queues(names=choice.names or ("*",), divisions=choice.divisions, exclude=choice.exclude)
    found = [Row(queue, queue.id in polled) for queue in selection.select(wanted, listing)]
    if choice.polled:
        found = [row for row in found if row.polled]
    return sorted(found, key=lambda row: ((row.queue.name or "").casefold(), row.queue.id))


def plain_table(found: Sequence[Row]) -> str:
    """Columns under headings, as wide as their widest cell; aligned where characters take two cells or none."""
    lines = [HEADINGS, *(row.cells for row in found)]
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
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def as_toml(found: Sequence[Row]) -> str:
    """A [queues] block with explicit ids; each name is a comment, so a rename breaks nothing."""
    lines = [f'    "{row.queue.id}",{_comment(row.queue)}' for row in found]
    return "\n".join(["[queues]", "ids = [", *lines, "]", ""])


def _comment(queue: Queue) -> str:
    name, division = visible(queue.name or ""), visible(queue.division or "")
    text = f"{name} ({division})" if name and division else name or division
    return f"  # {text}" if text else ""


def run(
    config: Config,
    choice: Choice,
    form: Form,
    *,
    environ: Mapping[str, str],
    clock: Clock,
    stdout: TextIO,
    stderr: TextIO,
) -> ExitCode:
    """List and write the queues; what went wrong goes to `stderr` as one sentence with its fix."""
    session = Session(config, clock=clock, emit=lambda *_: None, redact=lambda _: None, environ=environ)
    try:
        listing = session.client.queues(on_page=_progress(stderr))
    except ApiError as error:
        stderr.write(f"queuetick: {explain(error)}\n")
        return exit_for(error)
    finally:
        session.close()
    found = rows(listing, config.queues, choice)
    if form == "json":
        stdout.write(as_json(found))
    elif form == "toml":
        stdout.write(as_toml(found))
    elif not (stdout.isatty() and _rich_table(found, stdout, colour=coloured(stdout, environ))):
        stdout.write(plain_table(found))
    _remarks(listing, found, config.queues, form, stderr)
    return ExitCode.OK


def explain(error: ApiError) -> str:
    """The cause and what to do; `queuetick check` says more."""
    facts = ", ".join(
        f"{name} {fact}"
        for name, fact in (
            ("status", error.status),
            ("code", error.code),
            ("correlation id", error.correlation_id),
        )
        if fact is not None
    )
    reason = f"{error.reason} ({facts})" if facts else error.reason
    if isinstance(error, RateLimited):
        return f"the queues cannot be listed now: {reason}. Fix: {wait_words(error.retry_after)}"
    return f"the queues cannot be listed: {reason}. Fix: `queuetick check` looks for the cause"


def _progress(stderr: TextIO) -> Callable[[int, int], None] | None:
    """Counts pages on a terminal, where there is more than one; wipes its line at the end."""
    if not stderr.isatty():
        return None

    def on_page(page: int, pages: int) -> None:
        if pages > 1:
            stderr.write(f"\rlisting queues: page {page} of {pages}" if page < pages else "\r\x1b[K")
            stderr.flush()

    return on_page


def _remarks(
    listing: Sequence[Queue], found: Sequence[Row], settings: Queues, form: Form, stderr: TextIO
) -> None:
    listed = {queue.id for queue in listing}
    strangers = [queue.id for queue in selection.explicit(settings) if queue.id not in listed]
    if strangers:
        stderr.write(f"queuetick: of queues.ids, {len(strangers)} are not listed: {', '.join(strangers)}\n")
    if form == "table" and stderr.isatty():
        polled = sum(row.polled for row in found)
        stderr.write(f"{len(found)} of {len(listing)} queues, {polled} of them polled\n")


def _rich_table(found: Sequence[Row], stdout: TextIO, *, colour: bool) -> bool:
    """Write the table with rich; False when it is not installed."""
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ModuleNotFoundError:
        return False
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=heading in ("id", "polled"), overflow="fold")
    for row in found:
        table.add_row(*(Text(cell) for cell in row.cells), style=None if row.polled else "dim")
    Console(file=stdout, no_color=not colour, highlight=False).print(table)
    return True
