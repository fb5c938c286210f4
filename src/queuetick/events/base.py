"""What every operational event shares."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Level = Literal["debug", "info", "warning", "error", "critical"]


class Event(Struct, tag_field="event", kw_only=True):
    """What every operational event shares. `part` and `parts` are there only when a long list was split."""

    level: ClassVar[Level] = "info"

    part: Annotated[
        int | UnsetType, Meta(description="number of this line, where one event took several")
    ] = UNSET
    parts: Annotated[int | UnsetType, Meta(description="how many lines the event took")] = UNSET

    @property
    def severity(self) -> Level:
        """The level of the line."""
        return self.level
