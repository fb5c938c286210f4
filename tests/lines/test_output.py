"""Where lines go: real pipes, real files, real threads."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest

from queuetick.events import DaemonStopped
from queuetick.events.examples import EXAMPLES
from queuetick.lines import Emitter
from queuetick.lines.buffering import BufferedOutput, Recovery
from queuetick.lines.output import FileOutput, PipeOutput, mend_tail, open_output, stdout_is_journal

STOPPED = DaemonStopped(reason="SIGTERM", cycles=3, uptime_seconds=45.0)
SNAPSHOT = EXAMPLES[1]
DEADLINE = 20.0


def line(number: int, *, size: int = 100) -> bytes:
    return json.dumps({"n": number, "fill": ""}).encode()[:-2] + b"x" * (size - 26) + b'"}\n'


def numbers(content: bytes) -> list[int]:
    """The numbers of the lines; json.loads fails on a torn one."""
    assert content == b"" or content.endswith(b"\n")
    return [json.loads(one)["n"] for one in content.splitlines()]


@pytest.fixture
def pipe():
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    yield read, write
    for fd in (read, write):
        try:
            os.close(fd)
        except OSError:
            assert fd in (read, write)


class Said(list[str]):
    """Takes the place of stderr."""

    def __call__(self, sentence: str) -> None:
        self.append(sentence)


@pytest.fixture
def said():
    return Said()


def read_all(fd: int) -> bytes:
    content = b""
    while chunk := os.read(fd, 65536):
        content += chunk
    return content


def read_available(fd: int) -> bytes:
    content = b""
    while select.select([fd], [], [], 0)[0] and (chunk := os.read(fd, 65536)):
        content += chunk
    return content


# Pipes


def test_lines_reach_a_pipe_in_their_order(pipe):
    read, write = pipe
    output = PipeOutput(write)
    reader = Reader(read)
    for number in range(5000):
        output.append(line(number))
        output.flush()
    assert output.close(DEADLINE)
    os.close(write)
    assert numbers(reader.result()) == list(range(5000))


class Reader(threading.Thread):
    def __init__(self, fd: int) -> None:
        super().__init__(daemon=True)
        self.fd = fd
        self.content = b""
        self.start()

    def run(self) -> None:
        self.content = read_all(self.fd)

    def result(self) -> bytes:
        self.join(DEADLINE)
        assert not self.is_alive()
        return self.content


def test_a_reader_that_stops_reading_costs_one_flush_its_patience_and_later_ones_nothing(pipe):
    _, write = pipe
    output = PipeOutput(write, patience=0.2)
    for number in range(1000):
        output.append(line(number))
    began = time.monotonic()
    output.flush()
    first = time.monotonic() - began
    began = time.monotonic()
    for _ in range(100):
        output.flush()
    assert 0.2 <= first < 2
    assert time.monotonic() - began < 2  # 100 times the patience would be 20 s


def test_close_gives_a_stuck_reader_its_timeout_and_leaves_whole_lines_only(pipe, said):
    """What SIGTERM does while nobody reads."""
    read, write = pipe
    output = PipeOutput(write, patience=0.01, warn=said)
    for number in range(1000):
        output.append(line(number, size=1500))
    output.flush()
    began = time.monotonic()
    complete = output.close(0.3)
    assert not complete
    assert 0.3 <= time.monotonic() - began < 2
    os.close(write)
    got = numbers(read_all(read))
    assert got == list(range(len(got))) and 0 < len(got) < 1000
    assert said == [f"stdout: {1000 - len(got)} lines were not written, 0 were dropped before"]


def test_close_waits_for_a_reader_that_is_only_slow(pipe):
    read, write = pipe
    output = PipeOutput(write, patience=0.01)
    for number in range(1000):
        output.append(line(number))
    output.flush()
    reader = Reader(read)
    assert output.close(DEADLINE)
    os.close(write)
    assert numbers(reader.result()) == list(range(1000))


def test_while_one_thread_waits_for_the_reader_the_others_go_on(pipe):
    read, write = pipe
    output = PipeOutput(write, patience=DEADLINE)
    for number in range(100):
        output.append(line(number))
    stuck = threading.Thread(target=output.flush)
    stuck.start()
    while not output._writing.locked():
        time.sleep(0)
    began = time.monotonic()
    for number in range(100, 200):
        output.append(line(number))
        output.flush()
    assert time.monotonic() - began < 1
    reader = Reader(read)
    stuck.join(DEADLINE)
    assert not stuck.is_alive(), "the thread that wrote took the others' lines too"
    os.close(write)
    assert sorted(numbers(reader.result())) == list(range(200))


def test_no_line_waits_for_a_later_flush_when_threads_race(pipe):
    """The lost wake-up: a line appended while another thread is about to stop writing."""
    read, write = pipe
    output = PipeOutput(write, patience=DEADLINE)
    reader = Reader(read)
    gate = threading.Barrier(4)

    def write_some(first: int) -> None:
        gate.wait()
        for number in range(first, first + 2000):
            output.append(line(number, size=40))
            output.flush()

    threads = [threading.Thread(target=write_some, args=(at * 2000,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert not output._pending
    os.close(write)
    assert sorted(numbers(reader.result())) == list(range(8000))


def test_beyond_the_limit_the_oldest_snapshots_go_and_the_loss_is_a_line(pipe, said):
    read, write = pipe
    output = PipeOutput(write, patience=0.01, limit=100_000, warn=said)
    emitter = Emitter(output, now=time.time)
    emitter.emit(STOPPED)
    for _ in range(1000):
        emitter.emit(SNAPSHOT)
    emitter.emit(STOPPED)
    assert output._pending_bytes <= 100_000
    reader = Reader(read)
    assert emitter.close(DEADLINE)
    os.close(write)
    events = [json.loads(one) for one in reader.result().splitlines()]
    (recovered,) = [event for event in events if event["event"] == "output.recovered"]
    snapshots = sum(event["event"] == "queue.snapshot" for event in events)
    assert snapshots + recovered["lines_dropped"] == 1000
    assert sum(event["event"] == "daemon.stopped" for event in events) == 2, "operational events are kept"
    assert "the oldest snapshots are dropped" in said[0]


def test_a_closed_reader_is_told_once_and_nothing_is_written_any_more(pipe):
    read, write = pipe
    told = []
    output = PipeOutput(write)
    output.on_closed = lambda: told.append(output._writing.locked())
    os.close(read)
    for number in range(10):
        output.append(line(number))
        output.flush()
    assert output.closed and told == [False]
    assert not output.close(1)


def test_stdout_that_was_closed_before_the_start_counts_as_closed():
    read, write = os.pipe()
    os.close(read)
    os.close(write)
    output = PipeOutput(write)
    output.append(line(1))
    output.flush()
    assert output.closed


def test_a_reader_that_vanishes_leaves_no_traceback():
    """`queuetick run | head -1`, as a process."""
    code = (
        "import sys; sys.path.insert(0, 'src'); from queuetick.lines.output import PipeOutput\n"
        "output = PipeOutput(1)\n"
        "while not output.closed: output.append(b'x' * 99 + b'\\n'); output.flush()\n"
        "sys.exit(7)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    _, stderr = process.communicate(timeout=DEADLINE)
    assert (process.returncode, stderr) == (7, b"")


def test_the_descriptor_stays_blocking_for_whoever_shares_it(pipe):
    _, write = pipe
    output = PipeOutput(write)
    output.append(line(1))
    output.flush()
    assert os.get_blocking(write)


def test_a_descriptor_that_somebody_made_nonblocking_loses_nothing(pipe):
    read, write = pipe
    os.set_blocking(write, False)
    output = PipeOutput(write, patience=0.01)
    for number in range(1000):
        output.append(line(number))
    output.flush()
    reader = Reader(read)
    assert output.close(DEADLINE)
    os.close(write)
    assert numbers(reader.result()) == list(range(1000))


def test_a_stream_socket_such_as_the_journals_takes_whole_lines():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        output = PipeOutput(ours.fileno(), patience=0.01)
        for number in range(20_000):
            output.append(line(number))
        output.flush()
        reader = Reader(os.dup(theirs.fileno()))
        assert output.close(DEADLINE)
        ours.shutdown(socket.SHUT_WR)
        assert numbers(reader.result()) == list(range(20_000))
        os.close(reader.fd)


def test_the_main_thread_answers_sigterm_while_it_waits_for_a_reader():
    """As a process: stdout is a full pipe, SIGTERM comes during a flush."""
    code = (
        "import signal, sys, time; sys.path.insert(0, 'src')\n"
        "from queuetick.lines.output import PipeOutput\n"
        "told = []\n"
        "signal.signal(signal.SIGTERM, lambda *_: told.append(1))\n"
        "output = PipeOutput(1)\n"
        "for at in range(5000): output.append(b'x' * 99 + b'\\n')\n"
        "print('ready', file=sys.stderr, flush=True)\n"
        "while not told: output.flush(); time.sleep(0.01)\n"
        "output.close(0.2)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    process.stderr.readline()
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE) == 0
    assert time.monotonic() - began < 3
    stdout, _ = process.communicate(timeout=DEADLINE)
    assert stdout and all(one == b"x" * 99 for one in stdout.splitlines())


# Files


@pytest.fixture
def log(tmp_path):
    return tmp_path / "queuetick.jsonl"


def test_a_file_is_made_readable_for_its_group_and_nobody_else(log):
    earlier = os.umask(0)
    try:
        FileOutput(log).close(1)
    finally:
        os.umask(earlier)
    assert stat.S_IMODE(log.stat().st_mode) == 0o640


def test_an_existing_file_is_continued(log):
    log.write_bytes(line(0))
    output = FileOutput(log)
    output.append(line(1))
    assert output.close(1)
    assert numbers(log.read_bytes()) == [0, 1]


def test_a_flush_is_one_write(log, monkeypatch):
    output = FileOutput(log)
    calls = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, content: calls.append(fd) or write(fd, content))
    for number in range(20):
        output.append(line(number))
    output.flush()
    assert len(calls) == 1
    output.close(1)


@pytest.mark.parametrize("reopen", [False, True], ids=["by looking", "by SIGHUP"])
def test_rotation_under_writing_loses_nothing(log, reopen):
    """logrotate's `create`: the file is renamed and a new one made, eight times, while a thread writes."""
    output = FileOutput(log)
    rotations = 8
    halfway = threading.Semaphore(0)

    def write() -> None:
        for number in range(8000):
            output.append(line(number))
            output.flush()
            if number % 1000 == 500:
                halfway.release()

    thread = threading.Thread(target=write)
    thread.start()
    for at in range(rotations):
        halfway.acquire(timeout=DEADLINE)
        log.rename(log.with_suffix(f".{at}"))
        if at % 2:
            log.touch(0o640)
        if reopen:
            output.reopen()
    thread.join(DEADLINE)
    assert output.close(1)
    files = [*(log.with_suffix(f".{at}") for at in range(rotations)), log]
    assert sum((numbers(file.read_bytes()) for file in files), []) == list(range(8000))  # noqa: RUF017
    assert all(file.stat().st_size for file in files)


