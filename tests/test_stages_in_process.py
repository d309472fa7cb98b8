"""The stages one after the other, in this process: networks that are no chains, and other kinds of features."""

import copy
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from singlefilter.backbone.modules import make_module
from singlefilter.backbone.store import read_network
from singlefilter.backbone.train import new_network, train
from singlefilter.data.store import read_dataset
from singlefilter.dilution.retrain import FiltersLeft
from singlefilter.features import of_sample
from singlefilter.filters.store import FilterMatrices, LayerMatrices, read_images, read_layer
from singlefilter.heads.store import read_head
from singlefilter.heads.train import accuracy
from singlefilter.heads.train import train_heads as train_linear_layers
from singlefilter.pipeline.artifacts import Workspace, path_of
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import FeatureKinds, Params
from singlefilter.pipeline.params_files import load_params, parse_params
from singlefilter.records.store import read_run, workspace_files
from stages import (
    check_params,
    cluster_stats,
    dilute_filters,
    download,
    explorer,
    extract_features,
    figures,
    filter_images,
    filter_matrices,
    list_layers,
    train_backbone,
    train_heads,
)
from tests.conftest import TINY
from tests.figures.tables import drawing_style
from tests.tiny_project import write_image

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[1]
CATALOG = load_params(ROOT / "params.yaml").archs
OWN = """
from torch import nn


def make_network(labels, image_size):
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.Hardswish(), nn.AvgPool2d(4), nn.Flatten(),
        nn.Linear(6 * (image_size // 4) ** 2, labels),
    )
"""
OF_FILE = {"module": "networks/mine.py:make_network", "convolutional_rates": {"learning_rate": 0.01}}
pytestmark = pytest.mark.usefixtures("one_thread")


