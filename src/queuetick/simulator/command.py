"""`queuetick simulate`: the simulator alone, until SIGTERM or SIGINT."""

import argparse
import ipaddress
import json
import signal
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from queuetick.simulator.faults import Faults, UnknownFaultError
from queuetick.simulator.named_faults import NAMED

if TYPE_CHECKING:
    from queuetick.simulator.simulator import Simulator

MISSING_AIOHTTP = "The simulator needs aiohttp: pip install 'queuetick[simulator]'"
_STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--queues", type=int, default=45, metavar="N", help="queues, 1 to 5000 (default 45)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="decides every number (default 1)")
    parser.add_argument("--port", type=int, default=0, help="port of the API and login (default: a free one)")
    parser.add_argument(
        "--control-port", type=int, default=0, help="port of the control address (default: a free one)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument(
        "--allow-remote", action="store_true", help="let --host be an address that others can reach"
    )
    parser.add_argument("--faults", type=Path, metavar="FILE", help="TOML file of faults (docs/simulator.md)")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME",
        help="a fault by its name, again for more; `--fault list` lists them",
    )
    parser.add_argument("--hostile", action="store_true", help="many faults at once; --faults comes on top")
    parser.add_argument(
        "--rate-limit", type=int, metavar="N", help="requests a minute per token; 0: no limit"
    )
    parser.add_argument("--token-lifetime", type=float, metavar="S", help="seconds until a token dies")


def read_faults(options: argparse.Namespace) -> Faults:
    """The faults that the options ask for; the more particular option wins."""
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
    """Serve until told to stop; 0, or 1 for a fault and 2 for options that make no sense."""
    if not (_is_loopback(options.host) or options.allow_remote):
        return _complain(
            f"--host {options.host} can be reached by others, and whoever reaches it may log in: "
            "add --allow-remote if that is meant",
            2,
        )
    if "list" in options.fault:
        sys.stdout.write("".join(f"{name:22} {fault.about}\n" for name, fault in NAMED.items()))
        return 0
    try:
        faults = read_faults(options)
    except (UnknownFaultError, tomllib.TOMLDecodeError, OSError) as error:
        return _complain(f"faults: {error}", 2)
    try:
        from queuetick.simulator.simulator import Simulator
    except ModuleNotFoundError as error:
        if error.name != "aiohttp":
            raise
        return _complain(MISSING_AIOHTTP, 1)
    try:
        simulator = Simulator(
            queues=options.queues,
            seed=options.seed,
            port=options.port,
            host=options.host,
            control_port=options.control_port,
            faults=faults,
        )
    except ValueError as error:
        return _complain(str(error), 2)
    # Blocked before the serving thread starts, so that it inherits the mask and sigwait gets them all.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        simulator.start()
        _announce(simulator)
        signal.sigwait(_STOP_SIGNALS)
        simulator.stop()
    except OSError as error:
        return _complain(f"cannot listen: {error}", 1)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return 0


def _announce(simulator: "Simulator") -> None:
    started = {
        "event": "simulator.started",
        "url": simulator.url,
        "client_id": simulator.client_id,
        "client_secret": simulator.client_secret,
        "control_url": simulator.control_url,
    }
    sys.stdout.write(json.dumps(started, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _complain(sentence: str, code: int) -> int:
    sys.stderr.write(sentence + "\n")
    return code
