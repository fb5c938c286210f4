"""The grid's ticks: where they begin and end."""

from __future__ import annotations

import threading

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler

from queuetick.polling.schedule import Schedule


def schedule() -> Schedule:
    return Schedule(15.0, on_tick=lambda: None, on_overrun=lambda _: None, on_refresh=lambda: None)


def begin(subject: Schedule) -> None:
    subject.start(4e9, now=4e9 - 15, interval=15.0, refresh=600.0)


def test_a_stop_that_comes_while_the_schedule_starts_ends_it(monkeypatch) -> None:
    """APScheduler says that it runs before it has the thread that its shutdown joins."""
    subject, failures = schedule(), []

    def stop() -> None:
        try:
            subject.stop()
        except Exception as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    stopper = threading.Thread(target=stop)

    def started(scheduler: BackgroundScheduler, *arguments: object) -> None:
        original(scheduler, *arguments)
        stopper.start()
        stopper.join(0.1)  # ends at once where nothing holds it

    original = BaseScheduler.start
    monkeypatch.setattr(BaseScheduler, "start", started)
    begin(subject)
    stopper.join(10)
    assert failures == []
    assert not subject._scheduler.running


def test_a_schedule_that_was_stopped_before_its_start_begins_nothing() -> None:
    subject = schedule()
    subject.stop()
    begin(subject)
    assert not subject._scheduler.running
