"""The progress bar: one moving line on a terminal, a line now and then in a file."""

from __future__ import annotations

import io

import pytest

from inter2former.cli.progress import ProgressBar, duration


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    """Moves on by a fixed step each time it is looked at."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def __call__(self):
        self.now += self.step
        return self.now


def count(stream, total, step):
    with ProgressBar(total, "pictures", stream=stream, clock=Clock(step)) as bar:
        for number in range(1, total + 1):
            bar.show(number, "so far" if number == 1 else "")
    return stream.getvalue()


def test_a_file_gets_a_line_every_half_minute():
    assert count(io.StringIO(), 10, 12.0).splitlines() == [
        "3/10 pictures, 84 s left",
        "6/10 pictures, 48 s left",
        "9/10 pictures, 12 s left",
        "10/10 pictures, 2 min taken",
    ]


def test_what_is_over_soon_leaves_a_file_alone():
    assert count(io.StringIO(), 10, 0.1) == ""


def test_a_terminal_gets_one_line_that_is_drawn_anew():
    drawn = count(Terminal(), 4, 1.0)
    assert drawn.count("\n") == 1
    assert drawn.endswith("\n")
    lines = drawn.rstrip("\n").split("\r\x1b[K")[1:]
    assert lines[0] == "[" + "#" * 6 + "." * 18 + "] 1/4 pictures, so far, 3 s left"
    assert lines[-1] == "[" + "#" * 24 + "] 4/4 pictures, 4 s taken"
    assert len(lines) == 4


def test_a_terminal_is_not_flooded():
    assert count(Terminal(), 1000, 0.001).count("\r") in range(5, 8)


def test_an_error_ends_the_line():
    stream = Terminal()

    def fail():
        with ProgressBar(4, "pictures", stream=stream) as bar:
            bar.show(1)
            raise KeyError("a")

    with pytest.raises(KeyError):
        fail()
    assert stream.getvalue().endswith("left\n")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5000, "83 min"), (12000, "3 h 20 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