def test_a_removed_file_is_made_anew(log):
    output = FileOutput(log)
    log.unlink()
    output.append(line(1))
    assert output.close(1)
    assert numbers(log.read_bytes()) == [1]


def test_reopen_only_sets_a_flag_so_that_a_signal_may_call_it(log):
    output = FileOutput(log)
    earlier = signal.signal(signal.SIGHUP, lambda *_: output.reopen())
    try:
        for number in range(2000):
            output.append(line(number))
            if number % 100 == 0:
                signal.raise_signal(signal.SIGHUP)
            output.flush()
    finally:
        signal.signal(signal.SIGHUP, earlier)
    output.close(1)
    assert numbers(log.read_bytes()) == list(range(2000))


@pytest.mark.parametrize(
    ("tail", "mended"),
    [
        (b'{"n": 2, "fi', b""),
        (b'{"n": 2, "media": {"voice": {}}', b""),
        (b'{"n": 2}', b'{"n": 2}\n'),
        (b"not one of ours", b"not one of ours\n"),
        (b"", b""),
    ],
    ids=["torn", "torn after a brace", "only the newline lacks", "foreign", "whole"],
)
def test_a_tail_left_by_a_crash_is_mended_at_the_start(log, said, tail, mended):
    log.write_bytes(line(0) + line(1) + tail)
    output = FileOutput(log, warn=said)
    output.append(line(3))
    output.close(1)
    assert log.read_bytes() == line(0) + line(1) + mended + line(3)
    assert bool(said) == (bool(tail) and not mended)


