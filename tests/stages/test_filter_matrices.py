"""Matrices of the same layer on another scale."""

import numpy as np
import pytest
import torch

from singlefilter.features.store import write_largest, write_scales
from singlefilter.filters.store import read_layer
from singlefilter.heads.store import write_heads
from singlefilter.pipeline.artifacts import Workspace
from stages.filter_matrices import main
from tests.hdf5_files import read


def matrices(params, monkeypatch, folder, factors) -> dict[str, list[np.ndarray]]:
    """The stage's matrices by split, of a layer whose filters put out what they do times these factors."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    generator, files = np.random.default_rng(0), Workspace(params)
    with files.write("features", seed=0, layer=2) as file:
        file.attrs["class_names"] = ["red", "green", "blue"]
        for split in ("train", "test"):
            file[f"{split}/features"] = (generator.integers(8, size=(19, 6, 2, 2)) / 8).astype(np.float16)
            file[f"{split}/labels"] = generator.integers(3, size=19)
        write_scales(file, np.float32(factors))
        write_largest(file, np.float32(factors))
    head = torch.from_numpy(generator.standard_normal((3, 6, 4), dtype=np.float32)) / torch.tensor(factors)[:, None]
    with files.read("features", seed=0, layer=2), files.write("heads", seed=0) as file:
        write_heads(file, {2: head.float()}, {2: {"test_accuracy": 0.5}})
    main(params, 0)
    found = read(folder / "metrics/filters/seed0.h5", read_whole)
    assert found.pop("faded").tolist() == [bool(factor < 1e-4) for factor in factors]
    return found


def read_whole(file) -> dict[str, list[np.ndarray]]:
    layer = read_layer(file, 2)
    splits = {
        name: [part.fields[()], part.decisions[()], part.images_per_label, part.correct_without]
        for name, part in layer.splits.items()
    }
    return splits | {"faded": layer.faded}


@pytest.mark.parametrize("factor", [2.0**-40, 2.0**20])
def test_a_filters_scale_changes_nothing_if_its_heads_weights_make_up_for_it(
    factor, make_params, tmp_path, monkeypatch
):
    params = make_params()
    params = params.model_copy(
        update={"archs": {"tiny": params.chosen_arch.model_copy(update={"examined_layers": (2,)})}}
    )
    plain = matrices(params, monkeypatch, tmp_path / "plain", [1.0] * 6)
    scaled = matrices(params, monkeypatch, tmp_path / "scaled", [1.0, 1.0, factor, 1.0, 1.0, 1.0])
    for split in ("train", "test"):
        for one, other in zip(plain[split], scaled[split], strict=True):
            np.testing.assert_array_equal(one, other)
        assert plain[split][0].any()


def test_each_split_has_the_fields_of_its_own_images(make_params, tmp_path, monkeypatch):
    params = make_params()
    params = params.model_copy(
        update={"archs": {"tiny": params.chosen_arch.model_copy(update={"examined_layers": (2,)})}}
    )
    found = matrices(params, monkeypatch, tmp_path / "one", [1.0] * 6)
    generator, given = np.random.default_rng(0), {}
    for split in ("train", "test"):  # what matrices() draws, in its order
        features = (generator.integers(8, size=(19, 6, 2, 2)) / 8).reshape(19, 6, 4)
        given[split] = features, generator.integers(3, size=19)
    head = generator.standard_normal((3, 6, 4), dtype=np.float32)
    for split, (features, labels) in given.items():
        sums = [np.einsum("nfs,kfs->fk", features[labels == label], head) for label in range(3)]
        np.testing.assert_allclose(found[split][0], np.stack(sums, axis=1), rtol=1e-5, atol=1e-5)
        assert found[split][2].tolist() == np.bincount(labels, minlength=3).tolist()
