"""One walk through the pages of GET /api/v2/routing/queues, and whether it is believed (facts, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from queuetick.events import Queue
from queuetick.genesys.answers import MOST
from queuetick.genesys.errors import ListingContradicted, ListingUnfinished, Transient
from queuetick.genesys.own_names import media_name

PAGE_SIZE = 500
SMALLER_PAGE_SIZE = 100
"""Queues a page (facts, section 4: 500 seen, 100 on sibling endpoints); a server may cap it in silence."""

LONGEST_TARGET = 366 * 86_400.0
"""Seconds; a longer service level target is not believed."""

MAX_PAGES = 400
"""Where a listing that never ends is given up: 10,000 queues at the 25 that a page has at least (facts, section 4)."""


class Listing:
    """The pages of one walk. `more` says whether another page is needed; then `queues()` gives the result.

    With a `total` the walk goes on until as many queues are found, whatever `pageCount` says. Without one it goes on
    as far as `pageCount`, `nextUri` or a full page promise more.
    """

    def __init__(self) -> None:
        self.page_size = PAGE_SIZE
        self.pages = 0
        """Pages that were read."""
        self.more = True
        self._found: dict[str, Queue] = {}
        self._repeated = 0
        self._unreadable = 0
        self._totals: set[int] = set()
        self._nonsense = False
        """Whether a page states a total that is no number of queues."""
        self._page_count: int | None = None
        self._cut = False

    @property
    def expected_pages(self) -> int:
        """How many pages there will be, as far as is known."""
        return max(self.pages + self.more, self._page_count or 0)

    def add(self, page: Mapping[str, Any]) -> None:
        """Take in the next page. Raises Transient when it has no list of entities."""
        entities = page.get("entities")
        if not isinstance(entities, list):
            raise Transient("the answer has no list 'entities', though its status is 200", status=200)
        self.pages += 1
        known = len(self._found)
        for entity in entities:
            queue = read_queue(entity)
            if queue is None:
                self._unreadable += 1
            elif queue.id in self._found:
                self._repeated += 1
            else:
                self._found[queue.id] = queue
        total = _whole(page.get("total"))
        if total is not None:
            self._totals.add(total)
        elif page.get("total") is not None:
            self._nonsense = True
        self._page_count = _whole(page.get("pageCount"))
        self.more = self._promises_more(page, len(entities), total)
        if self.more and (len(self._found) == known or self.pages >= MAX_PAGES):
            self.more, self._cut = False, True

    def _promises_more(self, page: Mapping[str, Any], entities: int, total: int | None) -> bool:
        if (self._page_count or 0) > self.pages or page.get("nextUri"):
            return True
        if total is not None:
            return len(self._found) < total
        return entities >= (_whole(page.get("pageSize")) or self.page_size)

    def queues(self) -> list[Queue]:
        """The queues found, in their order. Raises ListingContradicted when the pages do not agree with each other."""
        found, totals = len(self._found), " and ".join(map(str, sorted(self._totals)))
        if self._nonsense:
            raise self._doubt(f"the listing states a total that is no number of queues, and names {found}")
        if len(self._totals) > 1:
            raise self._doubt(f"the total of the listing changed between its pages ({totals})")
        if self._totals and found not in self._totals:
            raise self._doubt(f"the listing says that there are {totals} queues, and names {found}")
        if not self._totals and (self._cut or self._repeated or self._unreadable):
            raise self._doubt(f"the listing says no total, and names {found} queues")
        return list(self._found.values())

    def unfinished(self) -> ListingUnfinished:
        """The error where no request is left for the next page."""
        pages = f"{self.pages} of at least {self.expected_pages} pages"
        return ListingUnfinished(f"the listing was not read to its end: time or budget ended after {pages}")

    def _doubt(self, reason: str) -> ListingContradicted:
        counts = {"repeated": self._repeated, "unreadable": self._unreadable}
        extra = "".join(f", {count} {name}" for name, count in counts.items() if count)
        return ListingContradicted(f"{reason} in {self.pages} pages{extra}", status=200)


def read_queue(item: Any) -> Queue | None:
    """The queue that a listing or look-up describes; None when it has no id that can be read."""
    if not isinstance(item, dict) or (queue_id := _text(item.get("id"))) is None:
        return None
    division = item.get("division")
    division = division if isinstance(division, dict) else {}
    return Queue(
        id=queue_id.lower(),
        name=_text(item.get("name")),
        division=_text(division.get("name")),
        division_id=_text(division.get("id")),
        wait_targets=_wait_targets(item.get("mediaSettings")),
    )


def _wait_targets(settings: Any) -> tuple[tuple[str, float], ...]:
    """The service level target in seconds of each medium that has one (facts, 11); `call` is voice."""
    found = {}
    for medium, setting in settings.items() if isinstance(settings, dict) else ():
        level = setting.get("serviceLevel") if isinstance(setting, dict) else None
        milliseconds = level.get("durationMs") if isinstance(level, dict) else None
        if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
            continue
        if 0 < milliseconds <= LONGEST_TARGET * 1000:
            found[media_name("voice" if medium == "call" else medium)] = milliseconds / 1000
    return tuple(found.items())


def _whole(value: Any) -> int | None:
    """A number of things: 3, 3.0 or "3"; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST:
        return None
    return int(value) if value == int(value) else None


def _text(value: Any) -> str | None:
    """Text that can be written as UTF-8: half of a surrogate pair becomes U+FFFD."""
    if not isinstance(value, str) or not value:
        return None
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
