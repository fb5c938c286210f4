"""What the simulator costs: requests per second, processor time of 75 batches, of a day, memory of 5,000 queues.

    python bench/simulator.py

The server runs in a process of its own under a clock that a line on its stdin moves 15 s on, so that
every cycle finds new numbers; its processor time and memory are what the kernel says of that process.
The client is one connection, one request at a time.
"""

import base64
import http.client
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from queuetick.simulator import Faults, Simulator

START = 1_764_072_000.0
STATS = "/api/v2/analytics/conversations/aggregates/query"
OBSERVATIONS = "/api/v2/analytics/queues/observations/query"
METRICS = [
    "oWaiting",
    "oInteracting",
    "oAlerting",
    "oOnQueueUsers",
    "oOffQueueUsers",
    "oMemberUsers",
    "oActiveUsers",
    "oUserRoutingStatuses",
    "oLongestWaiting",
]


def serve(queues: int) -> None:
    """The server's process: answers each line on stdin with its own cost so far."""
    now = [START]
    with Simulator(queues=queues, clock=lambda: now[0], faults=Faults(rate_limit=0)) as simulator:
        told = {
            "url": simulator.url,
            "client": f"{simulator.client_id}:{simulator.client_secret}",
            "ids": simulator.queue_ids,
        }
        print(json.dumps(told), flush=True)
        for line in sys.stdin:
            now[0] += float(line)
            usage = resource.getrusage(resource.RUSAGE_SELF)
            status = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
            cost = {"cpu": usage.ru_utime + usage.ru_stime, "peak_mb": int(status) / 1024}
            print(json.dumps(cost), flush=True)


class Server:
    def __init__(self, queues: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "serve", str(queues)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        told = self._read()
        self.ids: list[str] = told["ids"]
        address = urlsplit(told["url"])
        self.connection = http.client.HTTPConnection(str(address.hostname), address.port)
        basic = base64.b64encode(told["client"].encode()).decode()
        form = b"grant_type=client_credentials"
        login = json.loads(self.post("/oauth/token", form, {"Authorization": f"Basic {basic}"}))
        self.headers = {
            "Authorization": f"Bearer {login['access_token']}",
            "Content-Type": "application/json",
        }

    def _read(self) -> dict:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def advance(self, seconds: float) -> dict:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return self._read()

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        self.connection.request("POST", path, body, headers)
        response = self.connection.getresponse()
        answer = response.read()
        assert response.status == 200, answer
        return answer

    def batches(self, size: int) -> list[bytes]:
        def body(ids: list[str]) -> bytes:
            predicates = [{"dimension": "queueId", "value": each} for each in ids]
            return json.dumps(
                {"filter": {"type": "or", "predicates": predicates}, "metrics": METRICS}
            ).encode()

        return [body(self.ids[start : start + size]) for start in range(0, len(self.ids), size)]

    def cycle(self, batches: list[bytes]) -> None:
        for batch in batches:
            self.post(OBSERVATIONS, batch, self.headers)

    def stop(self) -> None:
        self.connection.close()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def cpu_of_a_cycle() -> None:
    server = Server(1500)
    batches = server.batches(20)
    costs, before = [], server.advance(0)["cpu"]
    for _ in range(20):
        server.cycle(batches)
        after = server.advance(15)["cpu"]
        costs.append(after - before)
        before = after
    later = sorted(costs[1:])
    print(
        f"75 batches of 20 queues, 15 s apart: {later[len(later) // 2]:.3f} s of processor time (median), "
        f"{later[-1]:.3f} s (worst), {costs[0]:.3f} s (first); target < 0.25 s"
    )
    before, began, count = server.advance(0)["cpu"], time.perf_counter(), 0
    while time.perf_counter() - began < 3:
        server.cycle(batches)
        count += len(batches)
    elapsed = time.perf_counter() - began
    cpu = server.advance(0)["cpu"] - before
    print(
        f"requests of 20 queues: {count / elapsed:.0f}/s through one connection, "
        f"{count / cpu:.0f}/s on one core; target 500/s"
    )
    server.stop()


def day_of_a_batch() -> None:
    """The first aggregates query since midnight replays half a day; later ones what has passed since."""
    server = Server(100)
    predicates = [{"dimension": "queueId", "value": each} for each in server.ids]
    body = json.dumps(
        {
            "interval": "2025-11-25T00:00:00Z/2025-11-26T00:00:00Z",
            "groupBy": ["queueId", "mediaType"],
            "filter": {"type": "or", "predicates": predicates},
            "metrics": ["nOffered", "tAnswered", "tAbandon", "tFlowOut", "oServiceLevel", "tWait"],
        }
    ).encode()
    costs, before = [], server.advance(0)["cpu"]
    for _ in range(10):
        server.post(STATS, body, server.headers)
        after = server.advance(60)["cpu"]
        costs.append(after - before)
        before = after
    later = sorted(costs[1:])
    print(
        f"aggregates of 100 queues since midnight, at noon: {costs[0]:.2f} s of processor time (first), "
        f"{later[len(later) // 2]:.3f} s (median, a minute apart)"
    )
    server.stop()


def memory_of_the_largest() -> None:
    server = Server(5000)
    batches = server.batches(200)
    for _ in range(20):
        server.cycle(batches)
        server.advance(60)
    print(
        f"5,000 queues, 20 minutes of cycles: {server.advance(0)['peak_mb']:.0f} MB at most; target < 150 MB"
    )
    server.stop()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]))
    else:
        cpu_of_a_cycle()
        day_of_a_batch()
        memory_of_the_largest()
