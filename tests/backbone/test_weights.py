"""Weights from files and from torch's hub, with a stand-in for the download."""

import hashlib
import re
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from singlefilter.backbone.any_network import AnyNetwork
from singlefilter.backbone.weights import load_weights
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Backbone, Rates, WeightsFile


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def network(weights: object = None, labels: int = 10, name: str = "squeezenet1_1") -> AnyNetwork:
    row = Backbone(torchvision=name, weights=weights, convolutional_rates=Rates(learning_rate=0.1))
    return AnyNetwork(row, labels, 32)


def loaded(weights: object, labels: int = 10, name: str = "squeezenet1_1") -> AnyNetwork:
    built = network(weights, labels, name)
    load_weights(built)
    return built


def refusal(weights: object, name: str = "squeezenet1_1") -> str:
    with pytest.raises(InputError) as caught:
        loaded(weights, name=name)
    return str(caught.value)


@pytest.fixture
def saved(tmp_path) -> tuple[nn.Module, Path]:
    """A network of ten labels, and the file of its state dict."""
    torch.manual_seed(3)
    made = torchvision.models.squeezenet1_1(num_classes=10)
    torch.save(made.state_dict(), tmp_path / "weights.pt")
    return made, tmp_path / "weights.pt"


def test_a_file_gives_all_weights(saved):
    made, path = saved
    found = loaded({"file": str(path), "sha256": digest(path)}).module.state_dict()
    assert all(torch.equal(values, found[name]) for name, values in made.state_dict().items())


def test_a_file_is_the_projects_where_an_experiment_runs_in_a_copy(saved, tmp_path, monkeypatch):
    made, path = saved
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    found = loaded({"file": path.name, "sha256": digest(path)}).module.state_dict()
    assert all(torch.equal(values, found[name]) for name, values in made.state_dict().items())
    (tmp_path / "copy" / path.name).write_bytes(b"what the copy has counts")
    assert "has the SHA-256" in refusal({"file": path.name, "sha256": digest(path)})
    assert f"{tmp_path / 'other.pt'} is missing" in refusal({"file": "other.pt", "sha256": digest(path)})


@pytest.mark.parametrize("value", [torch.nan, -torch.inf])
def test_weights_that_are_no_numbers_are_refused(value, saved):
    made, path = saved
    state = made.state_dict()
    state["features.3.squeeze.bias"][1] = value
    torch.save(state, path)
    told = refusal({"file": str(path), "sha256": digest(path)})
    assert told.startswith(f"weights: features.3.squeeze.bias in {path} holds NaN or infinite values; ")


def test_infinite_values_may_be_meant_where_nothing_is_trained_and_nan_nowhere(saved):
    made, path = saved
    for name, values in (("features.3.squeeze.bias", -torch.inf), ("features.4.squeeze.bias", torch.nan)):
        state = made.state_dict()
        state[name][1] = values
        torch.save(state, path)
        built = network({"file": str(path), "sha256": digest(path)})
        built.module.requires_grad_(False)
        if values == -torch.inf:
            load_weights(built)
        else:
            with pytest.raises(InputError, match=f"weights: {name} in .* holds NaN"):
                load_weights(built)


def test_an_output_layer_of_other_labels_stays_as_drawn(saved):
    made, path = saved
    torch.manual_seed(5)
    drawn = network(labels=4).output_layer.weight
    torch.manual_seed(5)
    found = loaded(WeightsFile(file=str(path), sha256=digest(path)), labels=4)
    assert torch.equal(found.output_layer.weight, drawn) and drawn.shape[0] == 4
    assert torch.equal(found.module.features[0].weight, made.features[0].weight)


def test_a_state_dict_within_a_checkpoint_is_found(saved, tmp_path):
    made, _ = saved
    torch.save({"epoch": 3, "state_dict": made.state_dict()}, tmp_path / "checkpoint.pt")
    path = tmp_path / "checkpoint.pt"
    found = loaded({"file": str(path), "sha256": digest(path)})
    assert torch.equal(found.module.features[0].weight, made.features[0].weight)


