"""The Python API: its examples, its agreement with the pipeline's own steps, and its refusals."""

import doctest
import inspect
import re
import runpy
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from matplotlib.text import Text
from torch import nn

import singlefilter
from singlefilter import notebook
from singlefilter.pipeline.errors import InputError
from singlefilter.training.augment import scale
from tests.hand_made_filters import clipped_filters
from tests.tiny_project import ROOT

pytestmark = pytest.mark.usefixtures("one_thread")


def test_what_the_functions_take_and_give_is_short_to_read():
    assert str(inspect.signature(singlefilter.find_clusters)).startswith("(matrices: 'FilterMatrices | ArrayLike', ")
    matrices = singlefilter.filter_matrices(torch.eye(2), [0, 1], torch.eye(2))
    assert repr(matrices) == "FilterMatrices(2 filters, 2 labels)"


def test_the_face_has_these_names_and_each_has_an_example():
    assert dir(singlefilter) == sorted(singlefilter.__all__)
    functions = [name for name in singlefilter.__all__ if name != "InputError"]
    assert all(getattr(singlefilter, name).__doc__.count(">>> ") for name in functions)
    assert singlefilter.InputError is InputError
    with pytest.raises(AttributeError, match="has no attribute 'find_cluster'; it has load_dataset, "):
        _ = singlefilter.find_cluster


