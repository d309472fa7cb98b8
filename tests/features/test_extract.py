"""Features: the files' layout, and their values against a forward pass written out from the weights."""

import copy
import shutil
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from singlefilter.backbone.network import Network
from singlefilter.backbone.store import write_network
from singlefilter.data.dataset import hold_out
from singlefilter.data.store import write_dataset
from singlefilter.features import extract as features
from singlefilter.features.store import LayerFeatures, write_largest, write_scales
from singlefilter.pipeline.artifacts import Workspace, path_of
from singlefilter.pipeline.errors import InputError
from stages import extract_features
from tests.feature_files import feature_path, open_features, write_features

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def network(make_params) -> Network:
    """A network whose batch-norms are those of a trained one; it is left in training mode."""
    torch.manual_seed(4)
    made = Network(make_params().chosen_arch.backbone, 3, image_size=8)
    for layer in made.layers:
        for values in (layer[1].weight.data, layer[1].running_var):
            values.uniform_(0.5, 2)
        for values in (layer[1].bias.data, layer[1].running_mean):
            values.uniform_(-0.2, 0.2)
    return made


@pytest.fixture
def written(network, data, tmp_path) -> Path:
    """A folder with the features of layers 1 and 2."""
    write_features(tmp_path / "seed0", network, data, [1, 2])
    return tmp_path / "seed0"


def plain_features(network: Network, images: np.ndarray) -> dict[int, Tensor]:
    """Layers 1, with a pool after it, and 2 in float64; batch-norm with its running values."""
    return plain_outputs(network, torch.from_numpy(images.astype(np.float64) / 255 * 2 - 1).permute(0, 3, 1, 2))


@torch.no_grad()
def plain_outputs(network: Network, values: Tensor) -> dict[int, Tensor]:
    """The same of a network's inputs, (N, 3, H, W)."""
    outputs = {}
    for number, layer in enumerate(network.layers, start=1):
        convolution, norm = layer[0], layer[1]
        values = nn.functional.conv2d(values, convolution.weight.double(), convolution.bias.double(), padding=1)
        mean, variance, gain, shift = (
            tensor.double()[:, None, None] for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
        )
        values = ((values - mean) / (variance + norm.eps).sqrt() * gain + shift).clamp(min=0)
        if number == 1:
            values = values.unflatten(3, (4, 2)).unflatten(2, (4, 2)).amax((3, 5))  # (N, F, 4, 2, 4, 2)
        outputs[number] = values
    return outputs


@pytest.mark.parametrize("images_per_pass", [5, 500])
def test_values_are_the_networks_outputs_in_the_order_of_the_images(
    images_per_pass, network, data, tmp_path, monkeypatch
):
    monkeypatch.setattr(features, "IMAGES_PER_PASS", images_per_pass)
    write_features(tmp_path, network, data, [1, 2])
    for name, split in (("train", data.train), ("test", data.test)):
        for layer, expected in plain_features(network, split.images).items():
            with h5py.File(tmp_path / f"layer{layer}.h5") as file:
                found = file[name]["features"][()].astype(np.float64) * file["scales"][()][:, None, None]
                if name == "train":
                    np.testing.assert_allclose(file["largest"], found.max(axis=(0, 2, 3)), rtol=2**-10)
                np.testing.assert_array_equal(file[name]["labels"][()], split.labels)
            np.testing.assert_allclose(found, expected.numpy(), rtol=2**-10, atol=1e-5)  # float16 has 11 digits
            assert (found > 0).mean() > 0.2


def test_files_have_the_layout_that_is_documented(written):
    assert sorted(path.name for path in written.iterdir()) == ["layer1.h5", "layer2.h5"]
    for layer, shape in ((1, (4, 4, 4)), (2, (6, 4, 4))):
        with h5py.File(feature_path(written, layer)) as file:
            assert set(file) == {"train", "test", "scales", "largest"}
            assert file["scales"].shape == file["largest"].shape == shape[:1]
            assert file["scales"].dtype == file["largest"].dtype == np.float32
            assert list(file.attrs["class_names"]) == ["red", "green", "blue"]
            for name, count in (("train", 22), ("test", 13)):
                assert set(file[name]) == {"features", "labels"}
                assert (file[name]["features"].shape, file[name]["features"].dtype) == ((count, *shape), np.float16)
                assert (file[name]["labels"].shape, file[name]["labels"].dtype) == ((count,), np.int64)


