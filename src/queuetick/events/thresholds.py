"""From which waits and which numbers of contacts a queue needs attention: one table for tail, watch and metrics."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Limits = float | tuple[float, float]
"""A critical limit, or a warning and a critical one."""


class Threshold(Struct, frozen=True):
    """One `[[thresholds]]` table. The first that selects a queue and a medium counts.

    Without one, a queue's own service level target decides (`over_target`).
    """

    names: Annotated[tuple[str, ...], Meta(description="globs on the queue name; all by default")] = ("*",)
    divisions: Annotated[tuple[str, ...], Meta(description="division names; empty: all")] = ()
    media: Annotated[tuple[str, ...], Meta(description="media types; empty: all")] = ()
    waiting: Annotated[
        Limits | None, Meta(description="contacts: a critical limit, or [warning, critical]")
    ] = None
    longest_wait: Annotated[
        Limits | None, Meta(description="seconds: a critical limit, or [warning, critical]")
    ] = None
    hours: Annotated[
        str | None, Meta(description='when it holds, such as "Mon-Fri 08:00-18:00 Europe/Berlin"')
    ] = None
