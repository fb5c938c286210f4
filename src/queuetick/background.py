"""Calls that nothing can interrupt: a read of a dead file system, a name server that does not answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


def begin(work: Callable[[], Result], name: str) -> Future[Result]:
    """Do `work` in a daemon thread of that name, which nobody has to wait for.

    The future has what `work` returns or raises.
    """
    outcome: Future[Result] = Future()

    def carry_out() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where the result is taken
            outcome.set_exception(error)

    threading.Thread(target=carry_out, name=name, daemon=True).start()
    return outcome
