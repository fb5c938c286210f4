"""Under the real clock, and with everybody talking at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

from simulator_client import Client

from queuetick.simulator import Faults, Simulator
from support.simulators import busy


def waiting_by_queue(simulator: Simulator, client: Client) -> dict[str, int]:
    counts = dict.fromkeys(simulator.queue_ids, 0)
    for group in client.observe(simulator.queue_ids).json["results"]:
        counts[group["group"]["queueId"]] += group["data"][0]["stats"]["count"]
    return counts


def test_an_answer_under_the_real_clock_is_the_truth_of_the_instant_in_the_log():
    with busy(45) as simulator:
        client = Client(simulator)
        for _ in range(5):
            answered = waiting_by_queue(simulator, client)
            truth = simulator.truth(simulator.requests[-1].time)
            assert answered == {queue_id: each["waiting"] for queue_id, each in truth.items()}


def test_many_clients_and_a_busy_test_do_not_disturb_each_other():
    """Four clients ask while the test reads truth of other hours, changes faults and revokes nothing."""
    with busy(45, faults=Faults(rate_limit=0)) as simulator:
        done = threading.Event()

        def ask(_number: int) -> list[int]:
            client = Client(simulator)
            return [client.observe(simulator.queue_ids[:20]).status for _ in range(25)]

        def disturb() -> int:
            rounds = 0
            while not done.is_set():
                simulator.truth(1_764_072_000.0 + 60 * rounds)
                simulator.set_faults(clock_skew=float(rounds))
                assert len(simulator.requests) <= 104
                rounds += 1
            return rounds

        with ThreadPoolExecutor(5) as pool:
            disturber = pool.submit(disturb)
            statuses = list(pool.map(ask, range(4)))
            done.set()
        assert statuses == [[200] * 25] * 4
        assert disturber.result() > 0
        assert len(simulator.requests) == 104