def test_a_file_that_is_one_torn_line_becomes_empty(log):
    log.write_bytes(b'{"timestamp":"2026')
    FileOutput(log).close(1)
    assert log.read_bytes() == b""


def test_only_the_end_of_a_big_file_is_read(log):
    with log.open("wb") as file:
        file.truncate(3 * 2**30)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + line(1) + b'{"torn')
    fd = os.open(log, os.O_RDWR)
    assert mend_tail(fd) == 6
    os.close(fd)


def test_a_file_that_cannot_be_opened_at_the_start_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        FileOutput(tmp_path / "missing" / "file")
    with pytest.raises(IsADirectoryError):
        FileOutput(tmp_path)


def test_a_lost_directory_is_a_trouble_that_ends(tmp_path, said):
    now = [100.0]
    directory = tmp_path / "logs"
    directory.mkdir()
    output = FileOutput(directory / "log", clock=lambda: now[0], warn=said)
    directory.rename(tmp_path / "away")
    for number in range(3):
        output.append(line(number))
        output.flush()
    assert len(said) == 1 and "cannot write" in said[0] and "No such file or directory" in said[0]
    now[0] = 130.0
    directory.mkdir()
    output.append(line(3))
    output.flush()
    assert output.recovery() == Recovery(30.0, 0, "No such file or directory")
    assert output.recovery() is None
    assert len(said) == 2 and "is written again after 30.0 s" in said[1]
    output.close(1)
    assert numbers((directory / "log").read_bytes()) == [0, 1, 2, 3]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB, where root may mount one."""
    directory = tmp_path / "disk"
    directory.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip(f"cannot mount a tmpfs: {mount.stderr.decode().strip()}")
    yield directory
    subprocess.run(["umount", directory], check=True)


def test_a_full_disk_tears_no_line_and_loses_none(small_disk, said):
    log, filler = small_disk / "log", small_disk / "filler"
    output = FileOutput(log, warn=said)
    emitter = Emitter(output, now=time.time)
    filler.write_bytes(b"x" * 30_000)
    for _ in range(200):
        emitter.emit(SNAPSHOT)
    during = log.read_bytes()
    assert 0 < len(during.splitlines()) < 200
    assert all(json.loads(one)["event"] == "queue.snapshot" for one in during.splitlines())
    assert during.endswith(b"\n")
    assert said == [f"cannot write {log}: No space left on device; lines wait in memory"]
    filler.unlink()
    log.rename(small_disk / "rotated")  # logrotate came meanwhile
    with (small_disk / "rotated").open("wb"):
        emitter.emit(STOPPED)  # there is room again; the 64 KiB hold some of what waits
    after = [json.loads(one)["event"] for one in log.read_bytes().splitlines()]
    waiting = sum(b'"queue.snapshot"' in one for one, _ in output._pending)
    assert len(during.splitlines()) + after.count("queue.snapshot") + waiting == 200
    emitter.close(1)


def test_recovery_from_a_full_disk_is_a_line(small_disk):
    log, filler = small_disk / "log", small_disk / "filler"
    emitter = Emitter(FileOutput(log, warn=Said()), now=time.time)
    filler.write_bytes(b"x" * 50_000)
    for _ in range(50):
        emitter.emit(SNAPSHOT)
    filler.unlink()
    emitter.emit(STOPPED)
    events = [json.loads(one) for one in log.read_bytes().splitlines()]
    assert [event["event"] for event in events].count("queue.snapshot") == 50
    assert events[-1]["event"] == "output.recovered"
    assert (events[-1]["lines_dropped"], events[-1]["reason"]) == (0, "No space left on device")
    emitter.close(1)


@pytest.fixture
def file_size_limit():
    """A limit on the size of files: what a quota or a full disk looks like to anybody."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    earlier = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, earlier)


