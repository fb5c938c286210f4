"""No line is lost or torn between the file, or the pipe, and the board."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watch_lines import START, snapshot

from queuetick.watch.follow import MAX_LINE, LineSplitter, Source, Stream, Tail, open_source
from queuetick.watch.replay import Replay, last_stamp

Following = Callable[..., Tail]


def drain(source: Source) -> list[bytes]:
    """All that is there now."""
    lines = source.read()
    while source.behind:
        lines += source.read()
    return lines


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def following(path: Path) -> Iterator[Following]:
    """Writes the file, and follows it; its first line is read."""
    with ExitStack() as stack:

        def follow(content: bytes = b"one\n") -> Tail:
            path.write_bytes(content)
            tail = stack.enter_context(closing(Tail(path)))
            assert drain(tail) == [b"one"]
            return tail

        yield follow


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


@given(st.lists(st.binary(max_size=20).filter(lambda b: b"\n" not in b)), st.lists(st.integers(0, 200)))
def test_lines_do_not_depend_on_how_their_bytes_are_cut(lines: list[bytes], cuts: list[int]) -> None:
    """A pipe hands over what it has, in the middle of a character if need be."""
    data = b"\n".join(lines)
    splitter, found = LineSplitter(), []
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in pairwise(places):
        found += splitter.feed(data[start:end])
    assert found + splitter.end() == [line for line in lines if line]


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    """Counted once, and what comes after its end is read."""
    splitter, found = LineSplitter(), []
    for _ in range(5):
        found += splitter.feed(b"x" * (MAX_LINE // 2 + 1))
    found += splitter.feed(b"tail\nnext\n")
    assert [line[:4] for line in found] == [b"xxxx", b"next"]


def test_a_file_is_read_and_then_followed(path: Path, following: Following) -> None:
    """A half line waits for its rest."""
    tail = following(b"one\ntw")
    append(path, b"o\nthree\n")
    assert drain(tail) == [b"two", b"three"]


def test_a_rotated_file_is_read_to_its_end_before_the_new_one(path: Path, following: Following) -> None:
    """logrotate's create: renamed, written to once more, then a new file under the old name."""
    tail = following()
    with path.open("ab") as writer:
        path.rename(path.with_suffix(".1"))
        assert drain(tail) == []
        writer.write(b"two\nlast without newline")
    path.write_bytes(b"three\n")
    assert drain(tail) == [b"two", b"last without newline", b"three"]
    path.unlink()
    assert drain(tail) == []
    path.write_bytes(b"four\n")
    assert drain(tail) == [b"four"]


def test_a_rotation_between_two_looks_loses_nothing(path: Path, following: Following) -> None:
    """The old file grew and was renamed, the new one exists, and nobody looked meanwhile."""
    tail = following()
    append(path, b"two\n")
    path.rename(path.with_suffix(".1"))
    path.write_bytes(b"three\n")
    assert drain(tail) == [b"two", b"three"]


def test_a_line_written_between_the_last_read_and_the_rename_is_read(
    path: Path, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The narrowest window there is: it opens inside one call."""
    tail = following()
    looked_up = Path.stat

    def rotate_now(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        monkeypatch.setattr(Path, "stat", looked_up)
        append(path, b"two\n")
        path.rename(path.with_suffix(".1"))
        path.write_bytes(b"three\n")
        return looked_up(self, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", rotate_now)
    assert drain(tail) == [b"two", b"three"]


def test_a_truncated_file_is_read_from_its_start(path: Path, following: Following) -> None:
    """copytruncate; the half line before it is gone for good."""
    tail = following(b"one\nhalf of a line that never ends")
    os.truncate(path, 0)
    assert drain(tail) == []
    append(path, b"two\n")
    assert drain(tail) == [b"two"]


@pytest.mark.parametrize("history", range(41))
def test_a_long_file_is_read_from_a_whole_line_on(path: Path, history: int) -> None:
    """Only its end; the line that is cut by the limit is left out, one that begins at it is not."""
    lines = [b"%08d" % number for number in range(4)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    with closing(Tail(path, history=history)) as tail:
        assert drain(tail) == (lines[-(history // 9) :] if history >= 9 else [])


def test_a_replay_does_not_wait_for_a_line_from_after_the_end_of_its_file(path: Path) -> None:
    """The writer's clock was set back since; each line comes with those around it."""
    lines = [snapshot(at=START + n) for n in (0, 1, 1e9, 2)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    times = [0.0]
    with closing(Replay(path, speed=1.0, monotonic=lambda: times[-1], end=last_stamp(path))) as replay:
        came = [replay.read()]
        for second in (1.0, 2.0):
            times.append(second)
            came.append(replay.read())
    assert came == [lines[:1], lines[1:3], lines[3:]] and replay.ended


def test_a_pipe_ends_with_its_half_line() -> None:
    """The writer was killed in the middle of one; it may still be whole."""
    reading, writing = os.pipe()
    os.write(writing, b"one\ntwo")
    stream = Stream(reading)
    assert stream.read() == [b"one"] and not stream.ended
    os.close(writing)
    assert stream.read() == [b"two"] and stream.ended
    assert stream.descriptor is None and stream.read() == []


def test_what_is_no_regular_file_is_read_as_a_stream(path: Path) -> None:
    """`queuetick watch <(zcat …)` names a pipe."""
    path.write_bytes(b"one\n")
    with closing(open_source(str(path))) as source:
        assert isinstance(source, Tail)
    reading, writing = os.pipe()
    source = open_source(f"/dev/fd/{reading}")
    assert isinstance(source, Stream)
    source.close()
    os.close(reading)
    os.close(writing)
