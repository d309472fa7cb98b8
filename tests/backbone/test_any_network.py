"""Networks of torchvision and of a user's own file: built, refused, tapped, stored and trained."""

import re
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from singlefilter.backbone.any_network import AnyNetwork
from singlefilter.backbone.check import check_network
from singlefilter.backbone.layers import WithoutMemory
from singlefilter.backbone.network import build_network
from singlefilter.backbone.store import read_network, write_network
from singlefilter.backbone.train import new_network, train
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Backbone, Rates
from singlefilter.training import checkpoint as checkpoints
from singlefilter.training.checkpoint import Checkpoint, code_digest
from stages.list_layers import list_layers
from tests.checkpoints import Killed, KilledAfter
from tests.hdf5_files import read, write

RATES = Rates(learning_rate=0.05, momentum=0.9, weight_decay=0)
CPU = torch.device("cpu")
OWN = """
from torch import nn


def make_network(labels, image_size):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.GELU(), nn.Dropout(0.5), nn.Flatten(),
        nn.Linear(4 * image_size ** 2, {outputs}),
    )


def gives_a_number(labels, image_size):
    return labels


def raises(labels, image_size):
    return [][labels]


def gives_pictures(labels, image_size):
    return nn.Conv2d(3, 7, 3)
"""
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    """A folder with a user's networks/mine.py."""
    monkeypatch.chdir(tmp_path)
    path = Path("networks/mine.py")
    path.parent.mkdir()
    path.write_text(OWN.replace("{outputs}", "labels"))
    return path


def row(**values) -> Backbone:
    return Backbone(**{"convolutional_rates": RATES, **values})


OWN_STATES = """
import torch
from torch import nn


class Drawn(nn.Module):
    def __init__(self, labels, image_size, persistent):
        super().__init__()
        self.flatten, self.output = nn.Flatten(), nn.Linear(5, labels)
        self.register_buffer("projection", torch.randn(3 * image_size**2, 5), persistent)

    def forward(self, images):
        return self.output(self.flatten(images) @ self.projection)


class Drops(Drawn):
    def forward(self, images):
        return nn.functional.dropout(super().forward(images))


class Held(Drawn):
    def __init__(self, *given):
        super().__init__(*given)
        self.names = (name for name in "ab")


def stored(labels, image_size):
    return Drawn(labels, image_size, True)


def not_stored(labels, image_size):
    return Drawn(labels, image_size, False)


def drops(labels, image_size):
    return Drops(labels, image_size, True)


def held(labels, image_size):
    return Held(labels, image_size, True)
"""


def own_row(function: str = "make_network") -> Backbone:
    return row(module=f"networks/mine.py:{function}")


def own_params(make_params, **changes):
    params = make_params(**changes)
    backbone = Backbone(module="networks/mine.py:make_network", epochs=3, batch_size=8, convolutional_rates=RATES)
    arch = params.archs["tiny"].model_copy(update={"backbone": backbone, "examined_layers": (1, 3)})
    return params.model_copy(update={"archs": {"tiny": arch}})


def refusal(**values) -> str:
    size = values.pop("image_size", 32)
    with pytest.raises(InputError) as caught:
        AnyNetwork(row(**values), 10, size)
    return str(caught.value)


def test_a_row_gives_a_chain_or_any_network():
    assert type(build_network(row(convolutions=(4, "M")), 3, 8)).__name__ == "Network"
    network = build_network(row(torchvision="resnet18"), 3, 32)
    assert isinstance(network, AnyNetwork) and network(torch.zeros(2, 3, 32, 32)).shape == (2, 3)
    assert network.output_layer is network.module.fc


@pytest.mark.parametrize(("normalisation", "first"), [(None, -1.0), ("symmetric", -1.0), ("imagenet", -0.485 / 0.229)])
def test_black_is_what_the_network_was_trained_for(normalisation, first, own):
    network = AnyNetwork(own_row().model_copy(update={"normalisation": normalisation}), 3, 8).eval()
    seen = []
    network.module[0].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    network(-torch.ones(1, 3, 8, 8))  # black, as the stages scale it
    network(torch.ones(1, 3, 8, 8))
    assert seen[0][0, 0, 0, 0].item() == pytest.approx(first, abs=1e-6)
    if normalisation == "imagenet":
        assert seen[1][0, :, 0, 0].tolist() == pytest.approx(
            [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225], abs=1e-5
        )
    else:
        assert torch.equal(seen[1], torch.ones(1, 3, 8, 8))


