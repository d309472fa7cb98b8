"""The house style, and what holds for every figure."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from singlefilter.figures import style as figures
from singlefilter.figures import success_rates
from singlefilter.pipeline.params import run_heading
from tests.figures.flaws import flaws
from tests.figures.tables import CIFAR10, HEADING, ROOT, Tables, drawing_style, legend, rendered

LONG = tuple(f"a_very_long_name_of_class_{label}" for label in range(10))
FORMULAS = tuple(f"$\\class_{label}$" for label in range(10))  # no formulas, though they look like it
PAPER = {
    (None, "accuracy"): 0.94,
    (7, "train_accuracy"): 0.999,
    (7, "appearances"): 55,
    (7, "cluster_size"): 1.66,
    (13, "accuracy"): 0.94,
    (13, "noise"): 1.5,
    (13, "clusters"): 1,
    (13, "cluster_size"): 2.88,
    (13, "appearances"): 150,
    (13, "snr"): 5,
    (13, "snr_counted"): 4.8,
}

# name -> tables, row of archs, the paper's numbers, style
CASES = {
    "one sample, all that is optional": (
        Tables(layers=(1, 5), samples=1, validation=True, retrained=True),
        "vgg6",
        {(None, "accuracy"): 0.92, (5, "noise"): 3.14},
        {},
    ),
    "one layer, two labels, no training": (
        Tables(layers=(13,), samples=5, class_names=("nan", "犬"), epochs=0),
        "avgg16",
        {(13, "noise"): 1.1},
        {},
    ),
    "100 labels": (
        Tables(layers=(1, 2), samples=5, class_names=tuple(f"class {label}" for label in range(100))),
        "vgg16_fc4096",
        {},
        {},
    ),
    "a silent layer, and no cluster in the last": (
        Tables(layers=(1, 3), samples=1, class_names=FORMULAS, silent=(1,), clusterless=(3,)),
        "vgg14",
        {},
        {},
    ),
    "all silent": (Tables(layers=(1, 2), samples=2, class_names=("猫", "狗", "鳥"), silent=(1, 2)), "vgg14", {}, {}),
    "13 layers": (Tables(layers=tuple(range(1, 14)), samples=2), "vgg16", PAPER, {}),
    "long names, the largest letters": (
        Tables(layers=(7, 13), class_names=LONG),
        "vgg16",
        PAPER,
        {"dpi": 50, "font_size": 24},
    ),
    "the smallest letters": (Tables(layers=(7, 13)), "vgg16", PAPER, {"dpi": 150, "font_size": 4}),
}


@pytest.mark.parametrize("case", CASES)
def test_every_figure_is_drawn_whole_without_a_warning_and_nothing_lies_over_another(case):
    tables, arch, paper, style = CASES[case]
    with drawing_style(**style):
        for name, figure in tables.all_figures(paper, arch):
            found = [flaw for flaw in flaws(figure) if not ("nan" in tables.class_names and flaw.startswith("says "))]
            assert found == [], name


def test_flaws_are_texts_that_overlap_or_are_cut_off_legends_over_data_and_what_is_no_number():
    figure = Figure(layout="none")
    for x, text in ((0.1, "one"), (0.11, "two"), (0.5, "mean nan"), (0.98, "three")):
        figure.text(x, 0.5, text)
    axes = figure.add_axes((0.2, 0.1, 0.3, 0.2))
    axes.plot([0, 1], label="a curve")
    axes.legend()
    found = ["'one' lies over 'two'", "a legend lies over the data", "says 'mean nan'", "is cut off"]
    assert list(flaws(figure)) == found


def test_the_same_figure_has_the_same_bytes_twice_and_first_as_second_saved():
    # The stage's test compares all figures; these have a layout of their own, matrices, and markers that an SVG names.
    first, second = (dict(Tables(layers=(13,)).all_figures(PAPER)) for _ in range(2))
    assert len(first) == 14
    for name in ("filters", "network", "layer_statistics"):
        png, svg = rendered(first[name]), rendered(first[name], "svg")
        assert (png, svg) == (rendered(second[name]), rendered(second[name], "svg"))
        assert png == rendered(first[name])
        assert svg.startswith(b"<?xml") and b"<dc:date>" not in svg and b"<text" not in svg


def test_another_process_gives_the_same_bytes():
    code = (
        "import hashlib; from tests.figures.tables import *\n"
        "with drawing_style():\n"
        "    figure = layers.layer_statistics(Tables().layers_table, 0.3, {(13, 'noise'): 1.5}, HEADING)\n"
        "    print(*(hashlib.sha256(rendered(figure, form)).hexdigest() for form in ('png', 'svg')))"
    )
    found = set()
    for seed in ("1", "2"):
        paths = f"{ROOT / 'src'}:{ROOT}"
        environment = {"PYTHONPATH": paths, "PYTHONHASHSEED": seed, "MPLCONFIGDIR": ""}
        command = [sys.executable, "-c", code]
        found.add(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(found) == 1 and len(found.pop().split()) == 2


@pytest.mark.parametrize(
    ("environment", "warned"),
    [
        ({"HOME": "/dev/null/home"}, []),
        ({"HOME": "/dev/null/home", "MPLCONFIGDIR": "/dev/null/own"}, ["mkdir -p failed", "Matplotlib created"]),
    ],
)
def test_a_home_that_cannot_be_written_is_no_warning_but_a_folder_that_the_user_names_is(environment, warned):
    code = "import stages.figures, matplotlib.font_manager as fonts; fonts.findfont('no such font')"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    *lines, true_warning = done.stderr.splitlines()
    assert true_warning.startswith("findfont: Font family ['no such font'] not found") and done.stdout == ""
    assert [line.startswith(start) for line, start in zip(lines, warned, strict=True)] == [True] * len(warned)


def test_importing_the_figures_imports_neither_pyplot_nor_torch():
    modules = ", ".join(
        f"singlefilter.figures.{path.stem}" for path in (ROOT / "src/singlefilter/figures").glob("[!_]*.py")
    )
    code = f"import sys, {modules}; print([m for m in ('matplotlib.pyplot', 'torch') if m in sys.modules])"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=True)
    assert "success_rates" in modules and result.stdout.strip() == "[]"


def test_the_users_own_settings_change_nothing():
    expected = rendered(success_rates.training(Tables().history, HEADING))
    import matplotlib

    matplotlib.rcParams.update({"axes.labelsize": 30, "xtick.direction": "in", "font.sans-serif": ["Arial"]})
    figures.use_style(dpi=60, font_size=9, colormap="viridis")
    figure = success_rates.training(Tables().history, HEADING)
    assert rendered(figure) == expected
    # No font of this machine stands in for a letter that the figures' own lacks.
    assert {tuple(text.get_fontfamily()) for text in figure.findobj(Text)} == {("DejaVu Sans",)}


def test_letters_beyond_nine_points_enlarge_the_figure():
    with drawing_style(font_size=18):
        assert figures.new_figure(2).get_size_inches().tolist() == [14.4, 4]
    with drawing_style(font_size=6):
        assert figures.new_figure(2).get_size_inches().tolist() == [7.2, 2]


def test_run_heading_counts_samples_and_epochs():
    assert run_heading("vgg16", "digits", 1, 0.05) == HEADING
    assert run_heading("vgg6", "cifar10", 4, 1) == "vgg6 on cifar10, 4 samples, the full epochs"
    assert figures.bars_text(1) == "One sample has no standard deviation."
    assert figures.bars_text(2) == "Bars: standard deviation over samples."


def test_names_that_cannot_be_drawn_are_numbers_and_long_ones_lose_their_middle():
    names = ["犬", "nan", "a_very_long_name_1", "a_very_long_name_2", "exactly_14_let", "two\nlines"]
    expected = ["label 0", "nan", "a_very_l…ame_1", "a_very_l…ame_2", "exactly_14_let", "label 5"]
    assert figures.drawable_names(names) == expected
    assert figures.drawable_names(["lynx, catamount", "a, b"]) == ['"lynx, ca…mount"', '"a, b"']


def test_axes_bear_names_of_few_labels_and_numbers_of_many():
    assert figures.label_texts(CIFAR10) == list(CIFAR10)
    assert figures.label_texts([f"class {label}" for label in range(13)]) == [str(label) for label in range(13)]
    names = [f"class {label}" for label in range(30)]
    assert figures.label_texts(names, [3, 5]) == ["3", "5", "others"]
    assert figures.label_texts(names, [3, 5], names=True) == ["class 3", "class 5", "others"]
    assert figures.label_texts(CIFAR10, range(10)) == list(CIFAR10)


def test_the_largest_of_many_labels_are_chosen_in_their_order():
    assert figures.largest_labels(np.zeros(20)).tolist() == [*range(20)]
    values = np.arange(30.0)
    values[[0, 29]] = [99, np.nan]
    assert figures.largest_labels(values).tolist() == [0, *range(10, 29)]


SUMS = [[5, 7, 4 + 6], [13, 15, 12 + 14], [1 + 9, 3 + 11, 0 + 2 + 8 + 10]]


def test_other_labels_are_gathered_behind_those_that_are_shown():
    matrix = np.arange(16).reshape(4, 4)
    shown = np.array([1, 3])
    assert figures.with_others(matrix, shown, np.sum, axes=2).tolist() == [
        [5, 7, 10],
        [13, 15, 26],
        [8 + 1 + 0 - 1 + 2, 14, 20],
    ]
    assert figures.with_others(np.array([1, 2, 3, 4]), shown, np.mean, axes=1).tolist() == [2, 4, 2]
    assert figures.with_others(matrix, np.arange(4), np.sum, axes=2) is matrix


def test_names_of_layers_are_upright_and_long_ones_lose_their_beginning():
    axes = figures.new_figure(2).subplots()
    names = pd.Series(["conv1", "encoder.layers.encoder_layer_11"])
    figures.label_layers(axes, names)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["conv1", "…layers.encoder_layer_11"]
    assert axes.get_xticks().tolist() == [1, 2] and axes.get_xticklabels()[0].get_rotation() == 90
    assert figures.layer_name("conv1") == "conv1" and figures.layer_name(13) == "layer 13"
    figures.label_layers(axes, pd.Series([2, 13]))
    assert axes.get_xticks().tolist() == [2, 13]


def test_a_title_without_letters_for_it_says_so():
    figure = figures.new_figure(2)
    figures.title(figure, "Nulls", "vgg16 on 花")
    assert figure.get_suptitle() == "Nulls: vgg16 on ?"


def test_titles_are_one_line_and_the_rest_is_the_caption():
    heading = run_heading("vgg16_fc4096", "cifar10", 4, 0.05)
    figure = figures.new_figure(2)
    figures.title(figure, "Noise", heading, "The first.", "The second.")
    assert figure.get_suptitle() == "Noise: vgg16_fc4096 on cifar10, 4 samples, 0.05 of the full epochs"
    assert figures.caption_text("noise", figure) == "## noise\n\n![noise](noise.png)\n\nThe first. The second.\n"
    for name, drawn in Tables(layers=(2, 13)).all_figures({}):
        title = drawn.get_suptitle().replace(HEADING, heading)
        assert title.endswith(f": {heading}"), name
        assert title == figures.wrap(title, drawn.get_figwidth() / figures.enlarged()), name
        assert drawn.get_label().endswith("."), name


def test_layers_are_chosen_evenly_with_the_first_and_the_last():
    assert figures.choose_layers((2, 4, 7)) == [2, 4, 7]
    assert figures.choose_layers(tuple(range(1, 14))) == [1, 4, 7, 10, 13]
    assert figures.choose_layers((2, 4, 7, 10), 2) == [2, 10]
    assert figures.choose_layers((13,), 2) == [13]


def test_numbers_are_written_with_a_true_minus_and_unknown_ones_as_a_dash():
    assert figures.rounded_text(-1.25, 1) == "−1.2"
    assert [figures.rounded_text(value, 2) for value in (np.nan, None)] == ["n/a", "n/a"]
    assert figures.mean_text(0.5, 0.01, 3) == "0.500 ± 0.010"
    assert figures.mean_text(0.5, np.nan, 3) == figures.mean_text(0.5, None, 3) == "0.500"
    assert figures.mean_text(np.nan, 0.01, 3) == "n/a"


def test_the_networks_accuracy_is_that_of_the_last_epoch():
    # Last epochs 0.3 and 0.5: mean 0.4, deviation √(2 · 0.1² / 1) = 0.1414.
    history = pd.DataFrame({"seed": [0, 0, 1, 1], "epoch": [0, 1, 0, 1], "test_accuracy": [0.9, 0.3, 0.8, 0.5]})
    assert figures.mean_last_accuracy(history) == pytest.approx((0.4, 0.02**0.5))


def test_the_papers_numbers_are_marked_where_it_gives_one():
    axes = Figure().subplots()
    layers = pd.Series([2, 7, 13])
    (marks,) = figures.mark_paper(axes, layers, {(2, "noise"): 20, (10, "noise"): 3.8, (13, "noise"): 1.5}, "noise")
    assert marks.get_xydata().tolist() == [[2, 20], [13, 1.5]]
    assert marks.get_marker() == "x" and marks.get_linestyle() == "None"
    assert figures.mark_paper(axes, layers, {(10, "noise"): 3.8}, "noise") == []
    assert figures.draw_paper_line(axes, None) == []
    (line,) = figures.draw_paper_line(axes, 0.94)
    assert {*line.get_ydata()} == {0.94} and line.get_color() == marks.get_color()


def test_a_legend_takes_as_many_columns_as_the_figure_holds():
    for text, columns in (
        ("short", 4),
        ("an entry that takes nearly half a page", 2),
        ("x" * 90, 1),
    ):
        figure = Figure(figsize=(7.2, 3))
        lines = [figure.subplots().plot([0], [0], label=text)[0] for _ in range(4)]
        figures.legend_below(figure, lines)
        assert figure.legends[0]._ncols == columns
        assert legend(figure) == [text] * 4
