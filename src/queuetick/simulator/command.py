"""`queuetick simulate`: the simulator alone, until SIGTERM or SIGINT."""

import argparse
import ipaddress
import json
import math
import re
import shlex
import signal
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from queuetick.simulator.env_file import check_env_file, write_env_file
from queuetick.simulator.names import MAX_QUEUES

if TYPE_CHECKING:
    from queuetick.simulator.faults import Faults
    from queuetick.simulator.simulator import Simulator

MISSING_AIOHTTP = (
    "The simulator needs aiohttp, which is not installed. "
    "Fix: install the package queuetick-tools, or: pip install 'queuetick[simulator]'"
)
_STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


def _whole(low: int, high: int | None = None) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text)
        if number < low or (high is not None and number > high):
            range_ = f"between {low} and {high}" if high is not None else f"at least {low}"
            raise argparse.ArgumentTypeError(f"must be {range_}, not {text}")
        return number

    read.__name__ = "number"
    return read


def _seconds(text: str) -> float:
    number = float(text)
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, not {text}")
    return number


def _share(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"must be between 0 and 1, not {text}")
    return number


def hour(text: str) -> float:
    """A time of day such as 10:30, as hours. Raises argparse.ArgumentTypeError."""
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"must be a time of day such as 10:30, not {text}")
    return int(found[1]) + int(found[2]) / 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--queues", type=_whole(1, MAX_QUEUES), default=45, metavar="N", help="queues, 1 to 5000 (default 45)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="decides every number (default 1)")
    port = _whole(0, 65535)
    parser.add_argument(
        "--port", type=port, default=0, help="port of the API and login (default: a free one)"
    )
    parser.add_argument(
        "--control-port", type=port, default=0, help="port of the control address (default: a free one)"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; localhost: both families (default 127.0.0.1)",
    )
    parser.add_argument(
        "--allow-remote", action="store_true", help="let --host be an address that others can reach"
    )
    parser.add_argument(
        "--env", type=Path, metavar="FILE", help="write address and credentials there, as a .env (mode 0600)"
    )
    parser.add_argument(
        "--at", type=hour, metavar="HH:MM", help="time of a working day at which every queue begins"
    )
    parser.add_argument(
        "--trouble", type=_share, default=0.0, metavar="SHARE", help="share of queues that lack staff, 0 to 1"
    )
    parser.add_argument("--faults", type=Path, metavar="FILE", help="TOML file of faults (docs/simulator.md)")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME",
        help="a fault by its name, again for more; `--fault list` lists them",
    )
    parser.add_argument(
        "--hostile", action="store_true", help="many faults at once; other faults come on top"
    )
    parser.add_argument(
        "--rate-limit", type=_whole(0), metavar="N", help="requests a minute per token; 0: no limit"
    )
    parser.add_argument("--token-lifetime", type=_seconds, metavar="S", help="seconds until a token expires")


def read_faults(options: argparse.Namespace) -> "Faults":
    """The faults that the options ask for; the more particular option wins.

    Raises UnknownFaultError and other ValueErrors, and OSError for a file that cannot be read.
    """
    from queuetick.simulator.faults import Faults

    faults = Faults.hostile() if options.hostile else Faults()
    if options.faults is not None:
        with options.faults.open("rb") as file:
            faults = Faults.from_mapping(tomllib.load(file), faults)
    if options.fault:
        faults = Faults.from_mapping({"named": options.fault}, faults)
    if options.rate_limit is not None:
        faults = replace(faults, rate_limit=options.rate_limit)
    if options.token_lifetime is not None:
        faults = replace(faults, token_lifetime=options.token_lifetime)
    return faults


def run(options: argparse.Namespace) -> int:
    """Serve until told to stop; 0, or 1 for a fault and 2 for options that are invalid."""
    if "list" in options.fault:
        from queuetick.simulator.named_faults import NAMED

        sys.stdout.write("".join(f"{name:22} {fault.about}\n" for name, fault in NAMED.items()))
        return 0
    if problem := _problem(options):
        return _complain(problem, 2)
    try:
        faults = read_faults(options)
    except (ValueError, OSError) as error:
        return _complain(f"faults: {error}", 2)
    try:
        from queuetick.simulator.simulator import Simulator
    except ModuleNotFoundError as error:
        if error.name != "aiohttp":
            raise
        return _complain(MISSING_AIOHTTP, 1)
    simulator = Simulator(
        queues=options.queues,
        seed=options.seed,
        port=options.port,
        host=options.host,
        control_port=options.control_port,
        faults=faults,
        hour=options.at,
        trouble=options.trouble,
    )
    # Blocked before the serving thread starts, so that it inherits the mask and sigwait gets them all.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        return _serve(simulator, options.env)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _problem(options: argparse.Namespace) -> str | None:
    """What is wrong with the options, before anything listens."""
    if not (_is_loopback(options.host) or options.allow_remote):
        return (
            f"--host {options.host} can be reached by others, who may then log in: "
            "add --allow-remote if that is meant"
        )
    if options.port and options.port == options.control_port:
        return f"--port and --control-port are both {options.port}: the control address needs its own"
    return None if options.env is None else check_env_file(options.env)


def _serve(simulator: "Simulator", env: Path | None) -> int:
    try:
        simulator.start()
    except (OSError, ValueError) as error:  # ValueError: a host name that cannot be one
        reason = getattr(error, "strerror", None) or error
        return _complain(f"cannot listen: {reason}. Fix: leave --port out for a free one, or set another", 1)
    try:
        if env is not None:
            write_env_file(env, _settings(simulator))
        _announce(simulator)
        signal.sigwait(_STOP_SIGNALS)
    except OSError as error:
        return _complain(f"cannot tell the address: {error}", 1)
    finally:
        simulator.stop()
    return 0


def _settings(simulator: "Simulator") -> dict[str, str]:
    """What the daemon needs to use the simulator."""
    return {
        "GENESYS_API_URL": simulator.url,
        "GENESYS_CLIENT_ID": simulator.client_id,
        "GENESYS_CLIENT_SECRET": simulator.client_secret,
    }


def _announce(simulator: "Simulator") -> None:
    """The one line on stdout for programs, then the same for a shell on stderr."""
    started = {
        "event": "simulator.started",
        "url": simulator.url,
        "client_id": simulator.client_id,
        "client_secret": simulator.client_secret,
        "control_url": simulator.control_url,
    }
    sys.stdout.write(json.dumps(started, separators=(",", ":")) + "\n")
    sys.stdout.flush()
    exports = [f"{name}={shlex.quote(value)}" for name, value in _settings(simulator).items()]
    sys.stderr.write("To use it from a shell:\nexport " + " ".join(exports) + "\n")
    sys.stderr.flush()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _complain(sentence: str, code: int) -> int:
    sys.stderr.write(f"queuetick simulate: {sentence}\n")
    return code