def test_a_network_is_trained_here_or_before():
    still = RATES.model_copy(update={"learning_rate": 0.0})
    untrained = row(torchvision="resnet18", convolutional_rates=still, weights="random")
    assert not untrained.is_trained and row(torchvision="resnet18").is_trained
    assert not row(torchvision="resnet18", epochs=0).is_trained
    assert row(torchvision="resnet18", epochs=0, weights="IMAGENET1K_V1").is_trained


def test_a_last_layer_of_other_labels_is_replaced(own):
    own.write_text(OWN.replace("{outputs}", "1000"))
    network = AnyNetwork(own_row(), 3, 8)
    assert network.output_layer.out_features == 3 and network(torch.zeros(2, 3, 8, 8)).shape == (2, 3)
    last = [*network.weight_groups()[1]]
    assert [tuple(weights.shape) for weights in last] == [(3, 256), (3,)]
    assert len(network.weight_groups()[0]) == 4  # of convolution and batch-norm


SMALL = """
from torch import nn


def make_network(labels, image_size):
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1000))


class Scaled(nn.Module):
    def __init__(self, labels, image_size):
        super().__init__()
        self.last = nn.Linear(3 * image_size ** 2, 1000)

    def forward(self, images):
        return self.last(images.flatten(1)) * images.new_ones(1000)
"""


def test_layers_are_those_of_the_network_with_the_output_layer_of_other_labels(own):
    own.write_text(SMALL)
    layers = AnyNetwork(own_row(), 4, 8).layers
    assert layers.multiply_accumulates == 6**2 * 8 * 27 + 8 * 4
    assert layers.places["3"].filters == 4 and layers.output_shape == (2, 4)


def test_a_network_that_needs_its_number_of_outputs_is_refused(own):
    own.write_text(SMALL)
    line = SMALL[: SMALL.index("return self.last")].count("\n") + 1
    told = refusal(module="networks/mine.py:Scaled", image_size=8)
    assert told.startswith("networks/mine.py:Scaled: fails once 'last' puts out a field for each of 10 labels instead")
    assert f" of 1000 (RuntimeError in line {line} of networks/mine.py: " in told


def test_squeezenet_ends_with_a_convolution():
    network = AnyNetwork(row(torchvision="squeezenet1_1"), 3, 32)
    assert isinstance(network.output_layer, nn.Conv2d) and network(torch.zeros(2, 3, 32, 32)).shape == (2, 3)


def test_layers_are_given_by_name_or_number_as_pictures(own):
    network = AnyNetwork(own_row(), 3, 8).eval()
    images = torch.randn(2, 3, 8, 8)
    outputs = network.layer_outputs(images, [2, 5])
    by_name = network.layer_outputs(images, ["1", "4"])
    assert outputs[2].shape == (2, 4, 8, 8) and outputs[5].shape == (2, 256, 1, 1)
    assert torch.equal(outputs[2], by_name["1"]) and torch.equal(outputs[5], by_name["4"])
    assert network.output_shapes([2, 5]) == {2: (4, 64), 5: (256, 1)}
    place = network.depth_and_costs(5)
    assert place["depth"] == 1 and place["positions"] == 1
    macs = 64 * 4 * 27  # of the convolution; the head that follows is as large as the output layer
    assert place["multiply_accumulates"] == macs + 256 * 3 and place["multiply_accumulates_share"] == 1


def test_a_network_that_its_weights_do_not_tell_is_refused_before_it_is_trained(own, make_params):
    own.write_text(OWN_STATES)

    def check(function: str) -> None:
        params = own_params(make_params)
        row = params.archs["tiny"].backbone.model_copy(update={"module": f"networks/mine.py:{function}"})
        arch = params.archs["tiny"].model_copy(update={"backbone": row, "examined_layers": ("flatten",)})
        check_network(params.model_copy(update={"archs": {"tiny": arch}}), 3)

    with torch.random.fork_rng([]):
        check("stored")
        with pytest.raises(InputError, match=r"not_stored: puts out something else once it is built again from its st"):
            check("not_stored")
        with pytest.raises(InputError, match=r"drops: puts out something else in each pass, though in eval mode; fix"):
            check("drops")
    with pytest.raises(InputError, match=r"held: cannot be copied \(TypeError: cannot pickle .*\); let its"):
        check("held")


