"""The stage that reads the tables and writes the figures."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from singlefilter.pipeline.artifacts import Workspace, path_of
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.params_files import load_params
from stages.figures import FirstSample, main, paper_of, paper_removal, read_first_sample
from tests.figures.tables import ROOT, Tables, drawing_style, shaken_solver
from tests.hdf5_files import edited

NAMES = [
    *("cluster_sizes", "decisions", "dilution", "field_histograms", "filters", "label_appearances"),
    *("layer_statistics", "layer_table", "network", "nulls", "signal_to_noise", "success_rates"),
    *("thresholds", "training"),
]
TABLES = Tables(layers=(1, 2), samples=2, class_names=("nan", "1"), epochs=2, filters_count=3)
LOADED = load_params(ROOT / "params.yaml")


@pytest.fixture
def params(tmp_path, monkeypatch) -> Params:
    """Parameters of two samples and two layers, in a folder with all that the stage reads."""
    monkeypatch.chdir(tmp_path)
    row = LOADED.archs["vgg6"].model_copy(update={"examined_layers": (1, 2)})
    changes = {"arch": "vgg6", "archs": {"vgg6": row}, "seeds": (0, 1)}
    made = LOADED.model_copy(update=changes | {"figures": LOADED.figures.model_copy(update={"dpi": 50})})
    TABLES.write(made)
    return made


def rewrite(changes: Mapping[str, np.ndarray]) -> None:
    """Write some of the first sample's matrices again."""
    with edited(path_of("matrices", seed=0)) as file:
        for name, values in changes.items():
            del file[name]
            file[name] = values


def first_sample(params: Params, filters: pd.DataFrame | None = None) -> FirstSample:
    files = Workspace(params)
    return read_first_sample(files, params, files.read_table("filters") if filters is None else filters)


def test_stage_draws_figures_of_the_same_bytes_whatever_the_last_digits_of_their_layout_and_says_where(params, capsys):
    with drawing_style():
        main(params)
        written = {path.name: path.read_bytes() for path in Path("plots").iterdir()}
        assert sorted(written) == sorted(
            ["captions.md", *(f"{name}.{form}" for name in NAMES for form in ("png", "svg"))]
        )
        captions = written["captions.md"].decode()
        assert captions.startswith("# vgg6 on digits, 2 samples, 0.05 of the full epochs\n\n## network\n\n")
        assert sorted(re.findall("^## (.*)", captions, re.MULTILINE)) == NAMES
        output = capsys.readouterr().out
        assert "0.6200" in output and "1 do not" in output and str(Path("plots").resolve()) in output
        with shaken_solver():
            main(params)
    assert written == {path.name: path.read_bytes() for path in Path("plots").iterdir()}


def test_first_sample_has_the_chosen_filters_fields_as_means_over_images(params):
    rows = [(0, layer, index, layer, 1, False, "0") for layer in (1, 2) for index in range(3)]
    filters = pd.DataFrame(rows, columns=["seed", "layer", "filter", "noise", "clusters", "silent", "labels"])
    filters.loc[filters["layer"] == 1, "noise"] = [9, 5, 1]  # so filter 1 is the median
    sums, counts = np.zeros((3, 2, 2)), np.zeros((3, 2, 2), dtype=np.int64)
    sums[1], counts[1] = [[2, 0], [1, -4]], [[3, 4], [5, 6]]
    images = np.array([1, 2])
    changes = {"test/images_per_label": images, "layer1/test/fields": sums, "layer1/test/decisions": counts}
    rewrite(changes)
    found = first_sample(params, filters)
    assert found.class_names == ["nan", "1"]
    # Sums 2, 0 of one image and 1, -4 of two, so means 2, 0, 0.5, -2; over the largest: 1, 0, 0.25, -1.
    index, fields = found.fields[1]
    assert index == 1 and fields.tolist() == [[1, 0], [0.25, -1]]
    assert found.decisions[1][0] == 1 and found.decisions[1][1].tolist() == [[3, 4], [5, 6]]
    assert sorted(found.decisions) == [1, 2]