def write_images() -> None:
    generator = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 5)):
        for label, name in enumerate(("blue", "green", "red")):
            for number in range(count):
                write_image(Path(f"data/images/tiny/{split}/{name}/{number}.png"), generator, label)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Iterator[None]:
    """A folder with 36 training and 15 test images of three labels, and a user's own network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SINGLEFILTER_DEVICE", "cpu")
    write_images()
    for path in (ROOT / "networks").glob("*.py"):
        (tmp_path / "networks").mkdir(exist_ok=True)
        (tmp_path / "networks" / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    Path("networks/mine.py").write_text(OWN, encoding="utf-8")
    with drawing_style():
        yield


def params_of(arch: str, layers: list[int | str], **backbone: object) -> Params:
    row = CATALOG[arch].model_dump(mode="json") if arch in CATALOG else {"heads": {}}
    row["backbone"] = row.get("backbone", {}) | {"batch_size": 12, "epochs": 1} | backbone
    row["heads"] |= {"epochs": 2, "batch_size": 12}
    row["examined_layers"] = layers or row["examined_layers"]
    images = {"source": "class_folders", "image_size": 32, "flip": False, "translation": 1}
    return parse_params({**TINY, "arch": arch, "archs": {arch: row}, "datasets": {"tiny": images}})


def run_stages(params: Params) -> None:
    check_params.main(params)
    download.main(params)
    for stage in (train_backbone, extract_features, train_heads, filter_matrices, dilute_filters, filter_images):
        stage.main(params, 0)
    cluster_stats.main(params)
    figures.main(params)
    explorer.main(params)


def assert_images_are_decided_as_the_heads_do(params: Params) -> None:
    files = Workspace(params)
    with files.read("dataset") as file:
        labels = file["test/labels"][()]
    with files.read("images", seed=0) as images, files.read("matrices", seed=0) as matrices:
        for layer in params.chosen_arch.examined_layers:
            right = (read_images(images, layer).predictions == labels).mean()
            assert right == read_layer(matrices, layer).accuracies["test_accuracy"]


@pytest.mark.parametrize(
    ("arch", "layers", "filters"),
    [
        # In the network's order, which is not that of the alphabet.
        ("resnet18", ["conv1", "layer4", "avgpool"], [64, 512, 512]),
        ("vgg11", [1, 8], [64, 512]),
        ("efficientnet_b0", ["features.0", "features.8"], [32, 1280]),
        ("vit_small", ["encoder.layers.encoder_layer_0", "encoder.ln"], [192, 192]),
        ("mine", [1, 3, 4], [6, 6, 6 * 64]),
    ],
)
def test_a_network_goes_through_all_stages_to_its_figures(arch, layers, filters, project, capsys):
    # Three steps leave the averages of batch-norm behind, so that 49 layers of it put out more than float16 holds.
    values = {"mine": OF_FILE, "efficientnet_b0": {"epochs": 0}}.get(arch, {})
    params = params_of(arch, layers, **values)
    run_stages(params)
    table = pd.read_csv("metrics/layers.csv")
    assert table["layer"].tolist() == layers and table["filters"].tolist() == filters
    assert (table["depth"].diff().dropna() >= 0).all() and table["multiply_accumulates_share"].notna().all()
    for name in ("sizes", "thresholds", "nulls", "histograms", "filters", "labels"):
        assert [*dict.fromkeys(pd.read_csv(f"metrics/{name}.csv")["layer"])] == layers, name
    assert Path("plots/network.png").exists() and Path("plots/dilution.svg").exists()
    assert len([*Path("features/seed0").iterdir()]) == len(layers)
    assert_images_are_decided_as_the_heads_do(params)
    read_run(params, workspace_files([0]))
    printed = capsys.readouterr().out.splitlines()
    assert "not comparable: no claim is about this network alone; tiny instead of CIFAR-10; 1 sample" in printed
    head = next(number for number, line in enumerate(printed) if line.lstrip().startswith("layer "))
    assert [line.split()[0] for line in printed[head + 1 : head + 1 + len(layers)]] == [str(layer) for layer in layers]


def test_outputs_below_zero_are_kept_and_decide(project):
    """What a filter with one position decides depends on the image once its output may be negative."""
    params = params_of("mine", [2], **OF_FILE)
    run_stages(params)
    with h5py.File(path_of("features", seed=0, layer=2)) as file:
        stored, scales = file["train/features"][()], file["scales"][()]
        assert stored.min() < 0
        largest = np.abs(stored.astype(np.float32) * scales[:, None, None]).max((0, 2, 3))
        assert file["largest"][()] == pytest.approx(largest, rel=1e-3)
    with h5py.File(path_of("backbone", seed=0)) as file:
        weight, bias = torch.tensor(file["module.0.weight"][()]), torch.tensor(file["module.0.bias"][()])
    with Workspace(params).read("dataset") as file:
        images = torch.tensor(file["train/images"][()]).permute(0, 3, 1, 2).float() / 127.5 - 1
    expected = torch.nn.functional.hardswish(torch.nn.functional.conv2d(images, weight, bias, padding=1))
    assert stored * scales[:, None, None] == pytest.approx(expected.numpy(), rel=2e-3, abs=1e-4)
    assert figures.single_positions(params) == []


def test_a_network_with_weights_from_a_file_is_examined_as_it_comes(project):
    torch.manual_seed(11)
    state = make_module(params_of("mine", [1], **OF_FILE).chosen_arch.backbone, 3, 32).state_dict()
    torch.save(state, "mine.pt")
    weights = {"file": "mine.pt", "sha256": hashlib.sha256(Path("mine.pt").read_bytes()).hexdigest()}
    params = params_of("mine", [1], **OF_FILE, weights=weights, epochs=0)
    run_stages(params)
    with h5py.File(path_of("backbone", seed=0)) as file:
        for name, values in state.items():
            assert torch.equal(torch.tensor(file[f"module.{name}"][()]), values)
    assert len(pd.read_csv("metrics/training.csv")) == 1
    check_params.main(params)
    Path("mine.pt").write_bytes(b"other")
    with pytest.raises(InputError, match=f"archs.mine: weights: .* where {weights['sha256']} is expected"):
        check_params.main(params)


def test_of_images_that_are_not_here_neither_labels_nor_network_are_known(project, capsys):
    images = Path("data/images/tiny")
    images.rename("elsewhere")
    params = params_of("mine", [1], **OF_FILE | {"module": "networks/mine.py:none"})
    with pytest.raises(InputError, match="data/images/tiny/train is no folder"):
        check_params.main(params)
    list_layers.main(params_of("mine", [1], **OF_FILE), arch=None, networks=False)
    assert capsys.readouterr().out.startswith("mine with images of 32 pixels and unknown labels\n")
    images.with_name("tiny.dvc").touch()
    check_params.main(params)


def test_layers_are_listed_with_their_sizes(project, capsys):
    params = params_of("mine", [1], **OF_FILE)
    list_layers.main(params, arch=None, networks=False)
    before = capsys.readouterr().out
    assert "MB for 1,000 images" in before and "those in use: 1" in before
    assert before.splitlines()[0] == "mine with images of 32 pixels and 3 labels"
    check_params.main(params)
    download.main(params)
    capsys.readouterr()
    list_layers.main(params, arch=None, networks=False)
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading == "mine with images of 32 pixels and 3 labels"
    rows = [line.split() for line in lines]
    assert ["1", "0", "6", "1024", "1.0", "0.6"] in rows  # 6 * 1024 * 2 bytes * 51 images
    list_layers.main(parse_params(copy.deepcopy(TINY)), arch=None, networks=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["number", "filters", "positions", "depth", "MB", "for", "1,000", "images"]
    assert lines[-1] == "examined_layers takes numbers, in this order; those in use: 1, 2"
    list_layers.main(params, arch=None, networks=True)
    assert "resnet18" in capsys.readouterr().out.splitlines()
    with pytest.raises(InputError, match="--arch: 'min' is no row of archs in catalog.yaml; did you mean mine"):
        list_layers.main(params, arch="min", networks=False)
    pooled = params.model_copy(update={"features": FeatureKinds(pooled=True, streamed_layers=())})
    list_layers.main(pooled, arch="mine", networks=False)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["1", "0", "6", "1024", "1.0", "0.0"] in rows  # 6 * 2 bytes * 51 images


def test_check_params_refuses_before_anything_is_made(project):
    params = params_of("resnet18", ["layer1", "layer7"])
    with pytest.raises(InputError, match="no layer 'layer7'; did you mean layer"):
        check_params.main(params)
    held_out = parse_params(copy.deepcopy(TINY) | {"validation": {"images": 36, "seed": 0}})
    with pytest.raises(InputError, match="validation.images: is 36; must be below the number of training images, 36"):
        check_params.main(held_out)
    assert not Path("data/params_checked.txt").exists()


def test_stages_depend_on_networks_only_where_the_row_has_a_module(project):
    def listed(params: Params) -> str:
        check_params.main(params)
        return Path("data/module_code.txt").read_text(encoding="utf-8")

    own = params_of("mine", [1], **OF_FILE)
    before = listed(own)
    assert f"{hashlib.sha256(OWN.encode()).hexdigest()}  networks/mine.py\n" in before
    assert listed(params_of("vgg11", [])) == listed(params_of("resnet18", [])) == ""
    Path("networks/new.py").touch()
    new = f"{hashlib.sha256().hexdigest()}  networks/new.py\n"
    assert listed(own).replace(new, "") == before != listed(own)


def test_a_stage_whose_network_has_changed_since_check_params_ends(project):
    params = params_of("mine", [1], **OF_FILE)
    check_params.main(params)
    download.main(params)
    train_backbone.main(params, 0)
    Path("networks/mine.py").write_text(f"{OWN}# other\n", encoding="utf-8")
    for stage in (train_backbone, extract_features):
        with pytest.raises(InputError, match="^networks/ is not as check_params found it: networks/mine.py; run dvc"):
            stage.main(params, 0)
    list_layers.main(params, arch=None, networks=False)
    check_params.main(params)
    extract_features.main(params, 0)


def chain_params(images: str = "augmented", pooled: bool = False, streamed: tuple[int, ...] = ()) -> Params:
    values = copy.deepcopy(TINY) | {"features": {"pooled": pooled, "streamed_layers": [*streamed]}}
    values["archs"]["tiny"]["heads"]["images"] = images
    values["datasets"]["tiny"]["flip"] = False
    return parse_params(values)


def heads_and_matrices(params: Params) -> tuple[dict[int, np.ndarray], dict[int, LayerMatrices]]:
    for stage in (extract_features, train_heads, filter_matrices, dilute_filters, filter_images):
        stage.main(params, 0)
    files = Workspace(params)
    with files.read("heads", seed=0) as heads, files.read("matrices", seed=0) as matrices:
        found = {layer: read_layer(matrices, layer) for layer in (1, 2)}
        for of_layer in found.values():
            of_layer.splits.update(
                {name: replace(split, fields=split.fields[()]) for name, split in of_layer.splits.items()}
            )
        return {layer: read_head(heads, layer)[0] for layer in (1, 2)}, found


@pytest.mark.parametrize("images", ["augmented", "plain"])
@pytest.mark.parametrize("streamed", [(1,), (1, 2)])
def test_streamed_layers_store_nothing_and_give_what_stored_ones_do(images, streamed, project):
    params = chain_params(images)
    check_params.main(params)
    download.main(params)
    train_backbone.main(params, 0)
    weights, stored = heads_and_matrices(params)
    removed = pd.read_csv("metrics/dilution/seed0.csv")
    again, computed = heads_and_matrices(chain_params(images, streamed=streamed))
    for layer in (1, 2):
        with h5py.File(path_of("features", seed=0, layer=layer)) as file:
            assert ("features" in file["test"]) == (layer not in streamed)
            assert file["test/labels"].shape == (15,) and file["largest"].shape == (len(stored[layer].faded),)
        # Outputs are rounded to float16 where they are stored.
        assert again[layer] == pytest.approx(weights[layer], rel=2e-3, abs=2e-3 if images == "plain" else 0)
        for split, matrices in stored[layer].splits.items():
            scale = np.abs(matrices.fields).max()
            assert computed[layer].splits[split].fields == pytest.approx(matrices.fields, abs=4e-3 * scale)
        assert computed[layer].accuracies == pytest.approx(stored[layer].accuracies, abs=0.1)
    assert pd.read_csv("metrics/dilution/seed0.csv").shape == removed.shape


def test_pooled_features_are_means_over_positions(project):
    params = chain_params()
    check_params.main(params)
    download.main(params)
    train_backbone.main(params, 0)
    weights, _ = heads_and_matrices(params)
    with h5py.File(path_of("features", seed=0, layer=1)) as file:
        whole = file["test/features"][()].astype(np.float64) * file["scales"][()][:, None, None]
    assert weights[1].shape == (3, 4, 16)
    pooled = chain_params(pooled=True)
    weights, _ = heads_and_matrices(pooled)
    with h5py.File(path_of("features", seed=0, layer=1)) as file:
        means = file["test/features"][()] * file["scales"][()][:, None, None]
    assert weights[1].shape == (3, 4, 1) and means.shape == (15, 4, 1, 1)
    assert means[..., 0, 0] == pytest.approx(whole.mean((2, 3)), rel=2e-3, abs=1e-6)
    cluster_stats.main(pooled)
    figures.main(pooled)
    layers = pd.read_csv("metrics/layers.csv")
    assert layers["multiply_accumulates"].tolist() == [27 * 4 * 64 + 4 * 3, 27 * 4 * 64 + 36 * 6 * 16 + 6 * 3]
    assert figures.single_positions(pooled) == [1, 2] and figures.single_positions(params) == []
    with pytest.raises(InputError, match="is of another run: made with features.pooled True, where False"):
        train_heads.main(params, 0)


@pytest.mark.parametrize(
    ("mirror", "expected"), [("here/cifar", "{project}/here/cifar"), ("/there", "/there"), ("", None)]
)
def test_a_relative_mirror_is_the_projects_where_an_experiment_runs_in_a_copy(mirror, expected, tmp_path, monkeypatch):
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("DATASET_MIRROR", mirror)
    asked = []

    def load(name: str, row: object, folder: Path | None, downloads: Path) -> None:
        asked.append((folder and str(folder), str(downloads)))
        raise InputError("that is all")

    monkeypatch.setattr(download, "load_source", load)
    with pytest.raises(InputError, match="^that is all"):
        download.main(chain_params())
    # What is downloaded is the copy's own: two experiments may download at once.
    assert asked == [(expected and expected.format(project=tmp_path), "data/downloads")]


@pytest.mark.parametrize("fits", [True, False])
def test_features_that_do_not_fit_the_device_stay_in_their_files(fits, project, monkeypatch):
    params = chain_params("plain")
    check_params.main(params)
    download.main(params)
    train_backbone.main(params, 0)
    extract_features.main(params, 0)
    elsewhere = torch.device("meta")
    monkeypatch.setattr(of_sample, "free_memory", lambda device: 2**40 if fits else 1000)
    features, labels = of_sample.training_features(Workspace(params), params, 0, [1, 2], elsewhere)
    assert labels.device == elsewhere and features.on_device == fits
    assert {values.device.type for values in features._inputs.values()} == {"meta" if fits else "cpu"}
    index = torch.zeros(4, dtype=torch.int64)
    if not fits:
        features._scales = {layer: torch.ones(1) for layer in (1, 2)}
        rows = dict(features.rows(index, index.bool(), index))
        assert {layer: tuple(values.shape) for layer, values in rows.items()} == {1: (4, 64), 2: (4, 96)}


def test_dilution_says_how_much_memory_it_lacks(project, monkeypatch):
    params = chain_params()
    check_params.main(params)
    download.main(params)
    train_backbone.main(params, 0)
    heads_and_matrices(params)
    monkeypatch.setattr(dilute_filters, "main_memory", lambda: 1000)
    with pytest.raises(InputError, match=r"layer 2: dilution needs 0\.0 GB .* set features\.pooled: true, or dilute"):
        dilute_filters.main(params, 0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Params, Path]:
    """The second of two samples after all of its stages: bf16, augmented heads, heads trained anew."""
    folder = tmp_path_factory.mktemp("finished")
    values = copy.deepcopy(TINY) | {"seeds": [0, 1], "precision": "bf16"}
    values["dilution"] = {"other_layers": [], "retrain_heads": True}
    values["archs"]["tiny"]["heads"]["images"] = "augmented"
    params = parse_params(values)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the tests have, since bytes are compared
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SINGLEFILTER_DEVICE", "cpu")
        write_images()
        check_params.main(params)
        download.main(params)
        for stage in (train_backbone, extract_features, train_heads, filter_matrices, dilute_filters, filter_images):
            stage.main(params, 1)
    torch.set_num_threads(threads)
    return params, folder


def test_a_sample_is_trained_from_its_own_seed(finished, monkeypatch):
    params, folder = finished
    monkeypatch.chdir(folder)
    files = Workspace(params)
    with files.read("dataset") as file:
        data = read_dataset(file)
    network = new_network(data, params, 1)
    train(network, data, params, 1, CPU)
    with files.read("backbone", seed=1) as file:
        stored = read_network(file).state_dict()
    assert all(torch.equal(values, stored[name]) for name, values in network.state_dict().items())
    features, labels = of_sample.training_features(files, params, 1, [1, 2], CPU)
    expected = train_linear_layers(features, labels, 3, params, 1)
    with files.read("heads", seed=1) as file:
        assert all(np.array_equal(read_head(file, layer)[0], expected[layer].numpy()) for layer in (1, 2))


@pytest.mark.parametrize(("images", "moves"), [("augmented", (1, True)), ("plain", (0, False))])
def test_heads_see_images_that_are_moved_as_their_row_says_and_in_the_runs_precision(
    images, moves, finished, monkeypatch
):
    params, folder = finished
    monkeypatch.chdir(folder)
    arch = params.chosen_arch
    arch = arch.model_copy(update={"heads": arch.heads.model_copy(update={"images": images})})
    params = params.model_copy(update={"archs": {"tiny": arch}})
    features, _ = of_sample.training_features(Workspace(params), params, 1, [1, 2], CPU)
    assert (features.translation, features.flip) == moves
    still = torch.zeros(9, dtype=torch.bool), torch.zeros(9, 2, dtype=torch.int64)
    for _, rows in features.rows(torch.arange(9), *still):
        assert torch.equal(rows, rows.bfloat16().float()) == (images == "augmented")


def test_heads_that_are_trained_anew_are_measured_on_the_test_set(finished, monkeypatch):
    params, folder = finished
    monkeypatch.chdir(folder)
    files = Workspace(params)
    found = pd.read_csv("metrics/dilution/seed1.csv").query("kind == 'random_retrained'")["accuracy"]
    right = 15 * found  # of 15 test images
    assert right.tolist() == pytest.approx(right.round().tolist())
    features, labels = of_sample.training_features(files, params, 1, [2], CPU)
    (head,) = train_linear_layers(FiltersLeft(features, {0: torch.arange(6)}), labels, 3, params, 1).values()
    with of_sample.open_features(files, params, 1, 2, CPU) as stored:
        values, test_labels = stored.whole("test")
    outputs = torch.from_numpy(values * stored.scales[:, np.newaxis])
    assert found.iloc[0] == accuracy(outputs, torch.from_numpy(test_labels), head)


def test_the_images_of_filters_are_of_the_labels_that_they_stand_for_on_the_test_set(finished, monkeypatch):
    params, folder = finished
    monkeypatch.chdir(folder)
    find, images_per_label = filter_images.find_own_labels, []

    def own_labels(matrices: FilterMatrices) -> np.ndarray:
        images_per_label.append(matrices.images_per_label.tolist())
        return find(matrices)

    monkeypatch.setattr(filter_images, "find_own_labels", own_labels)
    filter_images.main(params, 1)
    assert images_per_label == [[5, 5, 5]] * 2  # of training images each label has 12
