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
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queuetick.events import DaemonStopped
from queuetick.events.examples import EXAMPLES
from queuetick.lines import Emitter, descriptors
from queuetick.lines.descriptors import Descriptor, LogFile, NamedPipe, repair_tail
from queuetick.lines.output import Line, Output, Recovery, open_output, stdout_is_journal

STOPPED = DaemonStopped(reason="SIGTERM", cycles=3, uptime_seconds=45.0)
SNAPSHOT = EXAMPLES[1]
DEADLINE = 20.0


def line(number: int, *, size: int = 100) -> bytes:
    return json.dumps({"n": number, "fill": ""}).encode()[:-2] + b"x" * (size - 26) + b'"}\n'


def numbers(content: bytes) -> list[int]:
    """The numbers of the lines; json.loads fails on a torn one."""
    assert content == b"" or content.endswith(b"\n")
    return [json.loads(one)["n"] for one in content.splitlines()]


def put(output, *contents, expendable=False):
    """Append lines; return whether the output took them."""
    return output.append([Line(content, expendable=expendable) for content in contents])


OPEN: list[Output] = []


def pipe_output(fd, **options):
    OPEN.append(Output(Descriptor(fd), **options))
    return OPEN[-1]


def end_outputs():
    """End the threads before their descriptors are closed: another test would get the same numbers."""
    while OPEN:
        OPEN.pop().close(0)


def file_output(path, warn=None, **options):
    said = Said() if warn is None else warn
    return Output(LogFile(path, warn=said), warn=said, **options)


@pytest.fixture
def pipe():
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    yield read, write
    end_outputs()
    for fd in (read, write):
        try:
            os.close(fd)
        except OSError:
            assert fd in (read, write)


QUIET = descriptors.QUIET


@pytest.fixture(autouse=True)
def _torn_ends_are_repaired_at_once(monkeypatch):
    monkeypatch.setattr(descriptors, "QUIET", 0.0)


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


@pytest.mark.parametrize("reads", ["all the time", "later"])
@pytest.mark.parametrize("blocking", [True, False])
def test_lines_reach_a_pipe_in_their_order_and_close_waits_for_its_reader(pipe, reads, blocking):
    """Somebody may have made the descriptor nonblocking; it stays what it is for whoever shares it."""
    read, write = pipe
    os.set_blocking(write, blocking)
    output = pipe_output(write)
    reader = Reader(read) if reads == "all the time" else None
    for number in range(2000):
        put(output, line(number))
    reader = reader or Reader(read)
    assert output.close(DEADLINE) == []
    assert os.get_blocking(write) is blocking
    os.close(write)
    assert numbers(reader.result()) == list(range(2000))


def test_a_reader_that_stops_reading_costs_the_caller_nothing(pipe):
    _, write = pipe
    output = pipe_output(write)
    began = time.monotonic()
    for number in range(1000):
        put(output, line(number))
    assert time.monotonic() - began < 1
    assert not output.drain(0.3)
    assert 0.2 < output.stuck_seconds < 30
    output.close(0)


def test_an_output_that_has_written_all_is_not_stuck(pipe):
    _, write = pipe
    output = pipe_output(write)
    put(output, line(1))
    assert output.drain(DEADLINE)
    assert output.stuck_seconds == 0


def test_close_gives_a_stuck_reader_its_timeout_and_leaves_whole_lines_only(pipe, said):
    """What SIGTERM does while nobody reads."""
    read, write = pipe
    output = pipe_output(write, warn=said)
    for number in range(1000):
        put(output, line(number, size=1500))
    began = time.monotonic()
    complete = output.end(0.3)
    assert not complete
    assert 0.3 <= time.monotonic() - began < 2
    os.close(write)
    got = numbers(read_all(read))
    assert got == list(range(len(got))) and 0 < len(got) < 1000
    assert said == [f"stdout: {1000 - len(got)} lines were not written, 0 were dropped before"]


