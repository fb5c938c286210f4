"""Clients that nobody here wrote run on the simulator unchanged."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest

from queuetick.simulator import Faults, Simulator
from support.npm import node_modules

CLIENTS = Path(__file__).parent / "clients"
JAVASCRIPT_SDK = "purecloud-platform-client-v2"
JAVASCRIPT_SDK_VERSION = "262.0.0"
NOON = 1_764_072_000.0

# The token may make these many requests: one listing, two queries, and some that are refused.
ALLOWED = 5


def check_what_the_client_saw(seen: dict[str, Any], simulator: Simulator) -> None:
    assert seen["hasToken"]
    assert {(each["id"], each["name"], each["division"]) for each in seen["entities"]} == {
        (queue.id, queue.name, queue.division_name) for queue in simulator.queues
    }
    waiting: Counter[str] = Counter()
    idle: Counter[str] = Counter()
    members: Counter[str] = Counter()
    for result in seen["results"]:
        queue_id = result["group"]["queueId"]
        for each in result["data"]:
            if each["metric"] == "oWaiting":
                waiting[queue_id] += each["stats"]["count"]
            elif each["metric"] == "oOnQueueUsers" and each.get("qualifier") == "IDLE":
                idle[queue_id] += each["stats"]["count"]
            elif each["metric"] == "oMemberUsers":
                members[queue_id] += each["stats"]["count"]
    for queue_id, true in simulator.truth().items():
        assert waiting[queue_id] == true["waiting"]
        assert idle[queue_id] == true["agents_available"]
        assert members[queue_id] == true["members"]
    assert sum(waiting.values()) > 0
    assert seen["refusal"]["status"] == 429
    assert seen["refusal"]["code"] == "too.many.requests.retry.after"


def seen_by(command: list[str | Path], simulator: Simulator, *more: str, **environment: str) -> Any:
    """What the client wrote to stdout; it may make some requests beyond the limit."""
    words = [*command, simulator.client_id, simulator.client_secret, str(ALLOWED + 2), *more]
    done = subprocess.run(
        words, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_python_sdk_with_typed_calls_logs_in_lists_observes_and_meets_a_429(tmp_path):
    """In its own process: the plain import costs seconds and leaves threads behind."""
    # With Retry-After the Python SDK's urllib3 would sleep through the refusal ten times, unseen.
    faults = Faults(rate_limit=ALLOWED, retry_after="absent")
    with Simulator(queues=45, seed=3, clock=lambda: NOON, faults=faults) as simulator:
        # A home of its own: the SDK reads a configuration file from there.
        command = [sys.executable, CLIENTS / "official.py", simulator.url]
        day = "2025-11-25T00:00:00+01:00/2025-11-26T00:00:00+01:00"
        seen = seen_by(command, simulator, day, HOME=str(tmp_path))
        check_what_the_client_saw(seen, simulator)
        check_the_day_the_client_read(seen, simulator)


def check_the_day_the_client_read(seen: dict[str, Any], simulator: Simulator) -> None:
    """Since midnight in central Europe, 11 hours before the simulator's noon in UTC."""
    truth = simulator.stats(NOON - 13 * 3600)
    assert {(each["queue_id"], each["media"]) for each in seen["stats"]} == {
        (queue_id, media) for queue_id, true in truth.items() for media in true["media"]
    }
    for each in seen["stats"]:
        true, metrics = truth[each["queue_id"]]["media"][each["media"]], each["metrics"]
        assert each["interval"] == "2025-11-24T23:00:00.000Z/2025-11-25T23:00:00.000Z"
        assert metrics["nOffered"]["count"] == true["offered"]
        if true["answered"]:
            answered = {name: metrics["tAnswered"][name] for name in ("count", "sum", "min", "max")}
            assert answered == true["answer_ms"]
        if true["service_level"]["denominator"]:
            level = true["service_level"]
            assert metrics["oServiceLevel"]["numerator"] == level["numerator"]
            assert metrics["oServiceLevel"]["denominator"] == level["denominator"]
            assert [metrics["oServiceLevel"]["target"]] == level["targets"]
    targets = {each["id"]: each["target_ms"] for each in seen["entities"]}
    assert targets == {
        queue_id: true["media"]["voice"]["wait_target_ms"] for queue_id, true in simulator.truth().items()
    }


@pytest.mark.node
def test_the_javascript_sdk_logs_in_lists_observes_and_meets_a_429(tmp_path, capsys):
    def skip(reason: str) -> NoReturn:
        # Printed past pytest, which tells reasons only to those who ask.
        with capsys.disabled():
            print(f"\nskipped: the JavaScript SDK was not tried: {reason}")
        pytest.skip(reason)

    modules = node_modules(JAVASCRIPT_SDK, JAVASCRIPT_SDK_VERSION, skip)
    faults = Faults(rate_limit=ALLOWED)
    with Simulator(queues=45, seed=3, clock=lambda: NOON, faults=faults) as simulator:
        address = urlsplit(simulator.url)
        command = ["node", CLIENTS / "official.js", str(address.hostname), str(address.port)]
        seen = seen_by(command, simulator, HOME=str(tmp_path), NODE_PATH=str(modules))
        check_what_the_client_saw(seen, simulator)
        assert seen["refusal"]["retryAfter"] == "60"
