"""Install the wheel of dist/ as a newcomer would, with pip, pipx and uv on each Python, use it, and run the fast tests.

    python release/try_wheel.py [VERSION ...]     default: 3.11 3.12 3.13 3.14; TESTS=no leaves out the tests,
                                                  JOBS=2 tries two Pythons at a time

A Python is looked for on PATH, among pyenv's versions, then in the root file system of a release that has it
(release/rootfs: root only). One that cannot be had is named as skipped, with the reason. Every package is downloaded
before: the seconds in the table are those of the installation alone, on a machine that does nothing else.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
SUITES = {
    "3.12": ("noble", "Ubuntu 24.04"),
    "3.13": ("trixie", "Debian 13"),
    "3.14": ("forky", "Debian forky"),
}
FAST = "not slow and not pipelines and not system and not process"
ENTER = """
root=$1 work=$2 tree=$3; shift 3
mount --rbind /dev "$root/dev"; mount -t proc proc "$root/proc"; mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/srv"; mkdir -p "$root$work" "$root/srv/queuetick"
mount --bind "$work" "$root$work"; mount --bind "$tree" "$root/srv/queuetick"
exec chroot "$root" "$@"
"""
"""Show the work folder and this tree in another root file system; nothing of it outlives the command."""


class Python:
    """An interpreter, of this machine or of another root file system, and the folder that it works in."""

    def __init__(self, version: str, work: Path) -> None:
        self.work, self.root, self.path = work, None, _on_this_machine(version)
        if not self.path:
            if version not in SUITES:
                raise LookupError("neither on PATH nor among pyenv's versions")
            self.root, self.path = _root_file_system(SUITES[version][0]), f"/usr/bin/python{version}"
        self.where = SUITES[version][1] if self.root else "this machine"
        self._environment = {
            "HOME": f"{work}/home",
            "PATH": f"{work}/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": f"{work}/wheels",
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIPX_HOME": f"{work}/pipx",
            "PIPX_BIN_DIR": f"{work}/bin",
            "UV_NO_CONFIG": "1",
            "UV_TOOL_DIR": f"{work}/uv",
            "UV_TOOL_BIN_DIR": f"{work}/bin",
            "UV_CACHE_DIR": f"{work}/uv-cache",
            "UV_PYTHON_DOWNLOADS": "never",
        }
        for name in ("home", "bin", "wheels"):
            (work / name).mkdir()
        self.version = self.run(self.path, "--version").split()[-1]

    @property
    def tree(self) -> str:
        """Where it finds this checkout."""
        return "/srv/queuetick" if self.root else str(TREE)

    def run(self, *command: str, cwd: str | None = None) -> str:
        """Run a command with nothing of the developer's environment; its output, or the end with what it wrote."""
        inner = ["env", "-i", *(f"{name}={value}" for name, value in self._environment.items())]
        inner += ["sh", "-euc", 'cd "$0"; exec "$@"', cwd or str(self.work), *command]
        if self.root:
            unshare = [
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "bash",
                "-euc",
                ENTER,
                "enter",
            ]
            inner = [*unshare, str(self.root), str(self.work), str(TREE), *inner]
        done = subprocess.run(
            inner, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=900
        )
        if done.returncode:
            sys.exit(
                f"{' '.join(command)} gave {done.returncode}:\n{done.stdout[-6000:]}{done.stderr[-6000:]}"
            )
        return done.stdout


def _on_this_machine(version: str) -> str | None:
    home = os.environ.get("PYENV_ROOT", str(Path("~/.pyenv").expanduser()))
    for candidate in (f"python{version}", *glob.glob(f"{home}/versions/{version}.*/bin/python")):  # noqa: PTH207
        # pyenv's shims are on PATH also for versions that are not in force.
        found = shutil.which(candidate)
        if (
            found
            and subprocess.run([found, "-c", "import venv"], capture_output=True, check=False).returncode == 0
        ):
            return found
    return None


def _root_file_system(suite: str) -> Path:
    made = subprocess.run([TREE / "release" / "rootfs", suite], capture_output=True, text=True, check=False)
    if made.returncode:
        raise LookupError(
            f"not on this machine, and no root file system of {suite}: {made.stderr.strip()[-300:]}"
        )
    return Path(made.stdout.strip())


def _download(python: Python, folder: Path, *what: str) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder)]
    subprocess.run(
        [*pip, f"--python-version={python.version}", "--only-binary=:all:", *what], cwd=TREE, check=True
    )


def _megabytes(folder: Path) -> int:
    return round(sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6)


