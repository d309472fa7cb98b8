"""Names of labels, and which of many are drawn."""

import numpy as np

from singlefilter.figures.labels import drawable_names, label_texts, largest_labels, numbered_names, with_others
from tests.figures.tables import CIFAR10


def test_names_that_cannot_be_drawn_are_numbers_and_long_ones_lose_their_middle():
    names = ["犬", "nan", "a_very_long_name_1", "a_very_long_name_2", "exactly_14_let", "two\nlines"]
    expected = ["label 0", "nan", "a_very_l…ame_1", "a_very_l…ame_2", "exactly_14_let", "label 5"]
    assert drawable_names(names) == expected
    assert drawable_names(["lynx, catamount", "a, b"]) == ['"lynx, ca…mount"', '"a, b"']


def test_axes_bear_names_of_few_labels_and_numbers_of_many():
    numbers = [str(label) for label in range(13)]
    assert label_texts([f"class {number}" for number in numbers], range(13)) == numbers
    names = [f"class {label}" for label in range(30)]
    assert label_texts(names, [3, 5]) == ["3", "5", "others"]
    assert label_texts(names, [3, 5], names=True) == ["class 3", "class 5", "others"]
    assert label_texts(CIFAR10, range(10)) == list(CIFAR10)
    numbers_as_names = sorted(map(str, range(43)))  # in the order of their folders: label 2 is class 10
    assert label_texts(numbers_as_names, [2, 3]) == ["10", "11", "others"]
    assert numbered_names(numbers_as_names)[2] == "10" and numbered_names(names)[2] == "2 class 2"


def test_the_largest_of_many_labels_are_chosen_in_their_order():
    assert largest_labels(np.zeros(20)).tolist() == [*range(20)]
    values = np.arange(30.0)
    values[[0, 29]] = [99, np.nan]
    assert largest_labels(values).tolist() == [0, *range(10, 29)]


def test_other_labels_are_gathered_behind_those_that_are_shown():
    matrix = np.arange(16).reshape(4, 4)
    shown = np.array([1, 3])
    assert with_others(matrix, shown, np.sum, axes=2).tolist() == [
        [5, 7, 10],
        [13, 15, 26],
        [8 + 1 + 0 - 1 + 2, 14, 20],
    ]
    assert with_others(np.array([1, 2, 3, 4]), shown, np.mean, axes=1).tolist() == [2, 4, 2]
    assert with_others(matrix, np.arange(4), np.sum, axes=2) is matrix
