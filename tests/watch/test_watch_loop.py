"""The loop, step by step, on a pseudo-terminal and under a clock that only the test moves."""

from __future__ import annotations

import os
import pty
import re
import signal
import termios
from collections.abc import Iterable, Iterator

import pytest
from watch_lines import START, snapshot

from queuetick.watch.follow import Stream
from queuetick.watch.loop import AGE_EVERY, ESCAPE_WAIT, KEY_REDRAW_EVERY, REDRAW_EVERY, Live
from queuetick.watch.state import Board
from queuetick.watch.terminal import OF_A_SCREEN, Doorbell, Painter, Terminal, doorbell, wait_readable
from queuetick.watch.view import View


class Bench:
    """A Live with its pipe, its terminal and its clock."""

    def __init__(self, bell: Doorbell, *, keyboard: bool = True) -> None:
        self.now = 0.0
        self.waited: list[float | None] = []
        self.suspended = 0
        self.bell = bell
        reading, self.pipe = os.pipe()
        self.outside, self.inside = pty.openpty()
        os.set_blocking(self.outside, False)
        self.mode = termios.tcgetattr(self.inside)
        self.terminal = Terminal(self.inside, self.inside if keyboard else None, Painter(None))
        self.view = View()
        self.live = Live(
            Stream(reading),
            self.terminal,
            self.view,
            Board(),
            clock=lambda: START + self.now,
            monotonic=lambda: self.now,
            wait=self._wait,
            suspend=self._suspend,
        )
        self.terminal.enter()
        self.drawn()

    def _wait(self, descriptors: Iterable[int], timeout: float | None) -> set[int]:
        """Time passes only as long as the loop wants to wait and nothing comes."""
        self.waited.append(timeout)
        ready = wait_readable(descriptors, 0)
        if not ready:
            self.now += timeout or 0.0
        return ready

    def _suspend(self) -> None:
        self.suspended += 1
        assert termios.tcgetattr(self.inside) == self.mode

    def step(self, times: int = 1) -> str:
        """What is drawn in that many steps."""
        for _ in range(times):
            self.live.step(self.bell)
        return self.drawn()

    def drawn(self) -> str:
        """The kernel hands over in its own time, so it is read up to a mark that is written last."""
        os.write(self.inside, b"\x00")
        data = b""
        while not data.endswith(b"\x00"):
            assert wait_readable([self.outside], 9), data
            data += os.read(self.outside, 1 << 16)
        return data[:-1].decode()

    def say(self, *lines: bytes) -> None:
        os.write(self.pipe, b"".join(line + b"\n" for line in lines))

    def press(self, keys: bytes) -> None:
        os.write(self.outside, keys)
        assert wait_readable([self.inside], 9)

    def close(self) -> None:
        for descriptor in (self.outside, self.inside, self.pipe):
            if descriptor >= 0:
                os.close(descriptor)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with doorbell(OF_A_SCREEN) as bell:
        bench = Bench(bell)
        yield bench
        bench.close()


def test_lines_are_drawn_at_most_four_times_a_second(bench: Bench) -> None:
    """However fast they come."""
    assert "no queue.snapshot line yet" in bench.step()
    begin, frames = bench.now, 0
    for number in range(40):
        bench.say(snapshot(waiting=number % 7, at=START + number, cycle=number + 1))
        frames += bool(bench.step())
        bench.now += 1 / 16
    assert 40 / 16 / REDRAW_EVERY - 1 <= frames <= (bench.now - begin) / REDRAW_EVERY + 1


def test_without_news_only_the_ages_are_drawn_once_a_second(bench: Bench) -> None:
    """And the loop sleeps in between."""
    bench.say(snapshot())
    bench.step(3)
    bench.waited.clear()
    begin = bench.now
    drawn = bench.step(5)
    assert bench.now - begin == pytest.approx(5 * AGE_EVERY)
    assert set(bench.waited) == {AGE_EVERY}
    assert 0 < len(re.findall(r"\x1b\[\d+;1H", drawn)) <= 5 * 2