def test_layers_that_cannot_be_examined_are_not_listed(own):
    own.write_text(
        "from torch import nn\nfrom torchvision.ops import Permute\n\n\ndef make_network(labels, image_size):\n"
        "    pixels_first = [nn.Conv2d(3, 8, 1), Permute([0, 2, 3, 1]), nn.LayerNorm(8), nn.GELU()]\n"
        "    return nn.Sequential(*pixels_first, nn.Flatten(), nn.Linear(8 * image_size**2, labels))\n"
    )
    with pytest.raises(InputError, match="'3' puts out as many columns as filters"):
        AnyNetwork(own_row(), 3, 8).place(4)
    assert list_layers(own_row(), 3, 8)["number"].tolist() == [1, 2, 3, 5, 6]
    assert list_layers(own_row(), 3, 6)["number"].tolist() == [1, 2, 3, 4, 5, 6]


def test_refusals_name_what_is_allowed(own):
    assert "'resnet19' is none of its 80 networks; did you mean resnet18?" in refusal(torchvision="resnet19")
    assert refusal(module="networks/other.py:make").startswith("module: networks/other.py is missing; networks/ has")
    wrong = refusal(module="networks/mine.py:make_networks")
    assert "has no function make_networks; did you mean make_network? it has make_network, gives_a_number" in wrong
    assert "gives int; needed is a torch.nn.Module" in refusal(module="networks/mine.py:gives_a_number")
    line = OWN[: OWN.index("[][labels]")].count("\n") + 1
    raised = refusal(module="networks/mine.py:raises")
    assert f"raises(10, 32): IndexError in line {line} of networks/mine.py: " in raised
    pictures = refusal(module="networks/mine.py:gives_pictures")
    assert "puts out (7, 30, 30) per image; needed is (10,), a field for each label: end it" in pictures
    own.write_text("def make_network(labels:\n")
    assert re.search(r"networks/mine\.py: SyntaxError in line 1", refusal(module="networks/mine.py:make_network"))


@pytest.mark.parametrize(
    ("name", "size"), [("alexnet", 64), ("inception_v3", 96), ("maxvit_t", 224), ("vit_h_14", 112)]
)
def test_a_size_that_a_network_cannot_take_is_refused_with_one_that_it_takes(name, size):
    told = refusal(torchvision=name)
    assert told.startswith(f"{name}: takes no images of 32 pixels (") and f"; it takes {size}: write image_size" in told


def test_layers_whose_filters_may_be_columns_are_refused():
    with WithoutMemory():
        network = AnyNetwork(row(torchvision="convnext_tiny"), 10, 384)  # 96 filters of 96x96 positions
        swin = AnyNetwork(row(torchvision="swin_t"), 10, 384)
    number = [*network.layers.places].index("features.1") + 1
    for layer in ("features.1", number):
        with pytest.raises(InputError, match="^examined_layers: 'features.1' puts out as many columns as filters, and"):
            network.require_layers([layer])
    network.require_layers(["features.0.0", "features.3"])
    swin.require_layers(["features.0.2", "features.3"])


def test_layers_that_are_not_there_or_not_in_order_are_refused():
    network = AnyNetwork(row(torchvision="resnet18"), 10, 32)
    network.require_layers(["conv1", "layer1", "layer4.1"])
    with pytest.raises(InputError, match=r"no layer 'layer9'; did you mean layer\d\? allowed are 1 to \d+, and names"):
        network.require_layers(["layer9"])
    with pytest.raises(InputError, match=r"no layer 1000; allowed are 1 to \d+, and names, the last of which are "):
        network.require_layers([1000])
    with pytest.raises(InputError, match="layer2, layer1 are not in the network's order, layer1, layer2"):
        network.require_layers(["layer2", "layer1"])


FAULTY = """

class Faulty(nn.Module):
    def __init__(self, labels, image_size):
        super().__init__()
        self.last = nn.Linear(3 * image_size ** 2, labels)

    def forward(self, images):
        return self.last(images.flatten(1)), {value}
"""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1", "networks/mine.py:Faulty: puts out no tensor; needed are fields, (N, 10), for N images"),
        (
            "images.nothing",
            "images (2, 3, 32, 32), and of other sizes (AttributeError in line {} of networks/mine.py: ",
        ),
    ],
)
def test_a_module_that_puts_out_no_fields_is_refused_with_its_line(value, expected, own):
    text = OWN + FAULTY.replace("{value}", value)
    own.write_text(text)
    assert expected.format(text.count("\n", 0, text.index(", " + value)) + 1) in refusal(
        module="networks/mine.py:Faulty"
    )


