from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from singlefilter.backbone.network import Network
from singlefilter.backbone.store import read_network, write_network
from singlefilter.pipeline.params import Backbone, Rates
from singlefilter.pipeline.params_files import load_params
from tests.hdf5_files import read, write

ARCHS = load_params(Path(__file__).resolve().parents[2] / "params.yaml").archs
RATES = Rates(learning_rate=0.1, momentum=0.9, weight_decay=0, decay=())


def small_backbone(**changes) -> Backbone:
    values = {
        "convolutions": (4, "M", 5, 6, "A4"),
        "fully_connected": (7,),
        "activation": "relu",
        "output_bias": False,
        "epochs": 1,
        "batch_size": 2,
        "convolutional_rates": RATES,
        "fully_connected_rates": RATES,
    }
    return Backbone(**values | changes)


def small_network(labels: int = 3, image_size: int = 8, **changes) -> Network:
    """A network whose weights and batch-norm's averages are all drawn at random."""
    network = Network(small_backbone(**changes), labels, image_size)
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            draws = torch.randn(tensor.shape, generator=generator)
            tensor.copy_(draws.abs() + 0.5 if name.endswith("running_var") else draws)
    return network.eval()


def images_of(network: Network, count: int = 5) -> Tensor:
    size = network.image_size
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def shapes_of_network(arch: str, labels: int = 10) -> Network:
    with torch.device("meta"):  # shapes alone
        return Network(ARCHS[arch].backbone, labels, 32)


def convolved(network: Network, layer: int, images: Tensor) -> Tensor:
    """A layer by hand without its pool: convolution, batch-norm from its stored averages, ReLU."""
    state = network.state_dict()
    kernel = f"layers.{layer - 1}.0"
    norm = f"layers.{layer - 1}.1"
    fields = functional.conv2d(images, state[f"{kernel}.weight"], state[f"{kernel}.bias"], padding=1)
    mean, variance, gain, offset = (
        state[f"{norm}.{name}"][:, None, None] for name in ("running_mean", "running_var", "weight", "bias")
    )
    return ((fields - mean) / (variance + 1e-5).sqrt() * gain + offset).clamp(min=0)


def test_vgg16_has_these_parameters():
    shapes = {name: tuple(tensor.shape) for name, tensor in shapes_of_network("vgg16").named_parameters()}
    channels = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    expected = {}
    for layer in range(13):
        filters = channels[layer + 1]
        expected[f"layers.{layer}.0.weight"] = (filters, channels[layer], 3, 3)
        for vector in ("0.bias", "1.weight", "1.bias"):
            expected[f"layers.{layer}.{vector}"] = (filters,)
    expected |= {"classifier.0.weight": (512, 512), "classifier.0.bias": (512,)}
    expected |= {"classifier.2.weight": (512, 512), "classifier.2.bias": (512,)}
    expected |= {"classifier.4.weight": (10, 512)}
    assert shapes == expected


def test_vgg16_has_as_many_parameters_as_counted_by_hand():
    kernels = 9 * (
        3 * 64 + 64 * 64 + 64 * 128 + 128 * 128 + 128 * 256 + 2 * 256 * 256 + 256 * 512 + 5 * 512 * 512
    )  # 14,710,464
    filters = 2 * 64 + 2 * 128 + 3 * 256 + 6 * 512  # 4,224, each with a bias and batch-norm's gain and offset
    fully_connected = 2 * (512 * 512 + 512) + 512 * 10
    assert kernels + 3 * filters + fully_connected == 15_253_568
    assert sum(tensor.numel() for tensor in shapes_of_network("vgg16").parameters()) == 15_253_568


@pytest.mark.parametrize(
    "arch, sizes, inputs",
    [
        ("vgg16", {2: 16_384, 4: 8_192, 7: 4_096, 10: 2_048, 13: 512}, 512),
        ("vgg6", {1: 16_384, 2: 8_192, 3: 4_096, 4: 2_048, 5: 512}, 512),
        ("avgg16", {13: 8_192}, 8_192),
        ("vgg14_l13_350", {13: 350}, 350),
        ("vgg16_l11to13_120", {13: 120}, 120),
        ("avgg16_l13_100", {13: 1_600}, 1_600),
    ],
)
def test_feature_sizes_are_those_of_the_paper(arch, sizes, inputs):
    network = shapes_of_network(arch)
    outputs = network.layer_outputs(torch.empty(1, 3, 32, 32, device="meta"), ARCHS[arch].examined_layers)
    assert {layer: output.numel() for layer, output in outputs.items()} == sizes
    assert network.classifier[0].in_features == inputs