def test_the_same_inputs_give_the_same_bytes(written, network, data, tmp_path):
    write_features(tmp_path / "again", network, data, [1, 2])
    write_features(tmp_path / "alone", network, data, [2])
    for layer in (1, 2):
        assert feature_path(written, layer).read_bytes() == feature_path(tmp_path / "again", layer).read_bytes()
    assert feature_path(written, 2).read_bytes() == feature_path(tmp_path / "alone", 2).read_bytes()


def stored(folder: Path, layer: int, split: str) -> tuple[np.ndarray, np.ndarray]:
    """The features, float (N, F, H, W), and labels of a split."""
    with h5py.File(feature_path(folder, layer)) as file:
        return file[split]["features"][()] * file["scales"][()][:, None, None], file[split]["labels"][()]


def test_a_validation_set_is_written_beside_the_others(network, data, written, tmp_path):
    held = hold_out(data, 6, seed=0)
    write_features(tmp_path / "held", network, held, [1, 2])
    for name, split in held.splits.items():
        for layer, expected in plain_features(network, split.images).items():
            found, labels = stored(tmp_path / "held", layer, name)
            np.testing.assert_allclose(found.astype(np.float64), expected.numpy(), rtol=2**-10, atol=1e-5)
            np.testing.assert_array_equal(labels, split.labels)
    with open_features(tmp_path / "held", 1) as file:
        assert sorted(file.unseen) == ["test", "validation"]
        assert file.whole("validation")[0].shape == (6, 4, 16)
    with open_features(written, 1) as file:
        assert file.unseen == ["test"]