def test_wrong_files_are_refused(saved, tmp_path):
    _, path = saved
    wrong = refusal({"file": str(path), "sha256": "0" * 64})
    assert f"has the SHA-256 {digest(path)}, where {'0' * 64} is expected" in wrong
    assert "is missing" in refusal({"file": str(tmp_path / "none.pt"), "sha256": "0" * 64})
    other = refusal({"file": str(path), "sha256": digest(path)}, name="resnet18")
    assert "is of another network than resnet18: conv1.weight is missing, bn1.weight is missing, " in other
    text = tmp_path / "text.pt"
    text.write_text("no weights")
    assert "is no file of tensors alone; write it with torch.save(" in refusal(
        {"file": str(text), "sha256": digest(text)}
    )
    torch.save(torchvision.models.squeezenet1_1(), text)
    assert "is no file of tensors alone" in refusal({"file": str(text), "sha256": digest(text)})
    torch.save([1, 2], text)
    assert "is no state dict" in refusal({"file": str(text), "sha256": digest(text)})
    narrow = {**torchvision.models.squeezenet1_1(num_classes=10).state_dict(), "features.0.weight": torch.zeros(1)}
    torch.save(narrow, text)
    assert (
        "than squeezenet1_1: size mismatch for features.0.weight: copying a param with shape torch.Size([1])"
        in refusal({"file": str(text), "sha256": digest(text)})
    )


