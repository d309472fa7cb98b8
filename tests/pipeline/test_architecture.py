"""Sizes and costs of the architecture table's rows, against counts by hand and PyTorch's own."""

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from singlefilter.backbone.network import Network
from singlefilter.pipeline.architecture import LayerShape, layer_shapes, multiply_accumulates
from singlefilter.pipeline.artifacts import feature_bytes
from singlefilter.pipeline.params_files import load_params

ARCHS = load_params(Path(__file__).resolve().parents[2] / "params.yaml").archs


def test_layer_shapes_by_hand():
    assert layer_shapes((4, "M", 5, 6, "A4"), 17) == [
        LayerShape(number=1, channels=3, filters=4, side=17, pools=("M",), pooled_side=8),
        LayerShape(number=2, channels=4, filters=5, side=8, pools=(), pooled_side=8),
        LayerShape(number=3, channels=5, filters=6, side=8, pools=("A4",), pooled_side=2),
    ]


def test_pools_one_after_the_other_belong_to_the_layer_before_them():
    assert layer_shapes((4, "M", "A4", 5), 16) == [
        LayerShape(number=1, channels=3, filters=4, side=16, pools=("M", "A4"), pooled_side=2),
        LayerShape(number=2, channels=4, filters=5, side=2, pools=(), pooled_side=2),
    ]


@pytest.mark.parametrize(
    ("arch", "outputs"),
    [
        ("vgg16", {2: 16384, 4: 8192, 7: 4096, 8: 8192, 10: 2048, 11: 2048, 13: 512}),  # paper, Fig. 1 and Fig. 3A
        ("vgg6", {1: 16384, 2: 8192, 3: 4096, 4: 2048, 5: 512}),
        ("avgg16", {13: 8192}),
    ],
)
def test_outputs_are_the_papers(arch, outputs):
    shapes = layer_shapes(ARCHS[arch].backbone.convolutions, 32)
    assert {layer: shapes[layer - 1].outputs for layer in outputs} == outputs


def test_multiply_accumulates_of_vgg6_by_hand():
    cut, whole = multiply_accumulates(ARCHS["vgg6"].backbone, 10, 32)
    first = 9 * 3 * 64 * 32 * 32
    second = first + 9 * 64 * 128 * 16 * 16
    assert cut[:2] == [first + 64 * 16 * 16 * 10, second + 128 * 8 * 8 * 10]
    assert whole == cut[4]  # vgg6 ends in one fully connected layer, so its head after layer 5 is as large


@pytest.mark.parametrize("arch", ["vgg16", "vgg6", "avgg16", "vgg16_fc4096"])
def test_multiply_accumulates_are_half_of_what_pytorch_counts(arch):
    backbone = ARCHS[arch].backbone
    with torch.device("meta"):
        network = Network(backbone, 7, 32).eval()
        images = torch.empty(1, 3, 32, 32)
    with FlopCounterMode(display=False) as counter:
        network(images)
    assert 2 * multiply_accumulates(backbone, 7, 32)[1] == counter.get_total_flops()


def test_features_of_a_cifar10_vgg16_take_3_7_gigabytes():
    vgg16 = ARCHS["vgg16"]
    outputs = 64 * 16**2 + 128 * 8**2 + 256 * 4**2 + 512 * 2**2 + 512  # after each of the five pools
    with torch.device("meta"):
        shapes = Network(vgg16.backbone, 10, 32).output_shapes(vgg16.examined_layers)
    assert shapes == {2: (64, 256), 4: (128, 64), 7: (256, 16), 10: (512, 4), 13: (512, 1)}
    needed = feature_bytes(shapes.values(), 60_000)
    assert needed == outputs * 60_000 * 2
    assert round(needed / 1e9, 1) == 3.7
