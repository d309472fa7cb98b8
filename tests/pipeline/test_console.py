import io
import sys

import pytest
import tqdm.std

from singlefilter.pipeline.console import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """A clock that shows its only number, in seconds."""
    now = [100.0]
    monkeypatch.setattr(tqdm.std, "time", lambda: now[0])
    return now


def test_elsewhere_than_on_a_terminal_slow_things_are_a_line_each_with_the_time_left(capsys, clock):
    bar = progress(["a", "b", "c"], "vgg16, sample 0", "layer")
    for name in bar:
        bar.set_postfix_str(f"loss {name}", refresh=False)
        clock[0] += 60
    assert capsys.readouterr().out.splitlines() == [
        "vgg16, sample 0: layer 0/3, ? left",
        "vgg16, sample 0: layer 1/3, loss a, 02:00 left",  # 60 s a layer, two to go
        "vgg16, sample 0: layer 2/3, loss b, 01:00 left",
        "vgg16, sample 0: layer 3/3, loss c, 00:00 left",
    ]


@pytest.mark.parametrize(
    ("seconds", "lines"),
    [
        ([0.5, 0.5, 0.25, 0.25, 0.75, 0.5], [0, 2, 5, 6]),  # the second ends just a second after the beginning
        ([0.01] * 6, [0, 6]),
        ([0.75] * 6, [0, 2, 4, 6]),
        ([1.25] * 6, [0, 1, 2, 3, 4, 5, 6]),
        ([0.25] * 4 + [60] * 3, [0, 4, 5, 6, 7]),  # that four were fast makes the next slow ones wait for no fourth
    ],
)
def test_fast_things_have_a_line_a_second_and_the_first_and_the_last(seconds, lines, capsys, clock):
    for wait in progress(seconds, "heads", "epoch"):
        clock[0] += wait
    assert [int(line.partition("/")[0].split()[-1]) for line in capsys.readouterr().out.splitlines()] == lines


def test_a_resumed_step_begins_where_it_was_and_times_only_what_it_does(capsys, clock):
    for _ in progress(range(8, 10), "heads", "epoch", initial=8, total=10):
        clock[0] += 7
    assert capsys.readouterr().out.splitlines() == [
        "heads: epoch 8/10, ? left",
        "heads: epoch 9/10, 00:07 left",
        "heads: epoch 10/10, 00:00 left",
    ]


def test_nothing_to_do_is_one_line(capsys):
    assert list(progress([], "heads", "epoch", initial=5, total=5)) == []
    assert capsys.readouterr().out == "heads: epoch 5/5, ? left\n"


@pytest.mark.parametrize("start", [0, 2])
def test_on_a_terminal_a_bar_counts_to_the_end(monkeypatch, start):
    monkeypatch.setattr(sys, "stdout", Terminal())
    bar = progress(range(start, 4), "vgg16, sample 0", "epoch", initial=start, total=4)
    for _ in bar:
        bar.set_postfix_str("loss 0.5", refresh=False)
    last = sys.stdout.getvalue().splitlines()[-1]
    assert [part in last for part in ("vgg16, sample 0: 100%", "4/4", "loss 0.5")] == [True] * 3