def test_a_module_that_is_called_more_than_once_is_no_layer():
    with pytest.raises(InputError, match="'layer1.0.relu' is called more than once in a pass"):
        AnyNetwork(row(torchvision="resnet18"), 10, 32).place("layer1.0.relu")


def test_a_layer_that_evaluation_passes_by_is_refused(own):
    own.write_text(OWN + "\n\ndef passing(labels, image_size):\n    return Passing(labels, image_size)\n" + PASSING)
    network = AnyNetwork(own_row("passing"), 3, 8).eval()
    network.module.passes = True
    with pytest.raises(InputError, match="'inner' is passed by when the network is evaluated"):
        network.layer_outputs(torch.zeros(2, 3, 8, 8), ["inner"])


PASSING = """

class Passing(nn.Module):
    passes = False

    def __init__(self, labels, image_size):
        super().__init__()
        self.inner = nn.Conv2d(3, 3, 1)
        self.last = nn.Linear(3 * image_size ** 2, labels)

    def forward(self, images):
        return self.last((images if self.passes else self.inner(images)).flatten(1))
"""


def test_check_refuses_a_layer_before_anything_runs(own, make_params):
    params = own_params(make_params)
    check_network(params, 2)
    arch = params.archs["tiny"].model_copy(update={"examined_layers": ("0.weight",)})
    with pytest.raises(
        InputError,
        match=r"^catalog.yaml: archs.tiny: examined_layers: the network has no layer '0.weight'; allowed are 1 to \d; "
        "python -m stages.list_layers lists all$",  # without names, since numbers are none
    ):
        check_network(params.model_copy(update={"archs": {"tiny": arch}}), 2)


def test_a_network_is_checked_with_the_labels_of_its_data(own, make_params):
    own.write_text(
        f"{own.read_text()}\n\ndef of_three(labels, image_size):\n    assert labels == 3\n"
        "    return make_network(labels, image_size)\n"
    )
    params = own_params(make_params)
    backbone = params.chosen_arch.backbone.model_copy(update={"module": "networks/mine.py:of_three"})
    arch = params.chosen_arch.model_copy(update={"backbone": backbone})
    params = params.model_copy(update={"archs": {"tiny": arch}})
    check_network(params, 3)
    with pytest.raises(InputError, match=r"networks/mine.py:of_three\(2, 8\): AssertionError"):
        check_network(params, 2)


def test_a_size_is_looked_for_with_the_labels_of_the_data(own):
    own.write_text(
        "from torch import nn\n\ndef of_three(labels, image_size):\n    assert labels == 3\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, labels))\n"
    )
    with pytest.raises(InputError, match="; it takes 48: write image_size: 48 into the row of datasets"):
        AnyNetwork(own_row("of_three"), 3, 8)


OF_TENSORS = """
from torch import nn


def of_space_and_colour(labels, image_size):
    return nn.Sequential(
        nn.Unflatten(1, (1, 3)), nn.Conv3d(1, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(),
        nn.Linear(6, labels),
    )


class OfTwoTokens(nn.Module):
    def __init__(self, labels, image_size):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, (image_size // 2, image_size), (image_size // 2, image_size))
        self.encoder = nn.TransformerEncoderLayer(16, 2, 32)
        self.head = nn.Linear(16, labels)

    def forward(self, images):
        return self.head(self.encoder(self.patches(images).flatten(2).permute(2, 0, 1)).mean(0))
"""


def test_a_network_may_have_weights_of_five_axes(own):
    own.write_text(OF_TENSORS)
    network = AnyNetwork(own_row("of_space_and_colour"), 3, 8).eval()
    outputs = network.layer_outputs(torch.zeros(4, 3, 8, 8), ["1"])
    assert outputs["1"].shape == (4, 6, 3, 8 * 8)


def test_tokens_before_images_are_refused_although_there_are_as_many_as_images_in_the_first_pass(own):
    own.write_text(OF_TENSORS)
    network = AnyNetwork(own_row("OfTwoTokens"), 3, 8).eval()
    with pytest.raises(
        InputError, match=r"'encoder' puts out \(2, .*\) for 7 images; needed is \(7, F, …\): set batch"
    ):
        network.layer_outputs(torch.zeros(7, 3, 8, 8), ["encoder"])
    assert network.layer_outputs(torch.zeros(7, 3, 8, 8), ["patches"])["patches"].shape == (7, 16, 2, 1)