def test_the_examples_give_what_they_say(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SINGLEFILTER_DEVICE", "cpu")
    found = doctest.testmod(notebook, optionflags=doctest.ELLIPSIS)
    assert found.attempted > 10 and found.failed == 0, capsys.readouterr().out


def test_importing_the_package_imports_no_torch():
    code = "import singlefilter, sys; print('torch' in sys.modules)"
    environment = {"PYTHONPATH": str(ROOT / "src")}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"


@pytest.fixture
def features() -> torch.Tensor:
    return torch.rand(60, 5, 2, 3, generator=torch.Generator().manual_seed(0))


LABELS = [0, 1, 2] * 20


def test_matrices_are_those_of_silenced_heads(features):
    weights = singlefilter.train_heads(features, LABELS, epochs=2)
    assert weights.shape == (3, 5, 6)
    matrices = singlefilter.filter_matrices(features, LABELS, weights)
    outputs = torch.einsum("nfs,kfs->nfk", features.flatten(2).double(), weights.double())
    for label in range(3):
        expected = outputs[label::3].sum(0).numpy()
        np.testing.assert_allclose(matrices.fields[:, label], expected, rtol=1e-5, atol=1e-6)
    linear = nn.Linear(30, 3, bias=False)
    linear.weight.data = weights.flatten(1)
    same = singlefilter.filter_matrices(features.flatten(2).numpy(), np.array(LABELS), linear.weight)
    np.testing.assert_array_equal(same.fields, matrices.fields)
    assert singlefilter.layer_statistics(matrices)["filters"] == 5
    assert len(singlefilter.find_clusters(matrices)) == 5


def test_a_head_depends_on_its_layers_number_or_name_and_not_on_the_heads_beside_it(features):
    def heads(of: object) -> object:
        return singlefilter.train_heads(of, LABELS, epochs=1)

    flat = features[:, :, 0, 0]  # (N, F)
    found = heads({1: features, np.int64(2): features, "late": flat})
    assert {layer: tuple(weights.shape) for layer, weights in found.items()} == {
        1: (3, 5, 6),
        2: (3, 5, 6),
        "late": (3, 5, 1),
    }
    assert torch.equal(found[1], heads(features)) and not torch.equal(found[1], found[2])
    assert torch.equal(found[2], heads({2: features})[2])
    assert torch.equal(found["late"], heads({"late": flat})["late"])


def test_a_modules_outputs_are_given_by_name_and_a_networks_by_number():
    images = np.random.default_rng(0).integers(256, size=(9, 8, 8, 3), dtype=np.uint8)
    network = singlefilter.train_backbone(images, [0, 1, 2] * 3, [4, "M", 6], epochs=1, translation=1)
    numbered = singlefilter.extract_features(network, images, [1, 2])
    named = singlefilter.extract_features(network, images, ["layers.1"])
    assert numbered[1].shape == (9, 4, 4, 4) and torch.equal(numbered[2], named["layers.1"])
    expected = network.layers[0](torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1)
    assert torch.allclose(numbered[1], expected, atol=1e-5)


def test_a_networks_images_must_have_its_size():
    images = np.zeros((3, 8, 8, 3), np.uint8)
    network = singlefilter.train_backbone(images, [0, 1, 2], [4, "M"], epochs=1, translation=1)
    needed = r"needed are uint8 \(N, 8, 8, 3\), or float \(N, 3, 8, 8\) in \[-1, 1\]$"
    for wrong, kind in [
        (images[:, :6, :6], r"uint8 \(3, 6, 6, 3\)"),
        (images.tolist(), r"int64 \(3, 8, 8, 3\)"),
        (np.zeros((3, 3, 8, 8), int), r"int64 \(3, 3, 8, 8\)"),
        (np.zeros((3, 8, 8, 3)), r"float64 \(3, 8, 8, 3\)"),
    ]:
        with pytest.raises(InputError, match=f"^images are {kind}; {needed}"):
            singlefilter.extract_features(network, wrong, [1])
    scaled = np.full((3, 3, 8, 8), -1.0)
    as_floats, as_pixels = (singlefilter.extract_features(network, given, [1])[1] for given in (scaled, images))
    assert torch.equal(as_floats, as_pixels)


def test_floats_beyond_the_range_of_training_are_refused_and_other_floats_taken():
    images = np.random.default_rng(0).integers(256, size=(3, 8, 8, 3), dtype=np.uint8)
    network = singlefilter.train_backbone(images, [0, 1, 2], [4, "M"], epochs=1, translation=1)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    with pytest.raises(InputError, match=r"^images hold \d+, where the network was trained on \[-1, 1\]; needed are"):
        singlefilter.extract_features(network, pixels.float(), [1])
    expected = singlefilter.extract_features(network, images, [1])[1]
    double = singlefilter.extract_features(network.double(), pixels.double() / 127.5 - 1, [1])[1]
    assert torch.allclose(double, expected, atol=1e-5)


def test_the_size_of_batches_counts_and_what_is_no_rate_is_named():
    images, labels = np.random.default_rng(0).integers(256, size=(8, 8, 8, 3), dtype=np.uint8), [0, 1] * 4
    one, other = (
        singlefilter.train_backbone(images, labels, [4, "M"], epochs=2, translation=1, batch_size=size)
        for size in (8, 4)
    )
    assert not torch.equal(one.layers[0][0].weight, other.layers[0][0].weight)
    allowed = "allowed are images, labels, .*, verbose, learning_rate, momentum, weight_decay, batch_size$"
    for name, meant in [("learn_rate", "learning_rate"), ("epoch", "epochs")]:
        with pytest.raises(InputError, match=rf"^{name}: is no argument; did you mean {meant}\? {allowed}"):
            singlefilter.train_backbone(images, labels, **{name: 1})
    with pytest.raises(InputError, match="^images: is no argument; allowed are features, labels, epochs, seed, verb"):
        singlefilter.train_heads(np.eye(4), [0, 1, 0, 1], images="plain")


def test_training_a_network_leaves_the_generator_as_it_was():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    singlefilter.train_backbone(np.zeros((2, 8, 8, 3), np.uint8), [0, 1], [2, "M"], epochs=1)
    assert torch.equal(torch.rand(3), expected)


class ImagesSecond(nn.Module):
    """A transformer's layer on tokens before images, (T, N, E), and the sum of what it puts out."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.total = nn.TransformerEncoderLayer(4, 2, 8), nn.Identity()

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.total(self.encoder(values.movedim(1, 0)).sum())


@pytest.mark.parametrize("error", [AssertionError("Wrong height!\nmore"), KeyError("tokens"), ValueError()])
def test_what_a_module_raises_is_named(error):
    class Fails(nn.ReLU):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            raise error

    said = {AssertionError: "AssertionError: Wrong height!", KeyError: "KeyError: 'tokens'", ValueError: "ValueError: "}
    with pytest.raises(InputError) as raised:
        singlefilter.extract_features(nn.Sequential(Fails()), torch.zeros(2, 3), ["0"])
    expected = f"the network fails on images that are float32 (2, 3) ({said[type(error)]}); needed are "
    assert str(raised.value).startswith(expected)


def test_without_a_test_set_nothing_is_measured(monkeypatch, capsys):
    def refused(*_: object) -> float:
        raise AssertionError("measured")

    images = np.zeros((4, 8, 8, 3), np.uint8)
    arguments = {"convolutions": [2, "M"], "epochs": 1, "translation": 1, "verbose": True}
    singlefilter.train_backbone(images, [0, 1, 0, 1], **arguments, test=(images, [1, 1, 1, 1]))
    assert re.search(r"on the test set [01]\.000", capsys.readouterr().out)
    monkeypatch.setattr("singlefilter.backbone.train.evaluate", refused)
    singlefilter.train_backbone(images, [0, 1, 0, 1], **arguments)
    printed = capsys.readouterr().out
    assert "accuracy" in printed and "test set" not in printed


@pytest.mark.parametrize("images", [20, 250])
@pytest.mark.parametrize(("layer", "kind"), [("encoder", r"float32 \(7, 4, {}\)"), ("total", r"float32 \(\)")])
def test_a_layer_whose_outputs_are_not_those_of_each_image_is_refused(layer, kind, images):
    in_a_pass = min(images, 200)
    puts_out = (
        rf"^layers: '{layer}' puts out {kind.format(in_a_pass)} for {in_a_pass} images; needed is \({in_a_pass}, F, …\)"
    )
    with pytest.raises(InputError, match=puts_out):
        singlefilter.extract_features(ImagesSecond(), torch.rand(images, 7, 4), [layer])


def test_extracting_features_leaves_the_images_and_the_modes_of_the_module_as_they_were():
    network = nn.Sequential(nn.ReLU(inplace=True), nn.Dropout().eval(), nn.BatchNorm1d(3))
    images = -np.ones((2, 3), np.float32)
    assert singlefilter.extract_features(network, images, ["0"])["0"].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert images.tolist() == [[-1, -1, -1], [-1, -1, -1]]
    with pytest.raises(InputError, match="^the network fails on images"):
        singlefilter.extract_features(network, images[:, :2], ["0"])
    assert [module.training for module in network.modules()] == [True, True, False, True]


def test_extracting_features_leaves_the_module_on_its_device(monkeypatch):
    places = []

    class Recorder(nn.Linear):
        def to(self, device):
            places.append(device)
            return self

    there = torch.device("cpu:0")
    monkeypatch.setattr(notebook, "chosen_device", lambda: there)
    singlefilter.extract_features(Recorder(3, 2), np.ones((2, 3), np.float32), [""])
    assert places == [there, torch.device("cpu")]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_pixels_are_passed_in_the_modules_own_precision(dtype):
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU()).to(dtype)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 6, 3), np.uint8)
    expected = network(scale(torch.from_numpy(pixels)).to(dtype)).float()
    torch.testing.assert_close(singlefilter.extract_features(network, pixels, ["1"])["1"], expected)


def test_clusters_of_hand_made_filters():
    found = singlefilter.find_clusters(clipped_filters().astype(float), threshold=0.5)
    assert found[0] == ((0, 1),)


def test_a_module_that_the_network_does_not_use_is_named():
    network = nn.Sequential(nn.Linear(3, 2))
    network.spare = nn.Identity()
    network.forward = lambda values: network[0](values)
    with pytest.raises(InputError, match="layers: the network does not use its module 'spare'"):
        singlefilter.extract_features(network, torch.zeros(2, 3), ["spare"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rate": -1}, "^learning_rate: is -1; must be greater than or equal to 0$"),
        ({"rate": 1}, r"^rate: is no argument; allowed are images, labels"),
        ({"convolutions": ["M", 4]}, "^convolutions: begins with the pool M"),
        ({"convolutions": [4, "X"]}, '^convolutions.1: is "X"; must be a number of filters'),
        ({"translation": 9}, "^translation: is 9; it must be below image_size, 8$"),
        ({"seed": -1}, "^seed: is -1; must be greater"),
        (
            {"test": (np.zeros((1, 4, 4, 3), np.uint8), [0])},
            r"^test: its images are \(4, 4, 3\); those of the training",
        ),
        ({"test": (np.zeros((1, 8, 8, 3), np.uint8), [3])}, "^test: has label 3; those of the training go up to 2$"),
        ({"test": 5}, r"^test: is of type int; needed are \(images, labels\), or a split such as data.test$"),
        ({"convolutions": 5}, r"^convolutions: is 5; a list is needed, such as \[5\]$"),
        (
            {"convolutions": nn.Sequential(nn.Flatten(), nn.Linear(3, 2))},
            "^convolutions: is a module, Sequential; a list is needed; train it yourself, for extract_features$",
        ),
        ({"epochs": 0}, "^epochs: is 0; allowed are whole numbers from 1 to 2,000$"),
        ({"epochs": 1.5}, "^epochs: is 1.5; allowed are whole"),
        ({"learning_rate": 1e30, "epochs": 2}, "^training has diverged in epoch 2 at"),
    ],
)
def test_errors_name_the_functions_arguments_and_no_keys_of_files(arguments, message):
    images = np.full((6, 8, 8, 3), 7, np.uint8)
    with pytest.raises(InputError, match=message):
        singlefilter.train_backbone(images, [0, 1, 2] * 2, **({"convolutions": [4], "epochs": 1} | arguments))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: singlefilter.train_backbone(np.zeros((2, 3, 8, 8), np.uint8), [0, 1]), r"images are uint8 \(2, 3, 8"),
        (lambda: singlefilter.train_backbone(np.zeros((2, 8, 8, 3), np.uint8), [0]), "images has 2 images, and labels"),
        (
            lambda: singlefilter.train_heads(torch.zeros(4), [0, 1, 0, 1]),
            r"features are float32 \(4,\); needed for 4 labels",
        ),
        (lambda: singlefilter.train_heads(torch.zeros(4, 2), [0.5] * 4), "needed are whole numbers"),
        (lambda: singlefilter.train_heads(torch.zeros(4, 2), [0, 1]), "needed for 2 labels are"),
        (
            lambda: singlefilter.filter_matrices(torch.zeros(2, 5), [0, 1], torch.zeros(3, 4)),
            r"weights have shape \(3, 4\); features of 5 filters and 1 positions need \(K, 5, 1\)",
        ),
        (lambda: singlefilter.filter_matrices(torch.zeros(2, 5), [0, 3], torch.zeros(3, 5)), "labels go up to 3"),
        (lambda: singlefilter.train_heads(torch.tensor([[1.0], [torch.nan]]), [0, 1]), "features hold NaN or infinite"),
        (
            lambda: singlefilter.filter_matrices(torch.eye(2), [0, 1], torch.tensor([[0, torch.inf], [1, 1]])),
            "weights hold NaN or infinite values; needed are numbers",
        ),
        (lambda: singlefilter.find_clusters(np.zeros((2, 3))), r"fields have shape \(1, 2, 3\)"),
        (lambda: singlefilter.find_clusters(np.zeros((0, 3, 3))), r"fields have shape \(0, 3, 3\)"),
        (lambda: singlefilter.find_clusters([[1, 2], [3]]), "fields cannot be read as numbers"),
        (lambda: singlefilter.find_clusters([[1, np.nan], [0, 1]]), "^fields hold NaN or infinite values; needed are"),
        (
            lambda: singlefilter.filter_matrices({3: torch.rand(2, 3)}, [0, 1], torch.rand(2, 3)),
            r"^features: is a mapping; needed is one of its values, such as features\[3\]: floating-point",
        ),
        (
            lambda: singlefilter.filter_matrices(
                torch.full((2, 3), 1e39, dtype=torch.double), [0, 1], torch.rand(2, 3)
            ),
            "^features hold NaN or infinite values, or such as float32 does not hold; look at",
        ),
        (
            lambda: singlefilter.load_dataset(None),
            "^source: 'None' is no folder, and none of digits, cifar10, cifar100",
        ),
        (lambda: singlefilter.load_dataset(__file__), r"^source: '.*test_notebook\.py' is no folder, and none of"),
        (
            lambda: singlefilter.extract_features(abs, torch.rand(2, 3), ["0"]),
            "^network: is a builtin_function_or_method; needed is a torch.nn.Module",
        ),
        (
            lambda: singlefilter.train_heads(torch.zeros(4, 0), [0, 1, 0, 1]),
            r"features are float32 \(4, 0\); needed for 4 labels",
        ),
        (
            lambda: singlefilter.load_dataset("digits", image_size=2),
            "image_size: is 2; allowed are whole numbers from 4 to 1,024",
        ),
        (lambda: singlefilter.load_dataset("tests", image_size=8.0), "image_size: is 8.0; allowed are whole numbers"),
        (lambda: singlefilter.load_dataset("tests", image_size="8"), "image_size: is '8'; allowed are whole numbers"),
        (lambda: singlefilter.load_dataset("tests", image_size=-3), "image_size: is -3; allowed are whole numbers"),
        (lambda: singlefilter.load_dataset("tests", image_size=10**6), "image_size: is 1000000; allowed are whole"),
        (
            lambda: singlefilter.load_dataset("cifar10", mirror="/nonexistent"),
            "^mirror: /nonexistent is no folder; name one, or unset it to download cifar10$",
        ),
        (
            lambda: singlefilter.load_dataset("cifar10", image_size=64),
            "image_size: is 64; the images of cifar10 have 32",
        ),
        (lambda: singlefilter.extract_features(nn.ReLU(), torch.zeros(0, 3), [""]), "needed is at least one"),
        (lambda: singlefilter.plot_filter(np.eye(2), threshold=2), "threshold: is 2; allowed are numbers"),
        (lambda: singlefilter.plot_filter(np.eye(2), index=1), "index: is 1; allowed are whole numbers from 0 to 0"),
        (lambda: singlefilter.show_filter(np.eye(2), 0.5), "index: is 0.5; allowed are whole numbers from 0 to 0"),
        (lambda: singlefilter.train_heads([[1.0], [1.0, 2.0]], [0, 1]), "features cannot be read as numbers"),
        (lambda: singlefilter.filter_matrices(np.eye(2), [0, 1], [[1.0], [1.0, 2.0]]), "weights cannot be read as"),
        (lambda: singlefilter.plot_filter(-np.eye(2)), "filter 0 has no positive field"),
        (lambda: singlefilter.plot_filter(np.eye(2), class_names=["cat"]), "class_names: has 1 names; needed are 2"),
        (lambda: singlefilter.show_filter(np.eye(2), index=-1), "index: is -1; allowed are whole numbers from 0 to 0"),
        (lambda: singlefilter.show_filter(np.eye(2), class_names=["cat"]), "class_names: has 1 names; needed are 2"),
        (lambda: singlefilter.show_filter(np.eye(2), threshold=0), "threshold: is 0; allowed are numbers"),
        (
            lambda: singlefilter.show_filter(np.eye(2), train=np.eye(3)),
            r"train: has shape \(1, 3, 3\); needed is \(1, 2, 2\)",
        ),
        (
            lambda: singlefilter.extract_features(nn.Linear(1, 1), torch.zeros(1, 1), ["2"]),
            "no module '2'; it has none",
        ),
        (
            lambda: singlefilter.extract_features(nn.Sequential(nn.ReLU(), nn.ReLU()), torch.zeros(2, 3), [1]),
            "no module 1; it has '0', '1'",
        ),
        (
            lambda: singlefilter.load_dataset("digit"),
            "source: 'digit' is no folder, and none of digits, cifar10",
        ),
        (
            lambda: singlefilter.find_clusters(np.eye(2), threshold=1.2),
            "threshold: is 1.2; allowed are numbers",
        ),
        (lambda: singlefilter.train_heads(torch.rand(2, 3), ["cat", "dog"]), "labels cannot be read as numbers"),
        *(
            (lambda labels=labels: singlefilter.train_heads(torch.rand(2, 3), labels), "labels cannot be read as")
            for labels in (None, [0, None], (label for label in [0, 1]), {}, [0, pd.NA])
        ),
        (lambda: singlefilter.train_heads(torch.rand(2, 3), [0, 65_535]), "whole numbers from 0 to 65,534"),
        (lambda: singlefilter.train_heads(torch.rand(2, 3), [0, 2**40]), "whole numbers from 0 to 65,534"),
        (lambda: singlefilter.train_heads({-1: torch.rand(2, 3)}, [0, 1]), "number of a layer: is -1; allowed are"),
        (lambda: singlefilter.train_heads({None: torch.rand(2, 3)}, [0, 1]), "number of a layer: is None; allowed are"),
        (
            lambda: singlefilter.filter_matrices(torch.rand(60, 4, 2, 2), LABELS, torch.rand(3, 2, 2, 4)),
            r"weights have shape \(3, 2, 2, 4\); features of 4 filters and 4 positions need \(K, 4, 4\)",
        ),
        (
            lambda: singlefilter.filter_matrices(torch.rand(60, 6), LABELS, torch.zeros(0, 6)),
            r"weights have shape \(0, 6\); features of 6 filters",
        ),
        *(
            (
                lambda show=show, it=it: show(np.eye(2), threshold=it),
                re.escape(f"threshold: is {it!r}; allowed are numbers above"),
            )
            for show in (singlefilter.find_clusters, singlefilter.plot_filter, singlefilter.show_filter)
            for it in (None, "most", [0.3])
        ),
        (lambda: singlefilter.plot_filter(np.eye(2), class_names=5), "class_names: is 5; a list is needed"),
        (
            lambda: singlefilter.train_backbone([[0], [0, 1]], [0, 1]),
            r"images cannot be read as numbers \(.*\); needed are uint8 \(N, H, W, 3\) with H = W",
        ),
        (lambda: singlefilter.train_backbone(torch.rand(2, 8, 8, 3, requires_grad=True), [0, 1]), "images are float32"),
        (
            lambda: singlefilter.extract_features(nn.ReLU(), torch.zeros(2, 3), 1),
            r"layers: is 1; a list is needed, such",
        ),
        (
            lambda: singlefilter.extract_features(nn.ReLU(), torch.zeros(2, 3), [["0"]]),
            r"no module \['0'\]; it has none",
        ),
        (
            lambda: singlefilter.extract_features(nn.Sequential(nn.Conv2d(3, 2, 3)), [[[[0] * 3] * 8] * 8] * 2, ["0"]),
            r"^the network fails on images that are int64 \(2, 8, 8, 3\) \(.*\); needed are uint8 \(N, H, W, 3\), or ",
        ),
        (
            lambda: singlefilter.extract_features(nn.Sequential(nn.ReLU()), torch.zeros(2, 3), "0"),
            r"layers: is '0'; a list is needed, such as \['0'\]",
        ),
        (
            lambda: singlefilter.extract_features(nn.Sequential(nn.ReLU()), np.zeros((4, 8, 8), np.uint8), ["0"]),
            r"images are uint8 \(4, 8, 8\); needed are uint8 \(N, H, W, 3\)",
        ),
    ],
)
def test_what_does_not_fit_is_said_with_its_shape_and_the_expected_one(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_the_script_about_any_network_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SINGLEFILTER_DEVICE", "cpu")
    runpy.run_path(str(ROOT / "docs/any_network.py"))
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in printed] == ["layer1", "layer3"]
    assert (tmp_path / "filter.png").stat().st_size > 10_000


def test_features_of_a_transformer_have_the_dimensions_of_the_embedding_first():
    network = torchvision.models.VisionTransformer(16, 8, 1, 2, 6, 12, num_classes=3).eval()
    images = np.random.default_rng(0).integers(256, size=(4, 16, 16, 3), dtype=np.uint8)
    found = singlefilter.extract_features(network, images, ["encoder.ln", "conv_proj"])
    assert found["encoder.ln"].shape == (4, 6, 5) and found["conv_proj"].shape == (4, 6, 2, 2)


def test_features_are_those_before_a_layer_that_changes_them_in_place():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True))
    images = torch.randn(5, 3, 6, 6)
    found = singlefilter.extract_features(network, images, ["0"])["0"]
    assert found.min() < 0 and torch.equal(found, network[0](images))


def test_the_example_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SINGLEFILTER_DEVICE", "cpu")
    example = (ROOT / "README.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    exec(example, {})
    assert (tmp_path / "filter.png").stat().st_size > 1000 and "[(" in capsys.readouterr().out


def test_views_and_types_of_numbers_that_are_not_usual_are_taken():
    images = np.random.default_rng(0).integers(256, size=(4, 8, 8, 3), dtype=np.uint8)
    mirrored = images[..., ::-1]
    network = singlefilter.train_backbone(mirrored, np.array([0, 1, 0, 1], np.uint16), [2, "M"], epochs=1, flip=False)
    found = singlefilter.extract_features(network, mirrored, [1])[1]
    assert torch.equal(found, singlefilter.extract_features(network, mirrored.copy(), [1])[1])
    values, labels, weights = np.eye(4, dtype=np.float32)[:, ::-1], np.array([1, 1, 0, 0])[::-1], np.ones((2, 4))[::-1]
    expected = singlefilter.filter_matrices(values.copy(), labels.copy(), weights.copy()).fields
    assert np.array_equal(singlefilter.filter_matrices(values, labels, weights).fields, expected)
    for index in (1, np.int64(1), torch.tensor(1)):
        texts = singlefilter.plot_filter(np.stack([np.eye(2)] * 2), index).findobj(Text)
        assert any("filter 1" in text.get_text() for text in texts)
    double = np.random.default_rng(0).random((4, 3))
    network = nn.Sequential(nn.Linear(3, 2))
    expected = network(torch.as_tensor(double).float())
    assert torch.equal(singlefilter.extract_features(network, double, ["0"])["0"], expected.detach())


def test_features_and_class_names_may_be_of_other_types():
    values, labels = torch.eye(4).repeat(2, 1), torch.arange(4).repeat(2) // 2
    weights = torch.rand(2, 4, 1)
    assert np.array_equal(
        singlefilter.filter_matrices(values.bfloat16(), labels, weights).fields,
        singlefilter.filter_matrices(values, labels, weights).fields,
    )
    expected = singlefilter.show_filter(np.eye(2), class_names=["0", "1"]).html
    for names in ([0, 1], np.arange(2)):
        assert singlefilter.show_filter(np.eye(2), class_names=names).html == expected
        assert singlefilter.plot_filter(np.eye(2), class_names=names).axes


def test_tables_and_sparse_tensors_are_taken():
    values, labels = np.random.default_rng(0).random((8, 3)), np.array([0, 1] * 4)
    weights = np.array([[1.0, 0, 2], [0, 3, 0]])
    expected = singlefilter.filter_matrices(values, labels, weights).fields
    column = pd.Series([2, 2, 0, 1, 0, 1, 0, 1, 0, 1])[2:]  # its index begins with 2
    for given in (column, column.astype("Int64")):
        found = singlefilter.filter_matrices(pd.DataFrame(values), given, torch.tensor(weights).to_sparse())
        assert np.array_equal(found.fields, expected)
    image = pd.DataFrame(values, index=range(8, 16))
    assert torch.equal(
        singlefilter.extract_features(nn.ReLU(), image, [""])[""],
        singlefilter.extract_features(nn.ReLU(), values, [""])[""],
    )
    learnt = torch.eye(2).requires_grad_()
    assert singlefilter.find_clusters(learnt) == [((0,), (1,))]


def test_numbers_of_other_types_are_taken():
    fields = [[1.0, 0.4], [0.4, 1.0]]
    page, both = singlefilter.show_filter(fields, threshold=0.5).html, [((0,), (1,))]
    for threshold in (np.float32(0.5), torch.tensor(0.5), np.array(0.5)):
        assert singlefilter.show_filter(fields, threshold=threshold).html == page
        assert singlefilter.find_clusters(fields, threshold) == both
        assert singlefilter.plot_filter(fields, threshold=threshold).axes
    images = np.zeros((2, 8, 8, 3), np.uint8)
    network = singlefilter.train_backbone(images, [0, 1], (size for size in [2, "M"]), epochs=1)
    for layers in ([np.int64(1)], (layer for layer in [1]), torch.tensor([1]), {1: "first"}):
        assert singlefilter.extract_features(network, images, layers)[1].shape == (2, 2, 4, 4)
    assert singlefilter.load_dataset("digits", np.int64(16)).test.images.shape == (300, 16, 16, 3)


def test_the_threshold_that_is_given_clips():
    fields = [[1.0, 0.5], [0.5, 1.0]]
    assert singlefilter.find_clusters(fields, threshold=0.6) == [((0,), (1,))]
    assert singlefilter.layer_statistics(fields, threshold=0.6)["clusters"] == 2


def test_the_training_gets_what_it_is_asked_for(monkeypatch):
    seen, images = [], np.zeros((4, 8, 8, 3), dtype=np.uint8)
    monkeypatch.setattr(
        notebook, "train", lambda network, data, params, seed, device: seen.append((data, params, seed))
    )
    options = {"translation": 3, "precision": "bf16", "seed": 5, "test": (images[:1], [1])}
    singlefilter.train_backbone(images, [0, 1, 0, 1], [2, "M"], epochs=10, **options)
    ((data, params, seed),) = seen
    rates, row = params.chosen_arch.backbone.convolutional_rates, params.chosen_dataset
    assert [params.rate(rates, epoch) for epoch in range(10)] == pytest.approx(
        [0.028 * 0.6**fall for fall in range(10)]
    )
    assert (row.flip, row.translation, params.precision, seed) == (True, 3, "bf16", 5)
    assert data.test.labels.tolist() == [1]
    singlefilter.train_backbone(images, [0, 1, 0, 1], [2, "M"], epochs=10, **options | {"test": data.test})
    assert seen[1][0].test.labels.tolist() == [1]