@pytest.mark.parametrize("kind", ["log file", "redirected stdout", "redirected stdout, >>"])
def test_what_a_full_disk_cut_off_is_taken_back(log, said, file_size_limit, kind):
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if ">>" in kind else 0)
    output: BufferedOutput = (
        FileOutput(log, warn=said) if kind == "log file" else PipeOutput(os.open(log, flags), warn=said)
    )
    file_size_limit(250)
    for number in range(5):
        output.append(line(number))
    output.flush()
    assert numbers(log.read_bytes()) == [0, 1]
    file_size_limit(resource.RLIM_INFINITY)
    assert output.close(1)
    assert numbers(log.read_bytes()) == [0, 1, 2, 3, 4]
    recovery = output.recovery()
    assert recovery is not None and recovery.reason == os.strerror(errno.EFBIG)


def test_a_full_device_as_stdout_is_a_trouble_and_not_the_end(said):
    fd = os.open("/dev/full", os.O_WRONLY)
    output = PipeOutput(fd, warn=said)
    output.append(line(1))
    output.flush()
    assert not output.closed and "No space left on device" in said[0]
    assert not output.close(0.1)
    assert "1 lines were not written" in said[1]
    os.close(fd)


def test_running_out_of_descriptors_costs_no_line(log, said):
    output = FileOutput(log, warn=said)
    log.rename(log.with_suffix(".1"))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        output.append(line(1))
        output.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert "Too many open files" in said[0]
    output.append(line(2))
    output.close(1)
    assert numbers(log.read_bytes()) == [1, 2]