def test_tokens_before_images_are_refused_before_anything_is_trained(own, make_params):
    own.write_text(OF_TENSORS)
    params = own_params(make_params)
    backbone = params.chosen_arch.backbone.model_copy(update={"module": "networks/mine.py:OfTwoTokens"})
    for layer, is_refused in (("patches", False), ("encoder", True)):
        arch = params.chosen_arch.model_copy(update={"backbone": backbone, "examined_layers": (layer,)})
        with pytest.raises(InputError, match="'encoder' puts out") if is_refused else nullcontext():
            check_network(params.model_copy(update={"archs": {"tiny": arch}}), 2)


def test_a_lazy_layer_that_no_image_passes_is_refused(own):
    own.write_text(
        "from torch import nn\n\ndef make_network(labels, image_size):\n"
        "    made = nn.Sequential(nn.Flatten(), nn.LazyLinear(labels))\n    made[1].unused = nn.LazyLinear(3)\n"
        "    return made\n"
    )
    with pytest.raises(InputError, match="1.unused.weight gets no shape, since images do not pass through it"):
        AnyNetwork(own_row(), 3, 8)


def test_what_is_written_is_read_again(own, tmp_path):
    torch.manual_seed(1)
    network = AnyNetwork(own_row(), 3, 8).eval()
    write(tmp_path / "network.h5", write_network, network)
    again = read(tmp_path / "network.h5", read_network).eval()
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(network(images), again(images))


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: values.clone() for name, values in network.state_dict().items()}


def test_dropout_draws_by_seed_and_epoch_also_after_a_stop(own, data, make_params, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0)
    params = own_params(make_params)

    def trained(checkpoint: Checkpoint | None) -> tuple[dict[str, Tensor], list]:
        network = new_network(data, params, 0)
        history = train(network, data, params, 0, CPU, checkpoint)
        return state(network), history

    whole, history = trained(None)
    with pytest.raises(Killed):
        trained(KilledAfter(tmp_path / "checkpoints", 1))
    resumed, resumed_history = trained(Checkpoint(tmp_path / "checkpoints", {}))
    assert resumed_history == history
    assert all(torch.equal(values, resumed[name]) for name, values in whole.items())
    assert history[0].test_accuracy_without_bias is not None  # its output layer has a bias


def test_each_epoch_of_each_sample_has_draws_of_its_own(own, data, make_params, monkeypatch):
    params = own_params(make_params)
    seeds: list[int] = []
    networks = [new_network(data, params, seed) for seed in (0, 1)]
    monkeypatch.setattr(torch, "manual_seed", seeds.append)
    for seed, network in enumerate(networks):
        train(network, data, params, seed, CPU)
    assert len(seeds) == 6 and len({*seeds}) == 6


def test_a_checkpoint_knows_the_users_code(own, data, make_params):
    new_network(data, own_params(make_params), 0)
    before = code_digest()
    own.write_text(own.read_text() + "\n# changed\n")
    assert code_digest() != before


def test_the_code_of_a_network_in_two_files_is_known(own, data, make_params):
    """Python puts the folder itself into sys.modules then, as a module without a file."""
    Path("networks/blocks.py").write_text("from torch import nn\nact = nn.GELU\n")
    own.write_text(
        own.read_text().replace("from torch import nn", "from torch import nn\nfrom networks.blocks import act")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path.cwd())
        try:
            new_network(data, own_params(make_params), 0)
            assert getattr(sys.modules["networks"], "__file__", None) is None
            assert len(code_digest()) == 64
        finally:
            for name in [name for name in sys.modules if name.split(".")[0] == "networks"]:
                del sys.modules[name]