def _use(python: Python, command: str) -> None:
    """Every kind of command: help, the daemon against the simulator, its lines for eyes, the schema."""
    assert "demo" in python.run(command, "--help")
    output = python.run(command, "demo", "--cycles", "1", "--interval", "1")
    lines = [json.loads(line) for line in output.splitlines()]
    [report] = [line for line in lines if line["event"] == "cycle.completed"]
    snapshots = sum(line["event"] == "queue.snapshot" for line in lines)
    assert (report["outcome"], report["snapshots"], snapshots) == ("ok", 12, 12), report
    assert lines[-1]["event"] == "daemon.stopped", lines[-1]
    (python.work / "lines.jsonl").write_text(output)
    assert "waiting" in python.run("sh", "-c", f"{command} tail --all - < lines.jsonl")
    assert "QUEUE" in python.run(command, "watch", "--once", "lines.jsonl")
    assert json.loads(python.run(command, "schema"))["$schema"]


def try_installers(python: Python, wheel: Path) -> None:
    work, wheels = python.work, python.work / "wheels"
    _download(python, wheels, f"{wheel}[all]", "pipx", "uv", "pip")
    own = str(wheels / wheel.name)
    python.run(python.path, "-m", "venv", "bare")
    python.run(python.path, "-m", "venv", "full")
    # Apart: with uv beside it, pipx gives it the work, but not pip's settings.
    for tool in ("tool-uv", "tool-pipx"):
        python.run(python.path, "-m", "venv", tool)
        python.run(f"{tool}/bin/python", "-m", "pip", "install", "--quiet", tool.removeprefix("tool-"))
    no_index = ["--no-index", "--find-links", str(wheels)]
    for name, command, folder, installed in (
        ("pip install queuetick", ["bare/bin/python", "-m", "pip", "install", own], "bare", "bare/bin/queuetick"),
        ("pip install 'queuetick[all]'", ["full/bin/python", "-m", "pip", "install", f"{own}[all]"],
         "full", "full/bin/queuetick"),
        ("pipx install 'queuetick[all]'", ["tool-pipx/bin/pipx", "install", f"{own}[all]"], "pipx/venvs", "queuetick"),
        ("uv tool install 'queuetick[all]'",
         ["tool-uv/bin/uv", "tool", "install", "--python", python.path, *no_index, f"{own}[all]"], "uv", "queuetick"),
    ):  # fmt: skip
        (work / "bin" / "queuetick").unlink(missing_ok=True)
        started = time.monotonic()
        python.run(*command)
        seconds = time.monotonic() - started
        size = _megabytes(work / folder)
        print(f"| {python.version}, {python.where} | `{name}` | {seconds:.0f} | {size} |", flush=True)
        if folder == "bare":
            assert "check" in python.run(installed, "--help")
        else:
            _use(python, installed)


def run_fast_tests(python: Python, wheel: Path) -> None:
    _download(python, python.work / "locked", "--no-deps", "--require-hashes", "-r", "requirements/ci.txt")
    locked = [str(file) for file in (python.work / "locked").glob("*.whl")]
    python.run(python.path, "-m", "venv", "test")
    install = ["-m", "pip", "install", "--quiet", "--no-deps", *locked, f"{python.work}/wheels/{wheel.name}"]
    python.run("test/bin/python", *install)
    pytest = [f"{python.work}/test/bin/python", "-m", "pytest", "-o", "addopts=", "-p", "no:cacheprovider"]
    last = python.run(*pytest, "-n", "2", "-m", FAST, cwd=python.tree).splitlines()[-1]
    print(f"Python {python.version}: the fast tests: {last.strip('= ')}", flush=True)


def try_version(version: str, wheel: Path) -> bool:
    """Install, use and test on one Python; False where it cannot be had."""
    with tempfile.TemporaryDirectory(prefix="queuetick-") as work:
        try:
            python = Python(version, Path(work))
        except LookupError as error:
            print(f"{version}: skipped: {error}", flush=True)
            return False
        try_installers(python, wheel)
        # `make test` has run more of them on the Python that runs this.
        if os.environ.get("TESTS") != "no" and version != "{}.{}".format(*sys.version_info):
            run_fast_tests(python, wheel)
    return True


def main() -> None:
    [wheel] = (TREE / "dist").glob("queuetick-*.whl")
    print("| Python | command | seconds | MB |\n|---|---|---|---|", flush=True)
    with ThreadPoolExecutor(int(os.environ.get("JOBS") or 1)) as jobs:
        tried = list(jobs.map(try_version, sys.argv[1:] or VERSIONS, repeat(wheel)))
    if not any(tried):
        sys.exit("no Python was found")


if __name__ == "__main__":
    main()