def test_two_processes_may_write_one_file(log):
    code = (
        "import sys; sys.path.insert(0, 'src'); from queuetick.lines.output import FileOutput\n"
        "output = FileOutput(sys.argv[1])\n"
        "for at in range(2000): output.append(sys.argv[2].encode() * 99 + b'\\n'); output.flush()\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, log, letter]) for letter in "ab"]
    assert [process.wait(DEADLINE) for process in processes] == [0, 0]
    lines = log.read_bytes().splitlines()
    assert (lines.count(b"a" * 99), lines.count(b"b" * 99), len(lines)) == (2000, 2000, 4000)


# Which output


def test_a_dash_is_stdout_and_a_path_a_file(log):
    file = open_output(str(log))
    assert isinstance(open_output("-"), PipeOutput)
    assert isinstance(file, FileOutput)
    file.close(1)


def test_a_named_pipe_is_written_like_a_pipe(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    output = open_output(str(path))
    output.append(line(1))
    assert output.close(1)
    assert numbers(read_available(reader)) == [1]
    os.close(reader)


def test_reloading_with_another_path_loses_no_line_even_from_a_lost_directory(tmp_path):
    directory = tmp_path / "logs"
    directory.mkdir()
    first = FileOutput(directory / "log", warn=Said())
    emitter = Emitter(first, now=time.time)
    emitter.emit(SNAPSHOT)
    directory.rename(tmp_path / "away")
    emitter.emit(SNAPSHOT)
    second = FileOutput(tmp_path / "log")
    emitter.redirect(second, timeout=0.1)
    first.append(line(7))  # a thread that had the earlier output in its hands
    emitter.emit(STOPPED)
    assert emitter.close(1)
    assert len((tmp_path / "away" / "log").read_bytes().splitlines()) == 1
    assert len((tmp_path / "log").read_bytes().splitlines()) == 3


def test_the_journal_is_known_by_its_device_and_inode(pipe):
    _, write = pipe
    status = os.fstat(write)
    assert stdout_is_journal({"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}, write)
    assert not stdout_is_journal({"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"}, write)
    for value in ("", "nonsense", "1", "1:x", ":"):
        assert not stdout_is_journal({"JOURNAL_STREAM": value}, write)
    assert not stdout_is_journal({}, write)
    assert not stdout_is_journal({"JOURNAL_STREAM": "1:1"}, 9999)