def test_a_key_is_answered_at_once(bench: Bench) -> None:
    """Long before the next second."""
    bench.say(snapshot("a", queue_name="Support"), snapshot("b", queue_name="Billing"))
    bench.step(3)
    begin = bench.now
    bench.press(b"/bil")
    drawn = bench.step(2)
    assert "filter: bil" in drawn and "1 of 2" in drawn
    assert bench.now - begin <= KEY_REDRAW_EVERY


def test_escape_is_a_key_once_nothing_follows_it(bench: Bench) -> None:
    """It ends the typing."""
    bench.press(b"/x\x1b")
    bench.step()
    assert bench.view.typing
    begin = bench.now
    bench.step()
    assert not bench.view.typing and bench.view.words == ""
    assert bench.now - begin <= ESCAPE_WAIT


def test_a_paused_screen_stands_still_while_lines_are_read(bench: Bench) -> None:
    """Or the writer at the other end of the pipe would block."""
    bench.say(snapshot(queue_name="Support", waiting=3))
    bench.step(3)
    bench.press(b" ")
    bench.step(2)
    bench.say(*(snapshot(waiting=77, cycle=n, at=START + n) for n in range(2, 9)))
    drawn = bench.step(3)
    assert "7 lines since" in drawn and "77" not in drawn
    assert bench.live.board.lines_read == 8
    bench.press(b" ")
    assert "77" in bench.step(2)


def test_the_end_of_the_input_is_said_and_the_table_stays_until_q(bench: Bench) -> None:
    """The last state is what the reader came for."""
    bench.say(snapshot(queue_name="Support", waiting=3))
    os.close(bench.pipe)
    bench.pipe = -1
    drawn = bench.step(4)
    assert "INPUT ENDED" in drawn and "Support" in drawn
    bench.press(b"q")
    bench.live.run(bench.bell)
    assert "\x1b[?1049l" in bench.drawn()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_the_terminal_is_as_before(bench: Bench, number: signal.Signals) -> None:
    """Cursor, wrapping, echo, screen."""
    signal.raise_signal(number)
    bench.live.run(bench.bell)
    assert bench.drawn().endswith("\x1b[?1006l\x1b[?1000l\x1b[?7h\x1b[?25h\x1b[?1049l")
    assert termios.tcgetattr(bench.inside) == bench.mode


def test_the_terminal_is_given_back_when_the_watch_breaks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback in a raw terminal helps nobody."""

    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(bench.live, "_draw", broken)
    with pytest.raises(ZeroDivisionError):
        bench.live.run(bench.bell)
    assert termios.tcgetattr(bench.inside) == bench.mode


def test_a_resize_draws_the_whole_screen_anew(bench: Bench) -> None:
    """In the new size."""
    bench.say(snapshot())
    bench.step(3)
    termios.tcsetwinsize(bench.inside, (10, 50))
    signal.raise_signal(signal.SIGWINCH)
    assert len(re.findall(r"\x1b\[\d+;1H", bench.step(2))) == 10


def test_ctrl_z_gives_the_terminal_back_and_takes_it_again(bench: Bench) -> None:
    """The shell must be usable meanwhile."""
    bench.step()
    signal.raise_signal(signal.SIGTSTP)
    drawn = bench.step(2)
    assert bench.suspended == 1
    assert drawn.index("\x1b[?1049l") < drawn.index("\x1b[?1049h") < drawn.index("cycle completed yet")


def test_without_a_keyboard_the_watch_ends_with_its_input() -> None:
    """Nobody could press q."""
    with doorbell(OF_A_SCREEN) as bell:
        bench = Bench(bell, keyboard=False)
        bench.say(snapshot(queue_name="Support"))
        os.close(bench.pipe)
        bench.pipe = -1
        bench.live.run(bell)
        assert "Support" in bench.drawn()
        bench.close()


def test_a_keyboard_that_is_gone_ends_the_watch(bench: Bench) -> None:
    """The ssh session was cut."""
    os.close(bench.outside)
    bench.outside = -1
    bench.live.step(bench.bell)
    assert bench.live.stopped


def test_the_signals_are_as_before_after_the_watch() -> None:
    """It may be called by something larger."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTSTP)]
    with doorbell(OF_A_SCREEN) as bell:
        assert bell.rung() == []
        signal.raise_signal(signal.SIGTERM)
        assert bell.rung() == [signal.SIGTERM]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTSTP)] == before