@pytest.mark.parametrize("text", [b"hello world\n", b"h\x01.", b"\x80\x02X\x01\0\0\0\xff.", b"t."])
def test_files_of_something_else_are_refused(text, tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(text)
    assert refusal(told_of(path)).startswith(f"weights: {path} is no file of tensors alone; write it with torch.save(")


@pytest.mark.parametrize("broken", [b"a.", b"h\x07.", b"X\x01\0\0\0\xff.", b"K\x01Q."])
def test_a_file_of_pytorch_with_a_broken_pickle_is_refused(broken, saved):
    _, path = saved
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in entries.items():
            archive.writestr(name, b"\x80\x02" + broken if name.endswith("data.pkl") else values)
    assert refusal(told_of(path)).startswith(f"weights: {path} is no file of tensors alone; write it with torch.save(")


def with_versions(versions: object) -> OrderedDict:
    state = OrderedDict(weight=torch.zeros(1))
    state._metadata = versions
    return state


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize(
    "state",
    [
        {1: torch.zeros(1)},
        {None: torch.zeros(1)},
        with_versions(3),
        with_versions([]),
        with_versions({"": 3}),
    ],
)
def test_what_is_no_state_dict_is_refused(state, within, tmp_path):
    weights = saved_weights({"state_dict": state} if within else state, tmp_path)
    assert refusal(weights) == (
        f"weights: {weights['file']} is no state dict; torch.save(network.state_dict(), …) writes one"
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.eye(2).to_sparse(),
        lambda: torch.nested.nested_tensor([torch.zeros(1), torch.zeros(2)]),
        lambda: torch.nested.nested_tensor([torch.zeros(1), torch.zeros(2)], layout=torch.jagged),
    ],
    ids=["sparse", "nested", "jagged"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of PyTorch: that these are not finished
def test_tensors_that_are_not_dense_are_refused(make, tmp_path):
    assert "weights.pt is no state dict; torch.save(" in refusal(saved_weights({"features.0.weight": make()}, tmp_path))


def test_odd_versions_of_modules_are_refused(tmp_path):
    state = torchvision.models.resnet18(num_classes=10).state_dict()
    state._metadata["bn1"] = {"version": "one"}
    told = refusal(saved_weights(state, tmp_path), name="resnet18")
    assert "is of another network than resnet18: '<' not supported between instances of 'str' and 'int'" in told


def test_published_weights_come_from_the_hub_once_and_are_checked_by_their_name(saved, tmp_path, monkeypatch):
    made, path = saved
    torch.save(torchvision.models.squeezenet1_1().state_dict(), path)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    asked: list[str] = []
    row = next(iter(torchvision.models.get_model_weights("squeezenet1_1")))
    address = f"https://example.org/squeezenet-{digest(path)[:8]}.pth"

    class Published:
        name, url = row.name, address

    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda name: [Published])

    def download(url: str, target: str, hash_prefix: str, progress: bool) -> None:
        asked.append(url)
        assert hash_prefix == digest(path)[:8]
        Path(target).write_bytes(path.read_bytes())

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    expected = torch.load(path, weights_only=True)["features.0.weight"]
    for _ in range(2):
        assert torch.equal(loaded("IMAGENET1K_V1").module.features[0].weight, expected)
    assert asked == [address]
    (tmp_path / "hub/checkpoints" / address.rpartition("/")[2]).write_bytes(b"damaged")
    assert refusal("IMAGENET1K_V1").endswith("is expected; remove it, and it is downloaded again")


def test_names_that_are_not_published_are_refused(tmp_path, monkeypatch):
    assert "'IMAGENET1K_V9' is not published for squeezenet1_1; allowed are random, IMAGENET1K_V1" in refusal(
        "IMAGENET1K_V9"
    )
    assert "were trained with further outputs" in refusal_at("googlenet", 32)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def fail(*arguments: object, **options: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    told = refusal("IMAGENET1K_V1")
    assert "cannot be downloaded (no network); put it at " in told and str(tmp_path) in told


def refusal_at(name: str, size: int) -> str:
    row = Backbone(torchvision=name, weights="IMAGENET1K_V1", convolutional_rates=Rates(learning_rate=0.1))
    built = AnyNetwork(row, 10, size)
    with pytest.raises(InputError) as caught:
        load_weights(built)
    return str(caught.value)


def test_random_asks_for_nothing():
    torch.manual_seed(1)
    before = network().module.state_dict()
    torch.manual_seed(1)
    after = loaded("random").module.state_dict()
    assert all(torch.equal(values, after[name]) for name, values in before.items())


def test_files_that_earlier_versions_have_written_are_taken(tmp_path):
    torch.manual_seed(3)
    made = torchvision.models.resnet18(num_classes=10).state_dict()
    old = {name: values for name, values in made.items() if not name.endswith("num_batches_tracked")}
    assert len(old) == len(made) - 20
    found = loaded(saved_weights(old, tmp_path), name="resnet18").module
    assert all(torch.equal(found.state_dict()[name], values) for name, values in old.items())
    made = torchvision.models.mnasnet0_5(num_classes=10).state_dict()  # whose modules ask for their version
    found = loaded(saved_weights(made, tmp_path), name="mnasnet0_5").module
    assert torch.equal(found.state_dict()["layers.0.weight"], made["layers.0.weight"])
    told = refusal(saved_weights(dict(made), tmp_path), name="mnasnet0_5")
    assert "is of another network than mnasnet0_5: version should be set to 1 or 2" in told


def test_the_names_in_published_files_of_densenets_are_brought_up_to_date(tmp_path, monkeypatch):
    def small_densenet(*_: object, num_classes: int, weights: None = None) -> nn.Module:
        return torchvision.models.DenseNet(4, (2,), 8, num_classes=num_classes)

    made = small_densenet(num_classes=10).state_dict()
    old = {re.sub(r"(norm|conv)([12])\.", r"\1.\2.", name): values for name, values in made.items()}
    assert "features.denseblock1.denselayer2.norm.1.weight" in old
    monkeypatch.setattr(torchvision.models, "get_model", small_densenet)
    found = loaded(saved_weights(old, tmp_path), name="densenet121").module
    assert all(torch.equal(found.state_dict()[name], values) for name, values in made.items())


def saved_weights(state: dict, folder: Path) -> dict[str, str]:
    """Write a state dict; give what a row says of it."""
    path = folder / "weights.pt"
    torch.save(state, path)
    return told_of(path)


def told_of(path: Path) -> dict[str, str]:
    return {"file": str(path), "sha256": digest(path)}
