"""What a cycle costs: queuetick against the plain SDK way and against a bare urllib3 + msgspec loop, in one run.

    python bench/cycle.py [--queues 1500] [--cycles 20] [--rounds 5] [--latency 0]

The simulator runs in a process of its own. Each side runs in a fresh process and reports its own CPU (user + system)
per cycle, its peak memory, and when its first line came. The bare loop and queuetick run in turn, `rounds` times,
because the speed of a machine varies. The table has the medians; the rounds are printed below it. The
yardsticks write one line per queue to /dev/null, queuetick its whole lines to a file.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

BATCH = 20
INTERVAL = 0.5
"""Seconds. All sides poll on the same grid: a processor that rested has cold caches, and that costs each side as much."""
SIDES = ("plain", "bare", "queuetick")
FIGURES = ("cpu", "peak_mb", "first_line")


def plain(url: str, client_id: str, secret: str, cycles: int) -> None:
    """Typed SDK calls in a loop, as the SDK's README shows them."""
    import PureCloudPlatformClientV2 as sdk  # noqa: N813

    imported = time.perf_counter() - BEGAN
    sdk.configuration.host = url
    client = sdk.ApiClient().get_client_credentials_token(client_id, secret)
    routing, analytics = sdk.RoutingApi(client), sdk.AnalyticsApi(client)
    ids, page, pages = [], 1, 1
    while page <= pages:
        listing = routing.get_routing_queues(page_size=500, page_number=page)
        ids += [queue.id for queue in listing.entities]
        pages, page = listing.page_count, page + 1

    def cycle(out) -> None:
        for batch in (ids[i : i + BATCH] for i in range(0, len(ids), BATCH)):
            query = sdk.QueueObservationQuery()
            query.filter = sdk.QueueObservationQueryFilter()
            query.filter.type = "or"
            query.filter.predicates = []
            for queue_id in batch:
                predicate = sdk.QueueObservationQueryPredicate()
                predicate.dimension, predicate.value = "queueId", queue_id
                query.filter.predicates.append(predicate)
            query.metrics = METRICS
            answer = analytics.post_analytics_queues_observations_query(query)
            waiting: dict[str, int] = dict.fromkeys(batch, 0)
            idle: dict[str, int] = dict.fromkeys(batch, 0)
            for result in answer.results:
                for datum in result.data or ():
                    if datum.metric == "oWaiting":
                        waiting[result.group["queueId"]] += datum.stats.count
                    elif datum.metric == "oOnQueueUsers" and datum.qualifier == "IDLE":
                        idle[result.group["queueId"]] = datum.stats.count
            for queue_id in batch:
                out.write(
                    json.dumps({"queue_id": queue_id, "waiting": waiting[queue_id], "idle": idle[queue_id]})
                    + "\n"
                )

    measure(cycle, cycles, imported=imported)


def bare(url: str, client_id: str, secret: str, cycles: int) -> None:
    """The least that a Python program can do: one keep-alive connection, bytes to typed structs to two numbers a line."""
    import msgspec
    import urllib3

    stats = msgspec.defstruct(
        "Stats", [("count", int | None, None), ("calculatedMetricValue", float | None, None)]
    )
    datum_type = msgspec.defstruct(
        "Datum", [("metric", str), ("qualifier", str | None, None), ("stats", stats | None, None)]
    )
    key = msgspec.defstruct("Key", [("queueId", str), ("mediaType", str | None, None)])
    group_type = msgspec.defstruct("Group", [("group", key), ("data", list[datum_type] | None, None)])
    answer = msgspec.defstruct("Answer", [("results", list[group_type])])
    decoder, encoder = msgspec.json.Decoder(answer), msgspec.json.Encoder()
    pool = urllib3.PoolManager(timeout=10, retries=False)
    headers = urllib3.make_headers(basic_auth=f"{client_id}:{secret}")
    token = pool.request("POST", f"{url}/oauth/token", fields={"grant_type": "client_credentials"}, headers=headers,
                         encode_multipart=False).json()["access_token"]  # fmt: skip
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    ids, page, pages = [], 1, 1
    while page <= pages:
        listing = pool.request(
            "GET", f"{url}/api/v2/routing/queues?pageSize=500&pageNumber={page}", headers=headers
        ).json()
        ids += [queue["id"] for queue in listing["entities"]]
        pages, page = listing["pageCount"], page + 1

    def cycle(out) -> None:
        for batch in (ids[i : i + BATCH] for i in range(0, len(ids), BATCH)):
            body = json.dumps({"filter": {"type": "or", "predicates": [{"dimension": "queueId", "value": i} for i in batch]},
                               "metrics": METRICS})  # fmt: skip
            data = pool.request(
                "POST", f"{url}/api/v2/analytics/queues/observations/query", body=body, headers=headers
            ).data
            waiting = dict.fromkeys(batch, 0)
            idle = dict.fromkeys(batch, 0)
            for group in decoder.decode(data).results:
                for datum in group.data or ():
                    if datum.metric == "oWaiting":
                        waiting[group.group.queueId] += datum.stats.count
                    elif datum.metric == "oOnQueueUsers" and datum.qualifier == "IDLE":
                        idle[group.group.queueId] = datum.stats.count
            for queue_id in batch:
                out.write(
                    encoder.encode(
                        {"queue_id": queue_id, "waiting": waiting[queue_id], "idle": idle[queue_id]}
                    ).decode()
                    + "\n"
                )

    measure(cycle, cycles)