def test_totals_are_the_last_layers_fields_without_silent_filters(params):
    # Means [[2, 0], [0.5, -2]] over 2; [[1, 4], [3, 0]] over 4; and a silent one.
    sums = np.array([[[2.0, 0], [1, -4]], [[1, 4], [6, 0]], [[-1, -1], [-1, -1]]])
    rewrite({"test/images_per_label": np.array([1, 2]), "layer2/test/fields": sums})
    assert first_sample(params).totals.tolist() == [[1.25, 1], [1, -1]]
    rewrite({"layer2/test/fields": -np.ones((3, 2, 2))})
    assert np.isnan(first_sample(params).totals).all()


def test_layers_of_silent_filters_have_no_matrices(params):
    filters = Workspace(params).read_table("filters").assign(silent=lambda table: table["layer"] == 1)
    found = first_sample(params, filters)
    assert found.fields[1] is None and found.decisions[1] is None and found.fields[2] is not None


def test_the_papers_numbers_are_shown_on_cifar10_alone():
    vgg16 = LOADED.model_copy(update={"dataset": "cifar10", "arch": "vgg16"})
    assert paper_of(vgg16)[13, "noise"] == 1.5 and paper_of(vgg16)[None, "accuracy"] == 0.94
    assert paper_of(vgg16.model_copy(update={"dataset": "digits"})) == {}
    assert paper_of(vgg16.model_copy(update={"arch": "vgg14"})) == {}
    backbone = vgg16.chosen_arch.backbone.model_copy(update={"output_bias": True})
    biased = vgg16.chosen_arch.model_copy(update={"backbone": backbone})
    assert paper_of(vgg16.model_copy(update={"archs": {"vgg16": biased}})) == {}


def test_the_papers_removal_is_of_vgg16s_layer_13():
    vgg16 = LOADED.model_copy(update={"dataset": "cifar10", "arch": "vgg16"})
    layers = pd.DataFrame({"layer": [10, 13], "filters": [512, 512]})
    paper = paper_of(vgg16)
    assert paper_removal(vgg16, layers, paper) == (150, 0.94)
    assert paper_removal(vgg16, layers, {}) is None
    assert paper_removal(vgg16, layers[:1], paper) is None
    vgg6 = vgg16.model_copy(update={"arch": "vgg6"})
    assert paper_removal(vgg6, layers, paper_of(vgg6)) is None


@pytest.mark.parametrize(
    ("missing", "made_by"),
    [
        *(
            (f"metrics/{name}.csv", "cluster_stats")
            for name in ("claims", "histograms", "layers", "nulls", "thresholds", "training")
        ),
        ("metrics/dilution/seed1.csv", "dilute_filters@1"),
        ("metrics/filters/seed0.h5", "filter_matrices@0"),
    ],
)
def test_stage_names_a_missing_file_and_the_way_out(params, missing, made_by):
    Path(missing).unlink()
    with pytest.raises(InputError, match=f"{missing} is missing.*{made_by}"):
        main(params)
    assert not Path("plots").exists()


def test_stage_refuses_matrices_and_tables_of_other_samples_or_layers(params):
    filters = Workspace(params).read_table("filters")
    with pytest.raises(InputError, match=r"filters\.csv .* layers \[1\] of sample 0, where \[1, 2\] .*cluster_stats"):
        first_sample(params, filters[filters["layer"] == 1])
    with pytest.raises(InputError, match=r"filters\.csv .* has layers \[\] of sample 0, where \[1, 2\] are expected"):
        first_sample(params, filters[filters["seed"] == 1])
    with pytest.raises(InputError, match=r"seed0\.h5 is of another run: made with epochs_scale 0\.05, where 1"):
        main(params.model_copy(update={"epochs_scale": 1.0}))
