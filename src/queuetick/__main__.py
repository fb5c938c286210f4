"""The console script, and `python -m queuetick`."""

import signal
import sys


def main() -> int:
    """Run one command and return its exit code.

    SIGINT waits until the modules are loaded: amid an import it would print a traceback, or be lost.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    from queuetick.cli.main import main as run_command
    from queuetick.exit_codes import ExitCode

    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return run_command()
    except KeyboardInterrupt:
        return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