def measure(cycle, cycles: int, **more: float) -> None:
    """Run one cycle to warm up, then `cycles`; report."""
    with open(os.devnull, "w") as out:
        cycle(out)
        first = time.perf_counter() - BEGAN
        began = time.process_time()
        for _ in range(cycles):
            time.sleep(-time.time() % INTERVAL)
            cycle(out)
        cpu = (time.process_time() - began) / cycles
    print(json.dumps({"cpu": cpu, "peak_mb": peak_mb("self"), "first_line": first, **more}))


def peak_mb(pid: int | str) -> float:
    """The process's own high-water mark, in MB; ru_maxrss would carry over its parent's."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def cpu_seconds(pid: int) -> float:
    """User and system seconds that a process has used so far."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def queuetick(url: str, client_id: str, secret: str, cycles: int) -> dict[str, float]:
    """The daemon itself, all of it; its CPU is read from /proc between two cycle.completed lines."""
    with tempfile.TemporaryDirectory() as directory:
        with open(f"{directory}/config.toml", "w") as config:
            config.write(
                f'[poll]\ninterval = {INTERVAL}\nrequests_per_minute = 100000\n[output]\npath = "lines.jsonl"\n'
            )
        env = {
            **os.environ,
            "GENESYS_API_URL": url,
            "GENESYS_CLIENT_ID": client_id,
            "GENESYS_CLIENT_SECRET": secret,
        }
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "queuetick", "run"], cwd=directory, env=env)
        first = None
        marks = []
        with open(f"{directory}/lines.jsonl", "a+b") as lines:
            lines.seek(0)
            while len(marks) <= cycles + 1:
                line = lines.readline()
                if not line.endswith(b"\n"):
                    lines.seek(-len(line), 1)
                    time.sleep(0.005)
                    continue
                first = first or time.perf_counter() - began
                if b'"event":"cycle.completed"' in line[:90]:
                    marks.append(cpu_seconds(process.pid))
        peak = peak_mb(process.pid)
        process.terminate()
        process.wait()
    return {"cpu": (marks[-1] - marks[1]) / (len(marks) - 2), "peak_mb": peak, "first_line": first}


def yardstick(side: str, url: str, client_id: str, secret: str, cycles: int) -> dict[str, float]:
    """One of the sides that run in a process of this file's own."""
    done = subprocess.run(
        [sys.executable, __file__, "--side", side, url, client_id, secret, str(cycles)],
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--queues", type=int, default=1500)
    parser.add_argument("--cycles", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that each answer takes")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed service has its bytecode
    simulate = [sys.executable, "-m", "queuetick", "simulate", "--queues", str(options.queues)]
    faults = tempfile.NamedTemporaryFile("w", suffix=".toml")  # noqa: SIM115 - as long as the process
    faults.write(f"rate_limit = 0\nlatency = {options.latency}\n")
    faults.flush()
    simulator = subprocess.Popen([*simulate, "--faults", faults.name], stdout=subprocess.PIPE)
    try:
        started = json.loads(simulator.stdout.readline())
        where = (started["url"], started["client_id"], started["client_secret"])
        rounds: dict[str, list[dict[str, float]]] = {
            "plain": [yardstick("plain", *where, max(2, options.cycles // 4))],
            "bare": [],
            "queuetick": [],
        }
        for _ in range(options.rounds):
            rounds["bare"].append(yardstick("bare", *where, options.cycles))
            rounds["queuetick"].append(queuetick(*where, options.cycles))
    finally:
        simulator.terminate()
    print(
        f"{options.queues} queues, batches of {BATCH}, answers after {options.latency:g} s, Python {sys.version.split()[0]}\n"
    )
    print("| | CPU a cycle | against bare | peak memory | first line after |")
    print("|---|---|---|---|---|")
    names = {"plain": "plain SDK, typed calls", "bare": "bare urllib3 + msgspec", "queuetick": "queuetick"}
    ratios = [
        ours["cpu"] / bare["cpu"] for ours, bare in zip(rounds["queuetick"], rounds["bare"], strict=True)
    ]
    for side in SIDES:
        cpu, peak, first = (statistics.median(found[name] for found in rounds[side]) for name in FIGURES)
        against = (
            statistics.median(ratios)
            if side == "queuetick"
            else cpu / statistics.median(found["cpu"] for found in rounds["bare"])
        )
        print(f"| {names[side]} | {cpu * 1000:.0f} ms | {against:.2f} | {peak:.0f} MB | {first:.2f} s |")
    each = ", ".join(
        f"{ours['cpu'] * 1000:.0f}/{bare['cpu'] * 1000:.0f} = {ratio:.2f}"
        for ours, bare, ratio in zip(rounds["queuetick"], rounds["bare"], ratios, strict=True)
    )
    print(f"\nqueuetick/bare in ms, round by round: {each}")
    print(f"plain SDK import alone: {rounds['plain'][0]['imported']:.2f} s")


METRICS = ["oWaiting", "oInteracting", "oAlerting", "oLongestWaiting", "oLongestInteracting", "oOnQueueUsers",
           "oUserRoutingStatuses", "oOffQueueUsers", "oMemberUsers", "oActiveUsers"]  # fmt: skip
BEGAN = time.perf_counter()

if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        {"plain": plain, "bare": bare}[sys.argv[2]](*sys.argv[3:6], int(sys.argv[6]))
    else:
        main()
