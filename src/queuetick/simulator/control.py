"""The control address: faults, truth and the log, on its own port, so that no client of the API reaches it.

Plain JSON in and out, no login: it listens on loopback whatever the API listens on.
"""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from queuetick.simulator.api import Request
from queuetick.simulator.api_errors import Answer
from queuetick.simulator.contact_centre import Queue
from queuetick.simulator.faults import Faults, UnknownFaultError

if TYPE_CHECKING:
    from queuetick.simulator.simulator import Simulator


ROUTES = {
    "GET /faults": "the faults in force",
    "PUT /faults": "these faults and no others",
    "PATCH /faults": "change the faults named, leave the rest",
    "POST /reset": "as at the start: faults, queues, tokens, windows, log",
    "POST /revoke": "revoke every token",
    "GET /requests": "the log of requests, oldest first",
    "GET /truth": "the numbers of every queue now, or at ?at=EPOCH_SECONDS",
    "GET /stats": "what became of the contacts offered since ?since=EPOCH_SECONDS, until now or &until=…",
    "GET /queues": "the queues",
    "POST /queues": 'add a queue, {"name": …}',
    "PATCH /queues/{id}": 'rename a queue, {"name": …}',
    "DELETE /queues/{id}": "remove a queue",
}


class Control:
    """Answers requests to the control address."""

    def __init__(self, simulator: "Simulator") -> None:
        self._simulator = simulator

    def respond(self, request: Request) -> Answer:
        path, _, query = request.target.partition("?")
        try:
            body = json.loads(request.body) if request.body else {}
            if not isinstance(body, dict):
                return _answer(400, {"error": "the body must be a JSON object"})
            found = self._dispatch(request.method, path.rstrip("/") or "/", query, body)
        except UnknownFaultError as error:
            return _answer(400, {"error": str(error)})
        except ValueError as error:
            return _answer(400, {"error": f"not understood: {error}"})
        except KeyError as error:
            return _answer(404, {"error": f"no such queue: {error.args[0]}"})
        return (
            _answer(404, {"error": "no such control", "routes": ROUTES})
            if found is None
            else _answer(200, found)
        )

    def _dispatch(self, method: str, path: str, query: str, body: dict[str, Any]) -> Any:  # noqa: PLR0912
        simulator = self._simulator
        match method, path.strip("/").split("/"):
            case "GET", [""]:
                return {"routes": ROUTES}
            case (("GET" | "PUT" | "PATCH"), ["faults"]):
                if method != "GET":
                    base = simulator.faults if method == "PATCH" else None
                    simulator.faults = Faults.from_mapping(body, base)
                return simulator.faults.as_mapping()
            case "POST", ["reset"]:
                simulator.reset()
                return {}
            case "POST", ["revoke"]:
                return {"revoked": simulator.revoke_tokens()}
            case "GET", ["requests"]:
                return {"requests": [asdict(each) for each in simulator.requests]}
            case "GET", ["truth"]:
                at = parse_qs(query).get("at")
                return simulator.truth(float(at[0]) if at else None)
            case "GET", ["stats"]:
                times = {name: float(values[0]) for name, values in parse_qs(query).items()}
                if "since" not in times:
                    raise ValueError("since is required")
                return simulator.stats(times["since"], times.get("until"))
            case "GET", ["queues"]:
                return {"queues": [_queue(each) for each in simulator.queues]}
            case "POST", ["queues"]:
                return _queue(simulator.add_queue(body.get("name")))
            case "PATCH", ["queues", queue_id]:
                simulator.rename_queue(queue_id, str(body.get("name", "")))
                return {}
            case "DELETE", ["queues", queue_id]:
                simulator.remove_queue(queue_id)
                return {}
        return None


def _queue(queue: Queue) -> dict[str, str]:
    return {
        "id": queue.id,
        "name": queue.name,
        "division_id": queue.division_id,
        "division_name": queue.division_name,
    }


def _answer(status: int, body: Any) -> Answer:
    return Answer(status, json.dumps(body, ensure_ascii=False).encode())