@pytest.mark.parametrize("arch", [name for name, row in ARCHS.items() if row.backbone.is_chain])
def test_every_chain_gives_a_network_without_bias_on_its_output(arch):
    network = shapes_of_network(arch, labels=100)
    assert network(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, 100)
    assert network.classifier[-1].bias is None


def test_output_has_a_bias_where_the_row_says_so():
    network = small_network(output_bias=True)
    images = images_of(network)
    bias = network.classifier[-1].bias
    assert bias.shape == (3,)
    with_bias = network(images)
    with torch.no_grad():
        bias.zero_()
    assert torch.allclose(with_bias - network(images), small_network(output_bias=True).classifier[-1].bias, atol=1e-5)


@pytest.mark.parametrize("activation", ["relu", "none"])
def test_output_is_that_of_the_layers_run_by_hand(activation):
    network = small_network(activation=activation)
    images = images_of(network)
    state = network.state_dict()
    first = functional.max_pool2d(convolved(network, 1, images), 2)
    third = functional.avg_pool2d(convolved(network, 3, convolved(network, 2, first)), 4)
    hidden = third.flatten(1) @ state["classifier.0.weight"].T + state["classifier.0.bias"]
    hidden = hidden.clamp(min=0) if activation == "relu" else hidden
    output = "classifier.2.weight" if activation == "relu" else "classifier.1.weight"
    assert torch.allclose(network(images), hidden @ state[output].T, rtol=1e-4, atol=1e-4)
    assert (hidden < 0).any() == (activation == "none")


def test_layer_outputs_are_after_relu_and_after_the_pool_where_one_follows():
    network = small_network()
    images = images_of(network)
    outputs = network.layer_outputs(images, (1, 2, 3))
    first = functional.max_pool2d(convolved(network, 1, images), 2)
    second = convolved(network, 2, first)  # no pool follows
    third = functional.avg_pool2d(convolved(network, 3, second), 4)
    for layer, expected in {1: first, 2: second, 3: third}.items():
        assert torch.allclose(outputs[layer], expected, rtol=1e-4, atol=1e-4)
        assert (outputs[layer] >= 0).all()
    assert {layer: tuple(output.shape) for layer, output in outputs.items()} == {
        1: (5, 4, 4, 4),
        2: (5, 5, 4, 4),
        3: (5, 6, 1, 1),
    }


def test_layer_outputs_are_the_same_however_many_are_asked_for():
    network = small_network()
    images = images_of(network)
    together = network.layer_outputs(images, (1, 2, 3))
    for layer, output in together.items():
        alone = network.layer_outputs(images, (layer,))
        assert list(alone) == [layer]
        assert torch.equal(alone[layer], output)


def test_pool_of_four_averages_its_sixteen_pixels():
    network = small_network(convolutions=(4, "A4"), image_size=8)
    images = images_of(network, count=1)
    before = convolved(network, 1, images)
    pooled = network.layer_outputs(images, (1,))[1]
    assert pooled[0, 2, 1, 0].item() == pytest.approx(before[0, 2, 4:8, 0:4].sum().item() / 16, rel=1e-4)


def test_pool_that_leaves_a_rim_drops_it():
    network = small_network(convolutions=(4, "M"), image_size=7)
    assert network.layer_outputs(images_of(network), (1,))[1].shape == (5, 4, 3, 3)
    assert network(images_of(network)).shape == (5, 3)


def test_loaded_network_has_the_same_bytes(tmp_path):
    network = small_network()
    write(tmp_path / "network.h5", write_network, network)
    loaded = read(tmp_path / "network.h5", read_network).eval()
    assert (loaded.backbone, loaded.labels, loaded.image_size) == (network.backbone, 3, 8)
    state = loaded.state_dict()
    assert list(state) == list(network.state_dict())
    for name, tensor in network.state_dict().items():
        assert state[name].dtype == tensor.dtype
        assert state[name].numpy().tobytes() == tensor.numpy().tobytes()
    images = images_of(network)
    assert torch.equal(loaded(images), network(images))


def test_saved_twice_a_network_has_the_same_file(tmp_path):
    for name in ("one.h5", "two.h5"):
        write(tmp_path / name, write_network, small_network())
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