def test_lazy_layers_take_their_shapes_from_the_images(own):
    code = own.read_text().replace("nn.BatchNorm2d(4)", "nn.LazyBatchNorm2d(affine=False)")
    own.write_text(code)
    assert AnyNetwork(own_row(), 3, 8).module[1].running_mean.shape == (4,)
    own.write_text(code.replace("nn.Linear(4 * image_size ** 2, labels)", "nn.LazyLinear(labels)"))
    network = AnyNetwork(own_row(), 3, 8)
    assert network(torch.zeros(2, 3, 8, 8)).shape == (2, 3)
    assert network.output_layer.weight.shape == (3, 4 * 8**2)


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        ("return (fields, fields) if self.training else fields", "puts out tuple, where (2, 2), a field for each"),
        ("return fields[:, :1] if self.training else fields", "puts out (2, 1), where (2, 2), a field for each"),
        ("return fields + [][self.training] if self.training else fields", "fails (IndexError in line "),
    ],
)
def test_a_network_that_does_something_else_in_training_is_refused_before(forward, expected, own, make_params):
    own.write_text(
        own.read_text()
        + f"""

class Both(nn.Sequential):
    def forward(self, images):
        fields = super().forward(images)
        {forward}

def gives_both(labels, image_size):
    return Both(*make_network(labels, image_size))
"""
    )
    params = own_params(make_params)
    arch = params.archs["tiny"]

    def check(**changes: object) -> None:
        backbone = arch.backbone.model_copy(update={"module": "networks/mine.py:gives_both", **changes})
        check_network(params.model_copy(update={"archs": {"tiny": arch.model_copy(update={"backbone": backbone})}}), 2)

    with pytest.raises(InputError) as refused:
        check()
    assert f"networks/mine.py:gives_both: in training mode it {expected}" in str(refused.value)
    assert str(refused.value).endswith("fix it, or set epochs: 0")
    check(epochs=0)


def check(own: Path, make_params, code: str, epochs: int) -> str:
    """Give what check_network says of a network whose class Changed is the one of OWN with some code."""
    changed = "\n\nclass Changed(nn.Sequential):\n    def __init__(self, labels, image_size):\n"
    changed += "        super().__init__(*make_network(labels, image_size))\n"
    own.write_text("import sys\nimport torch\n" + own.read_text() + changed + code)
    params = own_params(make_params)
    arch = params.archs["tiny"]
    backbone = arch.backbone.model_copy(update={"module": "networks/mine.py:Changed", "epochs": epochs})
    with pytest.raises(InputError) as refused:
        check_network(params.model_copy(update={"archs": {"tiny": arch.model_copy(update={"backbone": backbone})}}), 2)
    assert "\n" not in str(refused.value)
    return str(refused.value).removeprefix("catalog.yaml: archs.tiny: ")


@pytest.mark.parametrize("epochs", [0, 3])
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "        self.register_buffer('scale', torch.ones(2, dtype=torch.bfloat16))",
            "'scale' in its state_dict() is a tensor of torch.bfloat16, which cannot be stored; make it a dense tensor",
        ),
        (
            "        self.unused = nn.Linear(2, 2, dtype=torch.bfloat16)\n"
            "    def forward(self, images):\n        return nn.Sequential(*[*self][:6])(images)",
            "'unused.weight' in its state_dict() is a tensor of torch.bfloat16, which cannot be stored",
        ),
        (
            "    def get_extra_state(self):\n        return {'epoch': 3}",
            "'_extra_state' in its state_dict() is dict, which cannot be stored",
        ),
    ],
)
def test_a_network_that_cannot_be_stored_is_refused_before(code, expected, epochs, own, make_params):
    assert check(own, make_params, code, epochs).startswith(f"networks/mine.py:Changed: {expected}")


def test_a_network_without_weights_to_train_is_refused_before(own, make_params):
    told = check(own, make_params, "        self.requires_grad_(False)", 3)
    assert told == (
        "networks/mine.py:Changed: in training mode it puts out fields that no weight with requires_grad changes; "
        "let some be trained, or set epochs: 0"
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("\nsys.exit()", "module: networks/mine.py: SystemExit in line {} of networks/mine.py"),
        ("        sys.exit(0)", "module: networks/mine.py:Changed(2, 8): SystemExit in line {} of networks/mine.py: 0"),
        (
            "    def forward(self, images):\n        sys.exit('no')",
            "networks/mine.py:Changed: fails on images (2, 3, 8, 8), and of other sizes (SystemExit in line {} of",
        ),
        (
            "    def forward(self, images):\n        return sys.exit() if self.training else super().forward(images)",
            "networks/mine.py:Changed: in training mode it fails (SystemExit in line {} of networks/mine.py: )",
        ),
        (
            "        self[5] = nn.Linear(4 * image_size ** 2, 7)\n    def forward(self, images):\n"
            "        return super().forward(images) if self[5].out_features == 7 else sys.exit()",
            "networks/mine.py:Changed: fails once '5' puts out a field for each of 2 labels instead of 7 (SystemExit",
        ),
    ],
)
def test_a_file_that_ends_python_is_refused(code, expected, own, make_params):
    told = check(own, make_params, code, 3)
    line = own.read_text()[: own.read_text().index("sys.exit")].count("\n") + 1
    assert told.startswith(expected.format(line))
