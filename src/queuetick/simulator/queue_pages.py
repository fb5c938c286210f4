"""The pages of `GET /api/v2/routing/queues` and its division views."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from queuetick.simulator import api_errors
from queuetick.simulator.contact_centre import ContactCentre, Queue

DEFAULT_PAGE_SIZE = 25
MAX_PAGE_SIZE = 500
"""A larger pageSize is cut down to this without a word: clients must go by pageCount."""

# The settings of voice have a name of their own.
_SETTING_NAMES = {"voice": "call"}

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
        profile = queue.floor.profile
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
    *,
    largest: int = MAX_PAGE_SIZE,
    simplified: bool = False,
) -> bytes:
    """One page, sorted by name."""
    size = min(_positive(parameters, "pageSize", DEFAULT_PAGE_SIZE), largest)
    number = _positive(parameters, "pageNumber", 1)
    order = _single(parameters, "sortOrder", "asc").lower()
    if order not in ("asc", "desc", "score"):
        raise api_errors.invalid_query_parameter("sortOrder", order)
    queues = sorted(_matching(centre.queues, parameters), key=lambda queue: queue.name.casefold())
    if order == "desc":
        queues.reverse()
    total = len(queues)
    pages = -(-total // size)
    entities = [
        queue_entity(queue, simplified=simplified) for queue in queues[(number - 1) * size : number * size]
    ]
    page: dict[str, Any] = {
        "entities": entities,
        "pageSize": size,
        "pageNumber": number,
        "total": total,
        "pageCount": pages,
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
    return json.dumps(page, ensure_ascii=False).encode()


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
