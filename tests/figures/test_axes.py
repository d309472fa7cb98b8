"""Axes of layers, and the paper's numbers on them."""

import pandas as pd
from matplotlib.figure import Figure

from singlefilter.figures.axes import choose_layers, draw_paper_line, label_layers, layer_name, mark_paper
from singlefilter.figures.style import new_figure


def test_names_of_layers_are_upright_and_long_ones_lose_their_beginning():
    axes = new_figure(2).subplots()
    names = pd.Series(["conv1", "encoder.layers.encoder_layer_11"])
    label_layers(axes, names)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["conv1", "…layers.encoder_layer_11"]
    assert axes.get_xticks().tolist() == [1, 2] and axes.get_xticklabels()[0].get_rotation() == 90
    assert layer_name("conv1") == "conv1" and layer_name(13) == "layer 13"
    label_layers(axes, pd.Series([2, 13]))
    assert axes.get_xticks().tolist() == [2, 13]


def test_layers_are_chosen_evenly_with_the_first_and_the_last():
    assert choose_layers((2, 4, 7)) == [2, 4, 7]
    assert choose_layers(tuple(range(1, 14))) == [1, 4, 7, 10, 13]
    assert choose_layers((2, 4, 7, 10), 2) == [2, 10]
    assert choose_layers((13,), 2) == [13]


def test_the_papers_numbers_are_marked_where_it_gives_one():
    axes = Figure().subplots()
    layers = pd.Series([2, 7, 13])
    (marks,) = mark_paper(axes, layers, {(2, "noise"): 20, (10, "noise"): 3.8, (13, "noise"): 1.5}, "noise")
    assert marks.get_xydata().tolist() == [[2, 20], [13, 1.5]]
    assert marks.get_marker() == "x" and marks.get_linestyle() == "None"
    assert mark_paper(axes, layers, {(10, "noise"): 3.8}, "noise") == []
    assert draw_paper_line(axes, None) == []
    (line,) = draw_paper_line(axes, 0.94)
    assert {*line.get_ydata()} == {0.94} and line.get_color() == marks.get_color()