def test_lines_of_several_threads_are_all_written(pipe):
    read, write = pipe
    output = pipe_output(write)
    reader = Reader(read)
    gate = threading.Barrier(4)

    def write_some(first: int) -> None:
        gate.wait()
        for number in range(first, first + 2000):
            put(output, line(number, size=40))

    threads = [threading.Thread(target=write_some, args=(at * 2000,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert output.close(DEADLINE) == []
    os.close(write)
    assert sorted(numbers(reader.result())) == list(range(8000))


def test_beyond_the_limit_the_oldest_snapshots_go_and_the_loss_is_a_line(pipe, said):
    read, write = pipe
    output = pipe_output(write, limit=100_000, warn=said)
    emitter = Emitter(output, now=time.time)
    emitter.emit(STOPPED)
    for _ in range(1000):
        emitter.emit(SNAPSHOT)
    emitter.emit(STOPPED)
    assert output._pending_bytes <= 100_000
    dropped = output.dropped
    assert dropped > 0
    reader = Reader(read)
    assert output.drain(DEADLINE)
    assert not emitter.close(DEADLINE), "lines were lost"
    os.close(write)
    events = [json.loads(one) for one in reader.result().splitlines()]
    reported = sum(event["lines_dropped"] for event in events if event["event"] == "output.recovered")
    snapshots = sum(event["event"] == "queue.snapshot" for event in events)
    assert snapshots + dropped == 1000
    assert reported == dropped
    assert sum(event["event"] == "daemon.stopped" for event in events) == 2, "operational events are kept"
    assert "the oldest snapshots are dropped" in said[0]


def test_lines_that_an_output_dropped_before_a_reload_replaced_it_are_reported_too(pipe, tmp_path, said):
    _, write = pipe
    stuck, log = pipe_output(write, limit=100_000, warn=said), tmp_path / "lines.log"
    emitter = Emitter(stuck, now=time.time)
    emitter.emit(*[SNAPSHOT] * 1000)
    assert stuck.dropped > 0
    emitter.configure(level="info", profile="plain", output=file_output(log), timeout=0)
    emitter.close(DEADLINE)
    events = [json.loads(one) for one in log.read_text().splitlines()]
    assert [stuck.dropped] == [one["lines_dropped"] for one in events if one["event"] == "output.recovered"]


def test_after_the_reader_has_gone_lines_are_thrown_away(pipe):
    read, write = pipe
    output = pipe_output(write)
    os.close(read)
    for number in range(10):
        assert put(output, line(number))
    assert not output.drain(DEADLINE)
    assert output.closed and output.stuck_seconds == 0
    assert not output.end(1)


def test_stdout_that_was_closed_before_the_start_counts_as_closed():
    read, write = os.pipe()
    os.close(read)
    os.close(write)
    output = pipe_output(write)
    put(output, line(1))
    assert not output.drain(DEADLINE)
    assert output.closed


def test_a_reader_that_vanishes_leaves_no_traceback():
    """`queuetick run | head -1`, as a process."""
    code = (
        "import sys; sys.path.insert(0, 'src'); from queuetick.lines.output import Line, open_output\n"
        "output = open_output('-')\n"
        "while not output.closed: output.append([Line(b'x' * 99 + b'\\n')])\n"
        "sys.exit(7)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    _, stderr = process.communicate(timeout=DEADLINE)
    assert (process.returncode, stderr) == (7, b"")


def test_a_stream_socket_such_as_the_journals_takes_whole_lines():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        output = pipe_output(ours.fileno())
        for number in range(20_000):
            put(output, line(number))
        reader = Reader(os.dup(theirs.fileno()))
        assert output.close(DEADLINE) == []
        ours.shutdown(socket.SHUT_WR)
        assert numbers(reader.result()) == list(range(20_000))
        os.close(reader.fd)


def test_the_writer_thread_takes_no_signal_of_the_process():
    """As a process: stdout is a full pipe; SIGTERM, blocked in the main thread, is not lost to the writer thread."""
    code = (
        "import signal, sys; sys.path.insert(0, 'src'); from queuetick.lines.output import Line, open_output\n"
        "output = open_output('-')\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"
        "for at in range(5000): output.append([Line(b'x' * 99 + b'\\n')])\n"
        "print('ready', file=sys.stderr, flush=True)\n"
        "signal.sigwait({signal.SIGTERM})\n"
        "output.close(0.2)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    process.stderr.readline()
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE) == 0
    assert time.monotonic() - began < DEADLINE / 2
    stdout, _ = process.communicate(timeout=DEADLINE)
    assert stdout and all(one == b"x" * 99 for one in stdout.splitlines())


# Files


@pytest.fixture
def log(tmp_path):
    return tmp_path / "queuetick.jsonl"


def test_a_file_is_made_readable_for_its_group_and_nobody_else(log):
    earlier = os.umask(0)
    try:
        file_output(log).close(1)
    finally:
        os.umask(earlier)
    assert stat.S_IMODE(log.stat().st_mode) == 0o640


def test_the_lines_of_one_call_are_one_write(log, monkeypatch):
    output = file_output(log)
    calls = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, content: calls.append(fd) or write(fd, content))
    put(output, *[line(number) for number in range(20)])
    output.close(1)
    assert len(calls) == 1


@pytest.mark.parametrize("reopen", [False, True], ids=["by looking", "by SIGHUP"])
def test_rotation_under_writing_loses_nothing(log, reopen):
    """logrotate's `create`: the file is renamed and a new one made, eight times, while a thread writes."""
    output = file_output(log)
    rotations = 8
    halfway, rotated = threading.Semaphore(0), threading.Semaphore(0)

    def write() -> None:
        for number in range(8000):
            put(output, line(number))
            if number % 1000 == 500:
                output.drain(DEADLINE)
                halfway.release()
            if number % 1000 == 900:
                rotated.acquire(timeout=DEADLINE)

    thread = threading.Thread(target=write)
    thread.start()
    for at in range(rotations):
        halfway.acquire(timeout=DEADLINE)
        log.rename(log.with_suffix(f".{at}"))
        if at % 2:
            log.touch(0o640)
        if reopen:
            output.reopen()
        rotated.release()
    thread.join(DEADLINE)
    assert output.close(1) == []
    files = [*(log.with_suffix(f".{at}") for at in range(rotations)), log]
    assert sum((numbers(file.read_bytes()) for file in files), []) == list(range(8000))  # noqa: RUF017
    assert all(file.stat().st_size for file in files)


def test_a_removed_file_is_made_anew(log):
    output = file_output(log)
    log.unlink()
    put(output, line(1))
    assert output.close(1) == []
    assert numbers(log.read_bytes()) == [1]


def test_reopen_only_sets_a_flag_so_that_a_signal_may_call_it(log):
    output = file_output(log)
    earlier = signal.signal(signal.SIGHUP, lambda *_: output.reopen())
    try:
        for number in range(2000):
            put(output, line(number))
            if number % 100 == 0:
                signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, earlier)
    output.close(1)
    assert numbers(log.read_bytes()) == list(range(2000))


@pytest.mark.parametrize(
    ("tail", "repaired"),
    [
        (b'{"n": 2, "fi', b""),
        (b'{"n": 2, "media": {"voice": {}}', b""),
        (b'{"n": 2}', b'{"n": 2}\n'),
        (b"not one of ours", b"not one of ours\n"),
        (b"", b""),
        (b"{", b""),
        (b'{"', b""),
        (b"\0" * 5, b""),
        (b"\0" * 3_000_000, b""),
        (b'{"n": 2, "fi' + b"\0" * 5, b""),
        (b'{"n": 2}' + b"\0" * 5, b'{"n": 2}\n'),
        (b'{"n": 2}\n' + b"\0" * 5, b'{"n": 2}\n'),
    ],
    ids=lambda content: repr(content[:14]),
)
def test_a_tail_left_by_a_crash_is_repaired_at_the_start(log, said, tail, repaired):
    log.write_bytes(line(0) + line(1) + tail)
    output = file_output(log, warn=said)
    put(output, line(3))
    output.close(1)
    assert log.read_bytes() == line(0) + line(1) + repaired + line(3)
    assert bool(said) == (len(repaired) < len(tail))


@pytest.mark.parametrize("content", [b'{"timestamp":"2026', b"{", b"\0", b"\0" * 3_000_000])
def test_a_file_that_is_one_torn_line_becomes_empty(log, content):
    log.write_bytes(content)
    file_output(log).close(1)
    assert log.read_bytes() == b""


@settings(deadline=None, max_examples=60)
@given(whole=st.integers(0, 5), cut=st.integers(0, 100), nuls=st.integers(0, 3), reopen=st.booleans())
def test_wherever_a_crash_tore_the_file_its_whole_lines_stay_and_the_next_one_stands_alone(
    tmp_path_factory, whole, cut, nuls, reopen
):
    """At the start and at each reopening."""
    log = tmp_path_factory.mktemp("torn") / "log"
    torn = line(9)[:cut]
    content = b"".join(map(line, range(whole))) + torn + b"\0" * nuls
    if not reopen:
        log.write_bytes(content)
    output = file_output(log)
    if reopen:
        log.write_bytes(content)
        output.reopen()
    put(output, line(7))
    assert output.close(DEADLINE) == []
    expected = list(range(whole)) + ([9] if cut >= len(line(9)) - 1 else []) + [7]
    assert numbers(log.read_bytes()) == expected


def test_redirected_stdout_starts_on_a_fresh_line_too(log):
    log.write_bytes(line(0) + b'{"torn')
    fd = os.open(log, os.O_WRONLY | os.O_APPEND)  # `queuetick run >> file`
    output = pipe_output(fd)
    put(output, line(1))
    assert output.close(1) == []
    os.close(fd)
    assert numbers(log.read_bytes()) == [0, 1]


def test_only_the_end_of_a_big_file_is_read(log):
    with log.open("wb") as file:
        file.truncate(3 * 2**30)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + line(1) + b'{"torn')
    fd = os.open(log, os.O_RDWR)
    assert repair_tail(fd) == 6
    os.close(fd)


def test_a_file_that_cannot_be_opened_at_the_start_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        file_output(tmp_path / "missing" / "file")
    with pytest.raises(IsADirectoryError):
        file_output(tmp_path)


def test_a_lost_directory_is_a_trouble_that_ends(tmp_path, said):
    now = [100.0]
    directory = tmp_path / "logs"
    directory.mkdir()
    output = file_output(directory / "log", clock=lambda: now[0], warn=said)
    recoveries = []
    output.on_recovery = recoveries.append
    directory.rename(tmp_path / "away")
    for number in range(3):
        put(output, line(number))
        assert not output.drain(DEADLINE)
    assert len(said) == 1 and "cannot write" in said[0] and "No such file or directory" in said[0]
    now[0] = 130.0
    directory.mkdir()
    put(output, line(3))
    assert output.drain(DEADLINE)
    assert recoveries == [Recovery(30.0, 0, "No such file or directory")]
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
    subprocess.run(["umount", "--lazy", directory], check=True)


def test_a_full_disk_tears_no_line_and_loses_none(small_disk, said):
    log, filler = small_disk / "log", small_disk / "filler"
    output = file_output(log, warn=said)
    emitter = Emitter(output, now=time.time)
    filler.write_bytes(b"x" * 30_000)
    for _ in range(200):
        emitter.emit(SNAPSHOT)
    assert not emitter.drain(DEADLINE)
    during = log.read_bytes()
    assert 0 < len(during.splitlines()) < 200
    assert all(json.loads(one)["event"] == "queue.snapshot" for one in during.splitlines())
    assert during.endswith(b"\n")
    assert said == [f"cannot write {log}: No space left on device; lines wait in memory"]
    filler.unlink()
    log.rename(small_disk / "rotated")  # logrotate came meanwhile
    with (small_disk / "rotated").open("wb"):
        emitter.drain(DEADLINE)  # there is room again; the 64 KiB hold some of what waits
    after = [json.loads(one)["event"] for one in log.read_bytes().splitlines()]
    waiting = sum(b'"queue.snapshot"' in one.content for one in output.close(0))
    assert len(during.splitlines()) + after.count("queue.snapshot") + waiting == 200


def test_recovery_from_a_full_disk_is_a_line(small_disk):
    log, filler = small_disk / "log", small_disk / "filler"
    emitter = Emitter(file_output(log, warn=Said()), now=time.time)
    filler.write_bytes(b"x" * 50_000)
    for _ in range(50):
        emitter.emit(SNAPSHOT)
    assert not emitter.drain(DEADLINE)
    filler.unlink()
    emitter.emit(STOPPED)
    assert emitter.drain(DEADLINE)
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
    output = (
        file_output(log, warn=said) if kind == "log file" else pipe_output(os.open(log, flags), warn=said)
    )
    file_size_limit(250)
    recoveries = []
    output.on_recovery = recoveries.append
    for number in range(5):
        put(output, line(number))
    assert not output.drain(DEADLINE)
    assert numbers(log.read_bytes()) == [0, 1]
    file_size_limit(resource.RLIM_INFINITY)
    assert output.close(1) == []
    assert numbers(log.read_bytes()) == [0, 1, 2, 3, 4]
    assert [recovery.reason for recovery in recoveries] == [os.strerror(errno.EFBIG)]


def test_a_full_device_as_stdout_is_a_trouble_and_not_the_end(said):
    fd = os.open("/dev/full", os.O_WRONLY)
    output = pipe_output(fd, warn=said)
    put(output, line(1))
    assert not output.drain(DEADLINE)
    assert not output.closed and "No space left on device" in said[0]
    began = time.monotonic()
    assert not output.end(DEADLINE)
    assert time.monotonic() - began < 3, "a write that fails ends the wait"
    assert "1 lines were not written" in said[1]
    os.close(fd)


def test_running_out_of_descriptors_costs_no_line(log, said):
    output = file_output(log, warn=said)
    log.rename(log.with_suffix(".1"))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        put(output, line(1))
        assert not output.drain(DEADLINE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert "Too many open files" in said[0]
    put(output, line(2))
    output.close(1)
    assert numbers(log.read_bytes()) == [1, 2]


def test_two_processes_may_write_one_file(log):
    code = (
        "import sys; sys.path.insert(0, 'src'); from queuetick.lines.output import Line, open_output\n"
        "output = open_output(sys.argv[1])\n"
        "for at in range(2000): output.append([Line(sys.argv[2].encode() * 99 + b'\\n')])\n"
        "output.close(None)\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, log, letter]) for letter in "ab"]
    assert [process.wait(DEADLINE) for process in processes] == [0, 0]
    lines = log.read_bytes().splitlines()
    assert (lines.count(b"a" * 99), lines.count(b"b" * 99), len(lines)) == (2000, 2000, 4000)


def test_a_process_that_opens_a_file_takes_nothing_of_a_line_that_another_one_is_writing(
    log, said, monkeypatch
):
    """Two daemons write one file, and after a rotation both open it at the same tick."""
    monkeypatch.setattr(descriptors, "QUIET", QUIET)
    code = (
        "import sys; sys.path.insert(0, 'src'); from queuetick.lines.descriptors import LogFile\n"
        "log, line = LogFile(sys.argv[1]), b'{\"n\":\"' + b'y' * 900 + b'\"}\\n'\n"
        "for _ in range(200): log.write([line] * 280)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, log])
    while writer.poll() is None:
        LogFile(log, warn=said).close()
    assert ([], 0, 56_000) == (said, writer.returncode, log.read_bytes().count(b'y"}\n'))


# Which output


def test_a_dash_is_stdout_and_a_path_a_file(log):
    outputs = [open_output("-"), open_output(str(log))]
    assert [output.name for output in outputs] == ["stdout", str(log)]
    assert log.exists()
    for output in outputs:
        output.close(0)


def test_a_named_pipe_is_written_like_a_pipe(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    output = open_output(str(path))
    put(output, line(1))
    assert output.close(1) == []
    assert numbers(read_available(reader)) == [1]
    os.close(reader)


@pytest.mark.parametrize("kind", ["named pipe", "log file"])
def test_going_from_path_to_path_leaks_no_descriptor_and_no_thread(tmp_path, kind):
    paths = [tmp_path / f"out{at}" for at in range(2)]
    readers = []
    if kind == "named pipe":
        for path in paths:
            os.mkfifo(path)
            readers.append(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    emitter = Emitter(open_output(str(paths[0])), now=time.time)
    before, threads = len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
    for at in range(1, 21):
        emitter.emit(STOPPED)
        emitter.configure(level="info", profile="plain", output=open_output(str(paths[at % 2])), timeout=1)
    assert (len(list(Path("/proc/self/fd").iterdir())), threading.active_count()) == (before, threads)
    emitter.close(0)
    for reader in readers:
        os.close(reader)


def test_lines_wait_for_a_reader_of_a_named_pipe_and_the_next_one_gets_what_the_last_left(tmp_path, said):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    output = Output(NamedPipe(str(path), warn=said), warn=said)
    put(output, line(1))
    assert not output.drain(0.6), "nobody has read it"
    assert said == [f"{path}: no program reads it; lines wait in memory"]
    first = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    assert output.drain(DEADLINE)
    assert numbers(read_available(first)) == [1]
    put(output, line(2))
    assert output.drain(DEADLINE)
    os.close(first)
    put(output, line(3))
    assert not output.drain(0.6)
    second = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    assert output.drain(DEADLINE)
    assert numbers(read_available(second)) == [2, 3]
    os.close(second)
    put(output, line(4))
    assert not output.end(0.3)
    assert "1 lines were not written" in said[-1]


def test_lines_wait_while_a_named_pipe_has_the_place_of_the_log_file(log):
    said = Said()
    output = file_output(log, warn=said)
    put(output, line(1))
    assert output.drain(DEADLINE)
    log.unlink()
    os.mkfifo(log)
    put(output, line(2))
    assert not output.drain(DEADLINE)
    assert "it is another kind of file now" in said[-1]
    log.unlink()
    assert output.drain(DEADLINE) or output.drain(DEADLINE), "the attempt under way may fail once more"
    assert numbers(log.read_bytes()) == [2]
    output.close(0)


def test_a_named_pipe_that_is_replaced_is_opened_again_and_one_that_is_gone_is_a_problem(tmp_path, said):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    readers = [os.open(path, os.O_RDONLY | os.O_NONBLOCK)]
    output = Output(NamedPipe(str(path), warn=said), warn=said)
    put(output, line(1))
    assert output.drain(DEADLINE)
    path.unlink()
    put(output, line(2))
    assert not output.drain(DEADLINE)
    assert "No such file or directory" in said[-1]
    os.mkfifo(path)
    readers.append(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    assert output.drain(DEADLINE) or output.drain(DEADLINE), "the attempt under way may fail once more"
    assert [numbers(read_available(reader)) for reader in readers] == [[1], [2]]
    output.close(0)
    for reader in readers:
        os.close(reader)


def test_redirects_under_load_leave_no_foreign_prefix_and_lose_no_line(tmp_path):
    """Four threads emit through 200 redirects between a plain file and one that is written as the journal is."""
    plain, prefixed = tmp_path / "plain", tmp_path / "prefixed"
    emitter = Emitter(Output(LogFile(plain)), now=time.time)
    done = threading.Event()
    written = [0] * 4

    def write(thread: int) -> None:
        while not done.wait(0.0005):
            emitter.emit(DaemonStopped(reason=f"{thread}", cycles=written[thread], uptime_seconds=0.0))
            written[thread] += 1

    threads = [threading.Thread(target=write, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for at in range(200):
        journal = at % 2 == 0
        output = Output(LogFile(prefixed if journal else plain), journal=journal)
        emitter.configure(level="info", profile="plain", output=output)
    done.set()
    for thread in threads:
        thread.join(DEADLINE)
    assert emitter.close(DEADLINE)
    plain_lines, journal_lines = plain.read_bytes().splitlines(), prefixed.read_bytes().splitlines()
    assert plain_lines and all(one.startswith(b"{") for one in plain_lines)
    assert journal_lines and all(one.startswith(b"<6>{") for one in journal_lines)
    lines = [json.loads(one.removeprefix(b"<6>")) for one in plain_lines + journal_lines]
    found = {(one["reason"], one["cycles"]) for one in lines}
    assert len(plain_lines) + len(journal_lines) == len(found) == sum(written)


def test_a_slow_reader_costs_lines_and_says_how_many(pipe, said):
    """A reader at a fraction of the pace: what it gets and what is reported as dropped is all that was written."""
    read, write = pipe
    output = pipe_output(write, limit=50_000, warn=said)
    emitter = Emitter(output, now=time.time)
    content, stop = [b""], threading.Event()

    def read_slowly() -> None:
        while not stop.wait(0.002):
            content[0] += os.read(read, 2048)

    reader = threading.Thread(target=read_slowly)
    reader.start()
    began = time.monotonic()
    for _ in range(60):
        emitter.emit(*[SNAPSHOT] * 50)
    assert time.monotonic() - began < 3
    assert 0 < output.stuck_seconds + 1 < 3
    emitter.drain(DEADLINE)
    stop.set()
    reader.join(DEADLINE)
    content[0] += read_available(read)
    emitter.close(1)
    events = [json.loads(one) for one in content[0].splitlines()]
    reported = sum(one["lines_dropped"] for one in events if one["event"] == "output.recovered")
    snapshots = sum(one["event"] == "queue.snapshot" for one in events)
    assert reported == output.dropped > 0
    assert snapshots + reported == 3000


def test_reloading_with_another_path_loses_no_line_even_from_a_lost_directory(tmp_path):
    directory = tmp_path / "logs"
    directory.mkdir()
    first = file_output(directory / "log", warn=Said())
    emitter = Emitter(first, now=time.time)
    emitter.emit(SNAPSHOT)
    assert emitter.drain(DEADLINE)
    directory.rename(tmp_path / "away")
    emitter.emit(SNAPSHOT)
    second = file_output(tmp_path / "log")
    emitter.configure(level="info", profile="plain", output=second, timeout=0.1)
    assert not put(first, line(7)), "a thread that had the earlier output in its hands is told to go on"
    emitter.emit(STOPPED)
    assert emitter.close(1)
    assert len((tmp_path / "away" / "log").read_bytes().splitlines()) == 1
    assert len((tmp_path / "log").read_bytes().splitlines()) == 2


def test_the_journal_is_known_by_its_device_and_inode(pipe):
    _, write = pipe
    status = os.fstat(write)
    assert stdout_is_journal({"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}, write)
    assert not stdout_is_journal({"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"}, write)
    for value in ("", "nonsense", "1", "1:x", ":"):
        assert not stdout_is_journal({"JOURNAL_STREAM": value}, write)
    assert not stdout_is_journal({}, write)
    assert not stdout_is_journal({"JOURNAL_STREAM": "1:1"}, 9999)
