"""The commands, how they are wired together, and what they exit with."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from queuetick import __version__
from queuetick.exit_codes import Exit

if TYPE_CHECKING:
    from queuetick.config import Config
    from queuetick.daemon.daemon import Daemon
    from queuetick.events import Problem


def main(argv: list[str] | None = None) -> int:
    """The console script: run one command and return its exit code."""
    parser, commands = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return Exit.USAGE
    try:
        return commands[arguments.command](arguments)
    except KeyboardInterrupt:
        return Exit.OK
    except BrokenPipeError:  # `queuetick schema | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return Exit.OK


Command = Callable[[argparse.Namespace], int]


def _parser() -> tuple[argparse.ArgumentParser, Mapping[str, Command]]:
    parser = argparse.ArgumentParser(
        prog="queuetick", description="Genesys Cloud queues as JSON lines, every 15 seconds."
    )
    parser.add_argument("--version", action="version", version=f"queuetick {__version__}")
    commands: dict[str, Command] = {}
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, run: Command, summary: str) -> argparse.ArgumentParser:
        commands[name] = run
        return subparsers.add_parser(name, help=summary, description=summary)

    for name, run, summary in (
        ("run", _run, "the daemon: poll every interval until a signal"),
        ("once", _once, "one cycle, then exit"),
    ):
        _add_config(command(name, run, summary))
    _add_check(
        command(
            "check", _check, "test the set-up, from config to the last queue id; each problem with its fix"
        )
    )
    _add_queues(command("queues", _queues, "the org's queues as a table, JSON, or TOML for config.toml"))
    _add_watch(command("watch", _watch, "a live table from the lines in FILE or on stdin"))
    demo = command("demo", _demo, "the simulator and the daemon against it; no credentials needed")
    demo.add_argument("--cycles", type=_positive, metavar="N", help="end after N cycles (default: at Ctrl-C)")
    demo.add_argument("--interval", type=float, default=15.0, metavar="S", help="seconds (default 15)")
    demo.add_argument(
        "--queues", type=_positive, default=12, metavar="N", help="queues to simulate (default 12)"
    )
    demo.add_argument("--seed", type=int, default=1, help="seed of the simulated contact centre (default 1)")
    _add_simulate(command("simulate", _simulate, "the embedded Genesys Cloud, alone, with its fault knobs"))
    command("schema", _schema, "JSON Schema of the lines")
    return parser, commands


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="TOML file (default: ./config.toml, then /etc/queuetick/config.toml, where one exists)",
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _run(arguments: argparse.Namespace) -> int:
    _hold_signals()
    return _with_config(
        arguments.config, lambda config, load: _end(_daemon(config, load, serve_metrics=True))
    )


def _hold_signals() -> None:
    """Let SIGTERM, SIGINT and SIGHUP wait for `Daemon.run`: while modules load, a SIGHUP would end the process."""
    import signal

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


def _once(arguments: argparse.Namespace) -> int:
    _hold_signals()

    def once(config: Config, load: Callable[[], Config]) -> int:
        daemon = _daemon(config, load, max_cycles=1)
        code = daemon.run()
        report = daemon.last_report
        if code is Exit.OK and (report is None or report.outcome != "ok"):
            reached = report is not None and report.snapshots + report.missing > 0
            code = Exit.FAULT if reached else Exit.UNREACHABLE
        return _leave(code)

    return _with_config(arguments.config, once)


def _with_config(path: Path | None, go: Callable[[Config, Callable[[], Config]], int]) -> int:
    """Load the configuration and go on with it, or say everything that is wrong with it."""
    from queuetick.config import ConfigError
    from queuetick.config import load as configuration
    from queuetick.genesys import sdk

    try:
        regions = sdk.region_hosts()
    except sdk.SdkMissing as error:
        sys.stderr.write(f"queuetick: {error}\n")
        return Exit.FAULT

    def load() -> Config:
        return configuration.load(path, regions=regions, environ=os.environ)

    try:
        config = load()
    except ConfigError as error:
        sys.stderr.write(problems_text(error.problems))
        return Exit.CONFIG
    try:
        return go(config, load)
    except ConfigError as error:
        sys.stderr.write(problems_text(error.problems))
        return Exit.CONFIG


def problems_text(problems: list[Problem]) -> str:
    """Every problem on a line of its own, with its fix."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = [f"  {problem.key}: {problem.problem}. Fix: {problem.fix}." for problem in problems]
    return "\n".join([f"queuetick: {count} in the configuration", *lines, ""])


