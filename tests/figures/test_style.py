"""The house style, and what holds for every figure."""

import subprocess
import sys

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from singlefilter.figures import style, success_rates
from singlefilter.pipeline.params import run_heading
from tests.figures.flaws import flaws
from tests.figures.tables import HEADING, ROOT, Tables, drawing_style, legend, rendered

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
        "    figure = layers.plot_layer_statistics(Tables().layers_table, 0.3, {(13, 'noise'): 1.5}, HEADING)\n"
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
    expected = rendered(success_rates.plot_training(Tables().history, HEADING))
    import matplotlib

    matplotlib.rcParams.update({"axes.labelsize": 30, "xtick.direction": "in", "font.sans-serif": ["Arial"]})
    style.use_style(dpi=60, font_size=9, colormap="viridis")
    figure = success_rates.plot_training(Tables().history, HEADING)
    assert rendered(figure) == expected
    # No font of this machine stands in for a letter that the figures' own lacks.
    assert {tuple(text.get_fontfamily()) for text in figure.findobj(Text)} == {("DejaVu Sans",)}


def test_letters_beyond_nine_points_enlarge_the_figure():
    with drawing_style(font_size=18):
        assert style.new_figure(2).get_size_inches().tolist() == [14.4, 4]
    with drawing_style(font_size=6):
        assert style.new_figure(2).get_size_inches().tolist() == [7.2, 2]


def test_run_heading_counts_samples_and_epochs():
    assert run_heading("vgg16", "digits", 1, 0.05) == HEADING
    assert run_heading("vgg6", "cifar10", 4, 10).endswith(", 10 times the full epochs")
    assert run_heading("vgg6", "cifar10", 4, 1) == "vgg6 on cifar10, 4 samples, the full epochs"
    assert style.bars_text(1) == "One sample has no standard deviation."
    assert style.bars_text(2) == "Bars: standard deviation over samples."


def test_a_title_without_letters_for_it_says_so():
    figure = style.new_figure(2)
    style.title(figure, "Nulls", "vgg16 on 花")
    assert figure.get_suptitle() == "Nulls: vgg16 on ?"


def test_titles_are_one_line_and_the_rest_is_the_caption():
    heading = run_heading("vgg16_fc4096", "cifar10", 4, 0.05)
    figure = style.new_figure(2)
    style.title(figure, "Noise", heading, "The first.", "The second.")
    assert figure.get_suptitle() == "Noise: vgg16_fc4096 on cifar10, 4 samples, 0.05 of the full epochs"
    assert style.caption_text("noise", figure) == "## noise\n\n![noise](noise.png)\n\nThe first. The second.\n"
    for name, drawn in Tables(layers=(2, 13)).all_figures({}):
        title = drawn.get_suptitle().replace(HEADING, heading)
        assert title.endswith(f": {heading}"), name
        assert title == style.wrap(title, drawn.get_figwidth() / style.enlarged()), name
        assert drawn.get_label().endswith("."), name


def test_a_legend_takes_as_many_columns_as_the_figure_holds():
    for text, columns in (
        ("short", 4),
        ("an entry that takes nearly half a page", 2),
        ("x" * 90, 1),
    ):
        figure = Figure(figsize=(7.2, 3))
        lines = [figure.subplots().plot([0], [0], label=text)[0] for _ in range(4)]
        style.legend_below(figure, lines)
        assert figure.legends[0]._ncols == columns
        assert legend(figure) == [text] * 4
