import io
import sys
import time

import pytest

from singlefilter.pipeline.console import Progress, _duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """A clock that shows its only number, in seconds."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_elsewhere_than_on_a_terminal_slow_epochs_are_a_line_each_with_the_time_left(capsys, clock):
    progress = Progress("vgg16, sample 0", 3)
    for done in progress:
        progress.note(f"loss {2 - done / 2}")
        clock[0] += 60 if done == 0 else 30
    assert capsys.readouterr().out.splitlines() == [
        "vgg16, sample 0: epoch 1/3, loss 2.0, 2:00 left",  # 60 s an epoch, two to go
        "vgg16, sample 0: epoch 2/3, loss 1.5, 0:45 left",  # 45 s an epoch, one to go
        "vgg16, sample 0: epoch 3/3, loss 1.0, 0:00 left",
    ]


@pytest.mark.parametrize(
    ("start", "seconds", "lines"),
    [
        (0, [0.5, 0.5, 0.25, 0.25, 0.75, 0.5], [1, 4, 6]),  # the fourth ends just a second after the first
        (0, [0.4] * 6, [1, 4, 6]),
        (2, [0.4] * 4, [3, 6]),
        (0, [0.01] * 6, [1, 6]),
        (0, [0.99] * 6, [1, 3, 5, 6]),
        (0, [1.25] * 6, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_fast_units_have_a_line_a_second_and_the_first_and_the_last(start, seconds, lines, capsys, clock):
    for done in Progress("heads", 6, start):
        clock[0] += seconds[done - start]
    counts = [int(line.partition("/")[0].split()[-1]) for line in capsys.readouterr().out.splitlines()]
    assert counts == lines


def test_a_line_tells_the_time_left_and_the_note_of_its_own_unit(capsys, clock):
    progress = Progress("heads", 4)
    for done in progress:
        progress.note(f"loss {done}")
        clock[0] += 0.75
    assert capsys.readouterr().out.splitlines() == [
        "heads: epoch 1/4, loss 0, 0:02 left",  # 3 times 0.75 s
        "heads: epoch 3/4, loss 2, 0:01 left",
        "heads: epoch 4/4, loss 3, 0:00 left",
    ]


def test_resumed_step_begins_where_it_was_and_times_only_what_it_does(capsys, clock):
    seen = []
    for done in Progress("heads", 10, start=8, unit="layer"):
        seen.append(done)
        clock[0] += 7
    assert seen == [8, 9]
    assert capsys.readouterr().out.splitlines() == ["heads: layer 9/10, 0:07 left", "heads: layer 10/10, 0:00 left"]


@pytest.mark.parametrize("total, start", [(0, 0), (5, 5)])
def test_nothing_to_do_says_nothing(capsys, total, start):
    assert list(Progress("done", total, start)) == []
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("start", [0, 2])
def test_on_a_terminal_a_bar_counts_to_the_end(monkeypatch, capsys, start):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = Progress("vgg16, sample 0", 4, start)
    seen = []
    for done in progress:
        seen.append(done)
        progress.note("loss 0.5")
    assert seen == list(range(start, 4))
    last = terminal.getvalue().splitlines()[-1]
    assert "vgg16, sample 0: 100%" in last
    assert "4/4" in last
    assert "loss 0.5" in last
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "seconds, written",
    [
        (0, "0:00"),
        (0.6, "0:01"),
        (59.4, "0:59"),
        (59.6, "1:00"),
        (123, "2:03"),
        (3599.7, "1:00:00"),
        (3723, "1:02:03"),
        (100 * 3600, "100:00:00"),
    ],
)
def test_durations_are_rounded_to_seconds(seconds, written):
    assert _duration(seconds) == written
