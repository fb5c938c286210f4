"""The daemon's numbers are the contact centre's own: every queue, every cycle, over real sockets on a fake clock."""

from __future__ import annotations

from datetime import datetime

from queuetick.clock import Clock
from queuetick.config import Config, Credentials, Genesys, Log, Metrics, Output, Poll, Queues
from queuetick.events import CycleReport, QueueSnapshot
from queuetick.genesys.org import Org
from queuetick.polling.runner import CycleRunner
from queuetick.simulator import Simulator

CYCLES = 200


def test_for_200_cycles_every_number_of_every_queue_equals_the_simulators_truth() -> None:
    instant = [datetime.fromisoformat("2026-11-24T08:00:00+00:00").timestamp()]

    def wait(seconds: float) -> bool:
        instant[0] += seconds
        return False

    clock = Clock(wait=wait, monotonic=lambda: instant[0], now=lambda: instant[0])
    facts: list[object] = []
    with Simulator(queues=45, seed=11, clock=lambda: instant[0]) as simulator:
        config = Config(
            genesys=Genesys(api_url=simulator.url),
            queues=Queues(),
            poll=Poll(),
            output=Output(),
            log=Log(),
            metrics=Metrics(),
            credentials=Credentials(simulator.client_id, simulator.client_secret),
        )
        org = Org(
            config,
            clock=clock,
            emit=lambda *some: facts.extend(some),
            redact=lambda _: None,
            uniform=lambda low, _: low,
        )
        cycles = CycleRunner(
            org, clock=clock, emit=lambda *some: facts.extend(some), uniform=lambda low, _: low
        )
        cycles.discover()
        busy = 0
        for _ in range(CYCLES):
            facts.clear()
            cycles.tick(instant[0])
            truth = simulator.truth()
            snapshots = [fact for fact in facts if isinstance(fact, QueueSnapshot)]
            assert set(truth) == {snapshot.queue_id for snapshot in snapshots}
            for snapshot in snapshots:
                expected = truth[snapshot.queue_id]
                oldest = expected["oldest_wait_epoch_ms"]
                age = None if oldest is None else max(0.0, round(instant[0] - oldest / 1000, 1))
                assert (
                    expected["waiting"],
                    expected["agents_available"],
                    expected["interacting"],
                    expected["alerting"],
                    age,
                    expected["agents_by_status"],
                    expected["members"],
                    expected["joined"],
                    set(expected["media"]),
                ) == (
                    snapshot.waiting,
                    snapshot.agents_available,
                    snapshot.interacting,
                    snapshot.alerting,
                    snapshot.longest_wait_seconds,
                    snapshot.agents_by_status,
                    snapshot.members,
                    snapshot.members_joined,
                    set(snapshot.media or ()),
                )
                for media, counts in (snapshot.media or {}).items():
                    for name in ("waiting", "interacting", "alerting"):
                        assert expected["media"][media].get(name) == getattr(counts, name)
                busy += snapshot.waiting or 0
            (report,) = [fact for fact in facts if isinstance(fact, CycleReport)]
            assert ("ok", 45, 3) == (report.outcome, report.snapshots, report.requests)
            wait(15.0)
        cycles.close()
    assert busy > CYCLES, "a contact centre where nobody waits would prove little"