def _daemon(
    config: Config,
    load: Callable[[], Config],
    *,
    max_cycles: int | None = None,
    serve_metrics: bool = False,
) -> Daemon:
    from queuetick.config import ConfigError
    from queuetick.daemon.daemon import Daemon
    from queuetick.events import Problem
    from queuetick.lines import Emitter, install_logging
    from queuetick.lines.output import open_output, stdout_is_journal

    try:
        output = open_output(config.output.path)
    except OSError as error:
        reason = f"{config.output.path} cannot be opened: {error.strerror}"
        fix = "make it writable for the user that queuetick runs as, or set another path"
        raise ConfigError([Problem("output.path", reason, fix)]) from None
    journal = config.output.path == "-" and stdout_is_journal(os.environ)
    emitter = Emitter(
        output,
        now=time.time,
        level=config.log.level,
        profile=config.output.profile,
        journal=journal,
    )
    install_logging(emitter)
    return Daemon(
        config, emitter, environ=os.environ, load=load, max_cycles=max_cycles, serve_metrics=serve_metrics
    )


def _end(daemon: Daemon) -> int:
    return _leave(daemon.run())


def _leave(code: int) -> int:
    """Exit now where a thread is still stuck in something that cannot be ended, such as a DNS query."""
    import threading

    from queuetick.polling.cycle import BATCH_THREADS
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


def _add_check(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument("--offline", action="store_true", help="stop after the configuration; sends nothing")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of text")


def _check(arguments: argparse.Namespace) -> int:
    from queuetick.genesys import sdk

    try:
        sdk.load()
    except sdk.SdkMissing as error:
        sys.stderr.write(f"queuetick: {error}\n")
        return Exit.FAULT
    from queuetick.cli import check as command

    try:
        code = command.run(
            arguments.config,
            offline=arguments.offline,
            as_document=arguments.json,
            environ=os.environ,
            stdout=sys.stdout,
        )
    except KeyboardInterrupt:  # not 0: `queuetick check && systemctl start queuetick` must not go on
        code = Exit.FAULT
    return _leave(code)


def _add_queues(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", dest="form", action="store_const", const="json", help="a JSON list")
    form.add_argument(
        "--toml", dest="form", action="store_const", const="toml", help="a [queues] block to paste"
    )
    for flag, key, help_text in (
        ("--name", "GLOB", "only names that match, case-insensitively; may be repeated"),
        ("--division", "NAME", "only this division, by name or id; may be repeated"),
        ("--exclude", "GLOB", "leave out names that match, or an id; may be repeated"),
    ):
        parser.add_argument(flag, action="append", default=[], metavar=key, help=help_text)
    parser.add_argument("--polled", action="store_true", help="only what the present configuration polls")


def _queues(arguments: argparse.Namespace) -> int:
    def queues(config: Config, _: Callable[[], Config]) -> int:
        import threading

        from queuetick.cli import queues as queue_table
        from queuetick.clock import Clock

        choice = queue_table.Choice(
            names=tuple(arguments.name),
            divisions=tuple(arguments.division),
            exclude=tuple(arguments.exclude),
            polled=arguments.polled,
        )
        return queue_table.run(
            config,
            choice,
            arguments.form or "table",
            environ=os.environ,
            clock=Clock(wait=threading.Event().wait),
            stdout=sys.stdout,
            stderr=sys.stderr,
        )

    return _with_config(arguments.config, queues)


def _demo(arguments: argparse.Namespace) -> int:
    _hold_signals()  # before the simulator's thread begins, or that thread would take Ctrl-C
    try:
        from queuetick.simulator import Simulator
    except ModuleNotFoundError as error:
        sys.stderr.write(f"queuetick: {error.name} is missing: pip install 'queuetick[simulator]'\n")
        return Exit.FAULT
    from queuetick.config import Config, Credentials, Genesys, Log, Metrics, Output, Poll, Queues

    with Simulator(queues=arguments.queues, seed=arguments.seed) as simulator:
        config = Config(
            genesys=Genesys(api_url=simulator.url),
            queues=Queues(),
            poll=Poll(interval=arguments.interval),
            output=Output(),
            log=Log(),
            metrics=Metrics(),
            credentials=Credentials(simulator.client_id, simulator.client_secret),
        )
        return _daemon(config, lambda: config, max_cycles=arguments.cycles).run()


def _add_watch(parser: argparse.ArgumentParser) -> None:
    from queuetick.watch import add_arguments

    add_arguments(parser)


def _watch(arguments: argparse.Namespace) -> int:
    from queuetick.watch import run

    return run(arguments)


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    from queuetick.simulator.command import add_arguments

    add_arguments(parser)


def _simulate(arguments: argparse.Namespace) -> int:
    from queuetick.simulator.command import run

    return run(arguments)


def _schema(_: argparse.Namespace) -> int:
    from queuetick.events.schema import json_schema

    json.dump(json_schema(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
    return Exit.OK
