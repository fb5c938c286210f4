"""What `run`, `once`, `queues` and `demo` share: signals, configuration, the daemon, the end of the process."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from queuetick.cli import streams
from queuetick.cli.arguments import for_eyes
from queuetick.cli.streams import say
from queuetick.exit_codes import ExitCode

if TYPE_CHECKING:
    from queuetick.config import Config, ConfigError
    from queuetick.daemon.daemon import Daemon

Result = TypeVar("Result")


def hold_signals() -> None:
    """Let signals wait for `Daemon.run`: while modules load, a SIGHUP would end the process."""
    from queuetick.daemon import signals

    signals.hold()


def with_config(path: Path | None, go: Callable[[Config, Callable[[], Config]], int]) -> int:
    """Load the configuration and call `go(config, load)`, or write every problem of it to stderr.

    `load` reads the configuration again. Returns the exit code.
    """
    from queuetick.config import ConfigError
    from queuetick.config import load as configuration
    from queuetick.genesys import sdk

    try:
        regions = sdk.region_hosts()
    except sdk.SdkMissing as error:
        say(f"queuetick: {error}\n")
        return ExitCode.FAILURE

    load = configuration.Loader(path, regions=regions, environ=os.environ).load
    try:
        config = _prepared(load)
        streams.redaction().add(config.secrets())
        return go(config, load)
    except ConfigError as error:
        say(problems_text(error))
        return ExitCode.CONFIG


def run_daemon(
    arguments: argparse.Namespace,
    go: Callable[[Daemon], ExitCode],
    *,
    max_cycles: int | None = None,
    serve_metrics: bool = False,
) -> int:
    """Make a daemon of the configuration, call `go` with it, and exit with what that returns."""
    hold_signals()
    eyes = for_eyes(arguments)

    def start(config: Config, load: Callable[[], Config]) -> int:
        daemon = new_daemon(config, load, max_cycles=max_cycles, serve_metrics=serve_metrics, for_eyes=eyes)
        return end_now(go(daemon))

    return with_config(arguments.config, start)


def problems_text(error: ConfigError) -> str:
    """Where settings were looked for, and every problem on a line of its own, with its fix."""
    count = "1 problem" if len(error.problems) == 1 else f"{len(error.problems)} problems"
    places = [
        f"{state}: {', '.join(names)}"
        for state in ("read", "absent", "ignored")
        if (names := [source.name for source in error.sources if source.state == state])
    ]
    where = f" ({'; '.join(places)})" if places else ""
    lines = [
        f"  {problem.key}: {problem.problem}. Fix: {problem.fix}{'' if problem.fix.endswith('?') else '.'}"
        for problem in error.problems
    ]
    return "\n".join([f"queuetick: {count} in the configuration{where}", *lines, ""])


def new_daemon(
    config: Config,
    load: Callable[[], Config],
    *,
    max_cycles: int | None = None,
    serve_metrics: bool = False,
    for_eyes: bool = False,
) -> Daemon:
    """A daemon that writes to the configured output. Raises ConfigError where that cannot be opened.

    `for_eyes`: where that is stdout, short lines for people are written to it in place of JSON.
    """
    from queuetick.cli import eyes
    from queuetick.config import ConfigError
    from queuetick.daemon.daemon import Daemon
    from queuetick.events import Problem
    from queuetick.lines import Emitter, install_logging
    from queuetick.lines.output import Output, open_output, stdout_is_journal

    journal = config.output.path == "-" and stdout_is_journal(os.environ)
    for_eyes = for_eyes and config.output.path == "-"
    if for_eyes:
        config, load = eyes.plain(config), eyes.plainly(load)
    try:
        output = (
            Output(eyes.Terminal(config.thresholds))
            if for_eyes
            else _prepared(lambda: open_output(config.output.path, journal=journal))
        )
    except OSError as error:
        reason = f"{config.output.path} cannot be opened: {error.strerror}"
        fix = "make it writable for the user that queuetick runs as, or set another path"
        raise ConfigError([Problem("output.path", reason, fix)]) from None
    emitter = Emitter(
        output,
        now=time.time,
        level=config.log.level,
        profile=config.output.profile,
        org=config.genesys.org,
        media=config.output.media,
        redaction=streams.redaction(),
    )
    install_logging(emitter)
    return _prepared(
        lambda: Daemon(
            config, emitter, environ=os.environ, load=load, max_cycles=max_cycles, serve_metrics=serve_metrics
        )
    )


def unless_lost(code: ExitCode, daemon: Daemon) -> ExitCode:
    """`code` of a run, or FAILURE where it would be OK over lines that could not be written."""
    return code if daemon.wrote_all or code is not ExitCode.OK else ExitCode.FAILURE


def _prepared(work: Callable[[], Result]) -> Result:
    """Do `work`, which reads or opens files. SIGTERM and SIGINT end the process meanwhile, also where they are held."""
    if signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
        return work()
    from queuetick.daemon import signals

    return signals.interruptible(work)


def end(code: int) -> int:
    """Return `code`, or exit with it now where a thread is stuck in a call that cannot be ended, such as DNS."""
    from queuetick.polling.runner import BATCH_THREADS
    from queuetick.polling.schedule import CYCLE_THREADS

    # The interpreter joins the threads of pools at its end even when they are daemon threads.
    pools = (BATCH_THREADS, CYCLE_THREADS)
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    stuck = [thread for thread in others if not thread.daemon or thread.name.startswith(pools)]
    until = time.monotonic() + 0.5
    for thread in stuck:
        thread.join(max(0.0, until - time.monotonic()))
    if any(thread.is_alive() for thread in stuck):
        sys.stderr.flush()
        os._exit(code)
    return code


def end_now(code: int) -> NoReturn:
    """Exit with `code` without the interpreter's clearing up, which takes up to half a second."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)
