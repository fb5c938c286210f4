"""The pages of `GET /api/v2/routing/queues` and its division views."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any
from urllib.parse import urlencode

from queuetick.simulator import api_errors
from queuetick.simulator.contact_centre import ContactCentre, Queue
from queuetick.simulator.fault_rules import concerns
from queuetick.simulator.faults import Faults

DEFAULT_PAGE_SIZE = 25
MAX_PAGE_SIZE = 500
"""A larger pageSize is reduced to this silently: clients must use pageCount."""

# The settings of voice have a name of their own.
_SETTING_NAMES = {"voice": "call"}

_UNREADABLE: tuple[Callable[[dict[str, Any]], Any], ...] = (
    lambda _entity: None,
    lambda entity: entity["id"],
    lambda entity: {**entity, "id": None},
    lambda entity: {**entity, "id": [entity["id"]]},
    lambda entity: {"name": entity["name"]},
    lambda entity: [entity],
)

Parameters = Mapping[str, Sequence[str]]


def queue_entity(queue: Queue, *, simplified: bool = False) -> dict[str, Any]:
    """One queue, in the fields that the facts page knows."""
    division = {
        "id": queue.division.id,
        "name": queue.division.name,
        "selfUri": f"/api/v2/authorization/divisions/{queue.division.id}",
    }
    entity: dict[str, Any] = {"id": queue.id, "name": queue.name, "division": division}
    if not simplified:
        profile = queue.model.profile
        entity |= {
            "memberCount": profile.members,
            "userMemberCount": profile.members,
            "joinedMemberCount": profile.joined,
        }
        if targets := queue.targets:
            entity["mediaSettings"] = {
                _SETTING_NAMES.get(media, media): {"serviceLevel": target} if target else {}
                for media, target in targets.items()
            }
    return entity | {"selfUri": f"/api/v2/routing/queues/{queue.id}"}


def queue_page(
    centre: ContactCentre,
    path: str,
    parameters: Parameters,
    faults: Faults,
    *,
    largest: int = MAX_PAGE_SIZE,
    last_page: int | None = None,
    simplified: bool = False,
) -> bytes:
    """One page, sorted by name."""
    size = min(_positive(parameters, "pageSize", DEFAULT_PAGE_SIZE), largest)
    number = _positive(parameters, "pageNumber", 1)
    if last_page is not None and number > last_page:
        raise api_errors.invalid_query_parameter("pageNumber", str(number))
    order = _single(parameters, "sortOrder", "asc").lower()
    if order not in ("asc", "desc", "score"):
        raise api_errors.invalid_query_parameter("sortOrder", order)
    known = [] if faults.listing_empty else centre.queues
    queues = sorted(_matching(known, parameters), key=lambda queue: queue.name.casefold())
    if order == "desc":
        queues.reverse()
    total = len(queues)
    pages = -(-total // size)
    rows = min(size, faults.listing_page_cap or size)
    shown = queues[(number - 1) * rows : number * rows][: faults.listing_cut.get(number, rows)]
    stated_total, stated_pages = faults.listing_total, faults.listing_page_count
    page: dict[str, Any] = {
        "entities": _rows(shown, centre.seed, faults, simplified=simplified),
        "pageSize": size,
        "pageNumber": number,
        "total": total if stated_total is None else stated_total,
        "pageCount": pages if stated_pages is None else stated_pages,
    }

    def uri(to: int) -> str:
        others = [(name, value) for name, values in parameters.items() for value in values]
        kept = [(name, value) for name, value in others if name not in ("pageSize", "pageNumber")]
        return f"{path}?{urlencode([('pageSize', size), ('pageNumber', to), *kept])}"

    page["selfUri"], page["firstUri"], page["lastUri"] = uri(number), uri(1), uri(max(1, pages))
    if number < pages:
        page["nextUri"] = uri(number + 1)
    if number > 1:
        page["previousUri"] = uri(number - 1)
    if number == 1 and faults.listing_deletes:
        for queue in centre.queues:
            if concerns(queue.id, faults.listing_deletes, centre.seed, "deletes"):
                centre.remove(queue.id)
    return json.dumps(page, ensure_ascii=False).encode()


def _rows(queues: Sequence[Queue], seed: int, faults: Faults, *, simplified: bool) -> list[Any]:
    """The entities of a page, with unreadable and repeated ones as the faults ask."""
    rows: list[Any] = []
    forms = cycle(_UNREADABLE)
    for queue in queues:
        entity = queue_entity(queue, simplified=simplified)
        rows.append(entity)
        if concerns(queue.id, faults.listing_unreadable, seed, "unreadable"):
            rows[-1] = next(forms)(entity)
        elif concerns(queue.id, faults.listing_repeated, seed, "repeated"):
            rows.append(entity)
    return rows


def _matching(queues: list[Queue], parameters: Parameters) -> list[Queue]:
    ids, division_ids = _listed(parameters, "id"), _listed(parameters, "divisionId")
    if ids:
        queues = [queue for queue in queues if queue.id in ids]
    if division_ids:
        queues = [queue for queue in queues if queue.division.id in division_ids]
    name = _single(parameters, "name", "")
    if name:
        # `*` stands for anything, at either end or inside; without it the whole name must be equal.
        pattern = re.compile(".*".join(map(re.escape, name.split("*"))), re.IGNORECASE | re.DOTALL)
        queues = [queue for queue in queues if pattern.fullmatch(queue.name)]
    return queues


def _listed(parameters: Parameters, name: str) -> set[str]:
    """A parameter given several times, or once with commas: SDKs differ."""
    return {item.lower() for value in parameters.get(name, ()) for item in value.split(",") if item}


def _single(parameters: Parameters, name: str, default: str) -> str:
    values = parameters.get(name)
    return values[-1] if values else default


def _positive(parameters: Parameters, name: str, default: int) -> int:
    text = _single(parameters, name, str(default))
    try:
        number = int(text)
    except ValueError:
        raise api_errors.invalid_query_parameter(name, text) from None
    if number < 1:
        raise api_errors.invalid_query_parameter(name, text)
    return number