def test_the_stage_writes_the_features_of_its_samples_network(network, data, make_params, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SINGLEFILTER_DEVICE", "cpu")
    params = make_params()
    files = Workspace(params)
    with files.write("dataset") as file:
        write_dataset(file, data)
    with files.read("dataset") as file:
        written_data = extract_features.read_dataset(file)
    with files.write("backbone", seed=3) as file:
        write_network(file, network)
    extract_features.main(params, 3)
    write_features(tmp_path / "expected", network, written_data, [1, 2])
    for layer in (1, 2):
        with (
            files.read("features", seed=3, layer=layer) as file,
            h5py.File(tmp_path / f"expected/layer{layer}.h5") as plain,
        ):
            for name in ("train/features", "test/features", "scales", "largest"):
                assert np.array_equal(file[name], plain[name])


@pytest.mark.parametrize("factor", [1e-12, 2.0**-60, 1e8, 0.0])
def test_a_filters_scale_changes_neither_what_is_stored_nor_what_is_read(factor, network, data, written, tmp_path):
    changed = copy.deepcopy(network)
    for values in (changed.layers[1][1].weight.data, changed.layers[1][1].bias.data):
        values[3] *= factor
    write_features(tmp_path / "changed", changed, data, [1, 2])
    with open_features(written, 2) as before, open_features(tmp_path / "changed", 2) as after:
        (plain, _), (scaled, _) = before.whole("train"), after.whole("train")
        assert before.faded.tolist() == [False] * 6
        assert after.faded.tolist() == [False] * 3 + [factor < 1e-4] + [False] * 2
        for found, file in ((plain, before), (scaled, after)):
            exponents = np.log2(file.scales)
            assert file.scales.dtype == np.float32 and np.array_equal(exponents, np.round(exponents))
            strongest = found.max(axis=(0, 2))
            assert ((strongest >= 2**-4) & (strongest <= 2**-3) | (strongest == 0)).all()
        expected = plain[:, 3].astype(np.float64) * before.scales[3] * factor
        np.testing.assert_allclose(scaled[:, 3].astype(np.float64) * after.scales[3], expected, rtol=2**-9)
        others = [0, 1, 2, 4, 5]
        np.testing.assert_array_equal(plain[:, others], scaled[:, others])


@pytest.mark.parametrize("split", ["train", "test"])
def test_what_is_mapped_is_what_the_whole_gives_and_stays_in_the_file(split, written):
    with open_features(written, 2) as file:
        mapped, (whole, _) = file.mapped(split), file.whole(split)
    assert isinstance(mapped, np.memmap) and not mapped.flags.writeable
    assert np.array_equal(mapped, whole) and whole.any()


@pytest.mark.parametrize("images", [1, 4, 11, 22, 1000])
def test_the_stream_gives_what_the_whole_gives(images, written, data):
    with open_features(written, 1) as file, h5py.File(feature_path(written, 1)) as plain:
        assert file.class_names == ["red", "green", "blue"]
        whole, labels = file.whole("train")
        assert (whole.shape, whole.dtype, labels.dtype) == ((22, 4, 16), np.float16, np.int64)
        chunks = list(file.stream("train", images))
        assert max(len(chunk) for chunk, _ in chunks) == min(images, 22)
        np.testing.assert_array_equal(np.concatenate([chunk for chunk, _ in chunks]), whole)
        np.testing.assert_array_equal(np.concatenate([chunk for _, chunk in chunks]), labels)
        np.testing.assert_array_equal(labels, data.train.labels)
        rows = [whole[21, 3, 4 * row : 4 * row + 4] for row in range(4)]
        np.testing.assert_array_equal(rows, plain["train/features"][21, 3])


def test_outputs_far_beyond_those_of_the_first_images_are_refused(network, data, tmp_path, monkeypatch):
    monkeypatch.setattr(features, "SCALED_ON", 1)
    monkeypatch.setattr(features, "LARGEST", 0.2)  # whatever is a little beyond the first image's
    with pytest.raises(InputError, match=r"on the scale of the first 1 training images"):
        write_features(tmp_path, network, data, [1, 2])


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_outputs_that_float16_cannot_hold_are_refused_and_the_old_files_kept(value, written, network, data):
    before = {path.name: path.read_bytes() for path in written.iterdir()}
    network.layers[1][1].bias.data[3] = value
    with pytest.raises(InputError, match=r"layer 2: outputs are infinite, or beyond float16"):
        write_features(written, network, data, [1, 2])
    assert {path.name: path.read_bytes() for path in written.iterdir()} == before


def test_features_that_the_disk_cannot_hold_are_refused_before_the_first_is_written(
    network, data, make_params, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SINGLEFILTER_DEVICE", "cpu")
    params = make_params()
    files = Workspace(params)
    with files.write("dataset") as file:
        write_dataset(file, data)
    with files.read("dataset"), files.write("backbone", seed=0) as file:
        write_network(file, network)
    bytes_needed = 2 * (22 + 13) * (4 * 4 * 4 + 6 * 4 * 4)  # two layers' outputs in float16
    usage = SimpleNamespace(free=bytes_needed)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    extract_features.main(params, 0)
    usage.free -= 1
    before = path_of("features", seed=0, layer=1).stat().st_mtime_ns
    with pytest.raises(InputError, match="is to hold .* GiB, and its disk has .* GiB free; .*examine fewer layers"):
        extract_features.main(params, 0)
    assert path_of("features", seed=0, layer=1).stat().st_mtime_ns == before


@pytest.mark.parametrize("alone", [2, 2e6])  # one filter that is far stronger than all others makes none of them faded
def test_a_filter_is_faded_below_a_ten_thousandth_of_the_third_strongest(tmp_path, alone):
    largest = np.array([alone, 2, 2, *[1.98e-4] * 75, *[2.02e-4] * 2, *[0] * 20], dtype=np.float32)
    with h5py.File(tmp_path / "layer.h5", "w") as file:
        file.attrs["class_names"] = ["a"]
        write_scales(file, np.ones(100, dtype=np.float32))
        write_largest(file, largest)
        faded = LayerFeatures(file, tmp_path / "layer.h5").faded
    assert faded.tolist() == [*[False] * 3, *[True] * 75, *[False] * 2, *[True] * 20]
