"""The layers of any network: against counts by hand, and outputs taken one module after the other."""

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.ops import Permute

from singlefilter.backbone.layers import WithoutMemory, find_layers, tapped
from singlefilter.backbone.modules import make_module, torchvision_names
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Backbone, Rates

RATES = Rates(learning_rate=0.1)


def skeleton(name: str, image_size: int = 224) -> nn.Module:
    with WithoutMemory():
        return make_module(Backbone(torchvision=name, convolutional_rates=RATES), 10, image_size).to("meta")


def images(count: int = 3, size: int = 32) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_torchvision_has_80_networks_and_the_layers_of_all_are_found():
    names = torchvision_names()
    assert len(names) == 80
    for name in names:
        found = find_layers(skeleton(name), 224)
        assert found.output_shape == (2, 10), name
        assert len(found.places) > 5, name
        assert found.output_layer not in ("", *[*found.places][:3]), name


def test_places_of_resnet18_by_hand():
    places = find_layers(skeleton("resnet18"), 224).places
    assert [places[name].filters for name in ("conv1", "layer1", "layer2", "layer3", "layer4")] == [
        64,
        64,
        128,
        256,
        512,
    ]
    assert [places[name].positions for name in ("conv1", "maxpool", "layer1", "layer4", "avgpool")] == [
        *(112**2, 56**2, 56**2, 7**2, 1)
    ]
    # 20 convolutions; conv1 is the first, layer1 has four more, and three of the others stand beside two each.
    assert places["conv1"].depth == 1 / 20 and places["layer1"].depth == 5 / 20 and places["layer4"].depth == 1
    first = 112**2 * 64 * 3 * 49
    assert places["conv1"].multiply_accumulates == first
    assert places["layer1"].multiply_accumulates == first + 4 * 56**2 * 64 * 64 * 9
    assert [place.number for place in places.values()] == [*range(1, len(places) + 1)]
    assert "layer1.0.relu" not in places  # called twice


@pytest.mark.parametrize(
    ("network", "name", "filters", "positions"),
    [
        ("vit_b_16", "encoder.layers.encoder_layer_7", 768, 14**2 + 1),
        ("vit_b_16", "conv_proj", 768, 14**2),
        ("swin_t", "features.1", 96, 56**2),
        ("swin_t", "features.0.1", 96, 56**2),  # which only moves the axes
        ("convnext_tiny", "features.7", 768, 7**2),
        ("densenet121", "features.denseblock1", 256, 56**2),
        ("squeezenet1_0", "classifier.1", 10, 13**2),
        ("mobilenet_v2", "features.18", 1280, 7**2),
    ],
)
def test_filters_are_channels_or_dimensions_of_the_embedding(network, name, filters, positions):
    place = find_layers(skeleton(network), 224).places[name]
    assert (place.filters, place.positions) == (filters, positions)


def test_an_output_is_kept_as_it_was_before_what_follows_changes_it_in_place():
    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=10).eval()
    with torch.no_grad(), tapped(network, ["bn1", "relu"]) as outputs:
        network(images())
        expected = network.bn1(network.conv1(images()))
    assert torch.equal(outputs["bn1"], expected) and expected.min() < 0
    assert torch.equal(outputs["relu"], expected.clamp(min=0))


def test_tokens_come_with_their_dimensions_first():
    torch.manual_seed(0)
    network = torchvision.models.VisionTransformer(16, 8, 1, 2, 6, 12, num_classes=3).eval()
    with torch.no_grad(), tapped(network, ["encoder.layers.encoder_layer_0", "encoder.ln"]) as outputs:
        fields = network(images(size=16))
    assert outputs["encoder.ln"].shape == (3, 6, 5)  # images, dimensions, four patches and the class token
    assert torch.equal(network.heads(outputs["encoder.ln"][:, :, 0]), fields)


