"""Features of augmented images: against moving each image by hand, and heads on them against heads on stored ones."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor

from singlefilter.backbone.network import Network
from singlefilter.data.dataset import Data
from singlefilter.features.augmented import AugmentedFeatures
from singlefilter.features.extract import filter_scales
from singlefilter.heads.train import StoredFeatures, train_heads
from singlefilter.training.augment import scale

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def network(make_params, data) -> Network:
    """A network whose batch-norms have seen the images; it is left in training mode."""
    torch.manual_seed(4)
    made = Network(make_params().chosen_arch.backbone, 3, image_size=8)
    with torch.no_grad():
        made(scale(torch.from_numpy(data.train.images)))
    return made


def augmented(network: Network, data: Data, translation: int = 1, flip: bool = True, precision: str = "float32"):
    return AugmentedFeatures(
        network, torch.from_numpy(data.train.images), [1, 2], translation, flip, precision, device=CPU
    )


def moved(image: np.ndarray, flip: bool, down: int, right: int) -> Tensor:
    """What a window sees that is moved over a mirrored image (8, 8, 3), mid grey outside; (1, 3, 8, 8)."""
    values = image[:, ::-1] if flip else image
    canvas = np.zeros((24, 24, 3))
    canvas[8:16, 8:16] = values / 255 * 2 - 1
    return torch.from_numpy(canvas[8 + down : 16 + down, 8 + right : 16 + right]).float().permute(2, 0, 1)[None]


def test_rows_are_the_outputs_for_images_that_are_flipped_and_moved(network, data):
    index, flips = torch.tensor([3, 0, 21]), torch.tensor([True, False, True])
    shifts = torch.tensor([[1, -2], [0, 3], [-4, 0]])
    features = augmented(network, data)
    found = dict(features.rows(index, flips, shifts))
    assert features.shapes == {1: (4, 16), 2: (6, 16)} and (features.translation, features.flip) == (1, True)
    places = {3: (True, 1, -2), 0: (False, 0, 3), 21: (True, -4, 0)}
    images = [moved(data.train.images[number], *place) for number, place in places.items()]
    expected = copy.deepcopy(network).eval().layer_outputs(torch.cat(images), [1, 2])
    for layer, rows in found.items():
        assert rows.dtype == torch.float32 and not rows.requires_grad
        torch.testing.assert_close(rows, expected[layer].flatten(1), rtol=1e-5, atol=1e-6)


def test_the_network_stays_as_it_is(network, data):
    before = copy.deepcopy(network.state_dict())
    rows = augmented(network, data).rows
    for _ in range(2):
        list(rows(torch.arange(9), torch.ones(9, dtype=torch.bool), torch.ones(9, 2, dtype=torch.int64)))
    assert all(torch.equal(values, before[name]) for name, values in network.state_dict().items())


def test_bf16_computes_in_bf16(network, data):
    still = torch.zeros(22, dtype=torch.bool), torch.zeros(22, 2, dtype=torch.int64)
    exact = dict(augmented(network, data).rows(torch.arange(22), *still))
    for layer, rows in augmented(network, data, precision="bf16").rows(torch.arange(22), *still):
        assert rows.dtype == torch.float32 and torch.equal(rows, rows.bfloat16().float())
        assert not torch.equal(rows, exact[layer])
        torch.testing.assert_close(rows, exact[layer], rtol=0.05, atol=0.05)


def test_heads_on_stored_features_equal_heads_on_live_ones_to_float16s_rounding(network, data, make_params):
    live = augmented(network, data, translation=0, flip=False)
    labels, params = torch.from_numpy(data.train.labels), make_params()
    outputs = network.layer_outputs(scale(torch.from_numpy(data.train.images)), [1, 2])
    scales = {layer: filter_scales(values.detach().amax((0, 2, 3))) for layer, values in outputs.items()}
    stored = {
        layer: (values.detach() / scales[layer][:, None, None]).flatten(2).half() for layer, values in outputs.items()
    }
    one = train_heads(live, labels, 3, params, 0)
    other = train_heads(StoredFeatures(stored, scales), labels, 3, params, 0)
    initial = train_heads(live, labels, 3, make_params(heads={"epochs": 0}), 0)
    for layer in (1, 2):
        torch.testing.assert_close(one[layer], other[layer], rtol=0, atol=2e-3)
        assert (one[layer] - initial[layer]).abs().max() > 0.05


def test_each_epoch_moves_the_images_anew(network, data, make_params, monkeypatch):
    features, seen = augmented(network, data), []
    original = features.rows
    monkeypatch.setattr(features, "rows", lambda *step: seen.append([part.clone() for part in step]) or original(*step))
    train_heads(features, torch.from_numpy(data.train.labels), 3, make_params(heads={"batch_size": 22}), 0)
    assert len(seen) == 3  # epochs of one step
    by_image = [{int(i): (bool(f), *map(int, s)) for i, f, s in zip(*step, strict=True)} for step in seen]
    assert all(sorted(moves) == list(range(22)) for moves in by_image)
    assert by_image[0] != by_image[1] != by_image[2]
    assert {shift for moves in by_image for _, *shifts in moves.values() for shift in shifts} == {-1, 0, 1}
    assert {flip for moves in by_image for flip, *_ in moves.values()} == {True, False}
