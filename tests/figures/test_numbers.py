"""Numbers as text."""

import numpy as np
import pandas as pd
import pytest

from singlefilter.figures.numbers import mean_last_accuracy, mean_text, rounded_text


def test_numbers_are_written_with_a_true_minus_and_unknown_ones_as_a_dash():
    assert rounded_text(-1.25, 1) == "−1.2"
    assert [rounded_text(value, 2) for value in (np.nan, None)] == ["n/a", "n/a"]
    assert mean_text(0.5, 0.01, 3) == "0.500 ± 0.010"
    assert mean_text(0.5, np.nan, 3) == mean_text(0.5, None, 3) == "0.500"
    assert mean_text(np.nan, 0.01, 3) == "n/a"


def test_the_networks_accuracy_is_that_of_the_last_epoch():
    # Last epochs 0.3 and 0.5: mean 0.4, deviation √(2 · 0.1² / 1) = 0.1414.
    history = pd.DataFrame({"seed": [0, 0, 1, 1], "epoch": [0, 1, 0, 1], "test_accuracy": [0.9, 0.3, 0.8, 0.5]})
    assert mean_last_accuracy(history) == pytest.approx((0.4, 0.02**0.5))