class SqueezeAndExcitation(nn.Module):
    """Weighs four channels by their means."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Linear(4, 4)

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels * self.weights(pixels.mean((2, 3)))[..., None, None]


@pytest.mark.parametrize(
    ("layers", "size", "filters"),
    [
        ((nn.Flatten(2), nn.Conv1d(3, 64, 1)), 8, 1),
        ((nn.Conv2d(3, 16, 1), nn.MaxPool2d(2), nn.Flatten(2)), 8, 1),
        ((nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.ReLU()), 8, 1),
        ((nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4), SqueezeAndExcitation()), 4, 1),
        ((nn.Flatten(2), Permute([0, 2, 1]), nn.Linear(3, 64), nn.ReLU()), 8, 2),
        ((Permute([0, 2, 3, 1]), nn.Linear(3, 8)), 8, 3),
        ((nn.Conv2d(3, 8, 1), Permute([0, 2, 3, 1]), nn.LayerNorm(8)), 8, 3),
        ((nn.Conv2d(3, 8, 1), nn.LayerNorm([8, 6, 6])), 6, 1),
    ],
)
def test_the_kind_of_the_last_layer_with_weights_tells_filters_from_as_many_positions(layers, size, filters):
    network = nn.Sequential(*layers).eval()
    last = str(len(layers) - 1)
    with torch.no_grad(), tapped(network, [last]) as outputs:
        expected = network(images(size=size)).movedim(filters, 1)
    assert torch.equal(outputs[last], expected)
    assert find_layers(network, size).places[last].filters == expected.shape[1]


class Concatenated(nn.Module):
    """Four convolutions of as many filters as their sequence is long, (N, 4 * 8, 8)."""

    def __init__(self):
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv1d(3, 8, 1) for _ in range(4))

    def forward(self, sequences: Tensor) -> Tensor:
        return torch.cat([branch(sequences) for branch in self.branches], 1)


def test_filters_of_sequences_that_may_be_their_columns_are_not_guessed():
    network = nn.Sequential(nn.Flatten(2), nn.AdaptiveAvgPool1d(8), Concatenated(), nn.Flatten(), nn.Linear(256, 2))
    assert find_layers(network, 16).unclear == {"2"}
    with torch.no_grad(), tapped(network, ["2"]), pytest.raises(InputError, match="either may come first"):
        network(images(size=16))


def test_pixels_with_features_last_need_not_be_a_square():
    network = nn.Sequential(nn.Conv2d(3, 6, 1), Permute([0, 2, 3, 1]), nn.LayerNorm(6), nn.ReLU())
    with torch.no_grad(), tapped(network, ["2", "3"]) as outputs:
        expected = network(torch.randn(2, 3, 8, 16))
    assert expected.shape == (2, 8, 16, 6)
    assert torch.equal(outputs["3"], expected.permute(0, 3, 1, 2)) and outputs["2"].shape == (2, 6, 8, 16)


def test_filters_that_may_be_columns_are_refused():
    back = nn.Sequential(Permute([0, 2, 3, 1]), nn.Linear(3, 8), Permute([0, 3, 1, 2]))
    found = find_layers(back, 8)
    assert found.unclear == {"2"} and [*found.places] == ["0", "1", "2"]
    assert not find_layers(back, 9).unclear
    expected = "^layers: '2' puts out as many columns as filters, and either may come first; examine another layer, or"
    with pytest.raises(InputError, match=expected), tapped(back, ["2"]):
        back(images(size=8))


def test_a_pass_ends_with_the_last_layer_asked_for():
    class Refusing(nn.Module):
        def forward(self, values: Tensor) -> Tensor:
            raise AssertionError("computed")

    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.ReLU(inplace=True), Refusing())
    with tapped(network, ["1", "2"], to_the_last=False) as outputs:
        network(torch.ones(2, 3, 2, 2))
    assert torch.equal(outputs["2"], outputs["1"].clamp(min=0)) and outputs["1"].min() < 0
    with pytest.raises(AssertionError, match="computed"), tapped(network, ["1"]):
        network(torch.ones(2, 3, 2, 2))
    assert not any(layer._forward_hooks for layer in network.modules())


class Attention(nn.Module):
    """Four tokens of an image of 8x8 pixels, attention over them, and a number for each of two labels."""

    def __init__(self, heads: int):
        super().__init__()
        self.tokens = nn.Conv2d(3, 8, 4, stride=4)
        self.attention = nn.MultiheadAttention(8, heads, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.tokens(images).flatten(2).mT  # (N, 8, 2, 2) -> (N, 4, 8)
        return self.head(self.attention(tokens, tokens, tokens, need_weights=False)[0].mean(1))


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_is_counted_however_many_heads_it_has(heads):
    tokens = 4 * 8 * 3 * 4 * 4
    attention = 4 * 8 * 3 * 8 + 2 * 4 * 4 * 8 + 4 * 8 * 8  # to queries, keys and values; between tokens; out
    assert find_layers(Attention(heads), 8).multiply_accumulates == tokens + attention + 8 * 2
    assert torch.backends.mha.get_fastpath_enabled()


class Recurrent(nn.Module):
    """A recurrent layer over the 8 rows of an image of 8x8 pixels, and a number for each of two labels."""

    def __init__(self, kind: type[nn.RNNBase]):
        super().__init__()
        self.rows = kind(3 * 8, 5, batch_first=True)
        self.head = nn.Linear(5, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.rows(images.transpose(1, 2).flatten(2))[0][:, -1])  # (N, 3, 8, 8) -> (N, 8, 24)


@pytest.mark.parametrize(("kind", "gates"), [(nn.RNN, 1), (nn.GRU, 3), (nn.LSTM, 4)])
def test_recurrent_layers_are_counted(kind, gates):
    assert find_layers(Recurrent(kind), 8).multiply_accumulates == 8 * gates * 5 * (24 + 5) + 5 * 2
    assert torch.backends.mkldnn.enabled == torch.backends.mkldnn.is_available()


def test_a_module_that_puts_out_no_tensor_is_named():
    network = Attention(2)
    with (
        pytest.raises(InputError, match="^layers: 'attention' puts out tuple, which is no tensor; examine a module"),
        tapped(network, ["attention"]),
    ):
        network(torch.zeros(1, 3, 8, 8))
