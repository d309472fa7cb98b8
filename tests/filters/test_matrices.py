"""Fields and decisions: against silencing a head's weights literally, in float64, one filter and image at a time."""

import numpy as np
import pytest
import torch

from singlefilter.backbone.network import Network
from singlefilter.data.dataset import Data
from singlefilter.dilution.remove import decide
from singlefilter.filters import matrices as fields
from singlefilter.filters.matrices import FilterMatrices, filter_matrices, images_per_pass
from singlefilter.training.augment import scale

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("one_thread")
LABEL_COUNT = 4  # the images have labels 0 to 2


@torch.no_grad()
def literal_matrices(features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    label_count, filters, positions = weights.shape
    sums = np.zeros((filters, label_count, label_count))
    decisions = np.zeros((filters, label_count, label_count), dtype=np.int64)
    for filter_number in range(filters):
        silenced = np.zeros(weights.shape)
        silenced[:, filter_number] = weights[:, filter_number]
        head = torch.nn.Linear(filters * positions, label_count, bias=False, dtype=torch.float64)
        head.weight.copy_(torch.from_numpy(silenced).flatten(1))
        for image, label in zip(torch.from_numpy(features).double(), labels, strict=True):
            outputs = head(image.flatten()).tolist()
            sums[filter_number, label] += outputs
            if any(outputs):
                decisions[filter_number, label, outputs.index(max(outputs))] += 1
    return sums, decisions


def correct_without_each(features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Count the images that the head decides correctly with each filter's weights set to 0, in float64."""
    heads = np.stack([weights] * weights.shape[1])  # (F, K, F, S)
    for filter_number, head in enumerate(heads):
        head[:, filter_number] = 0
    return (decide(heads, features) == labels[:, None]).sum(axis=0)


@torch.no_grad()
def network_features(data: Data, make_params, layer: int) -> np.ndarray:
    """Features of a network whose layers 1, 2 and 3 have 16, 4 and 1 positions; float16 (N, F, S)."""
    torch.manual_seed(2)
    backbone = make_params(backbone={"convolutions": [4, "M", 6, "M", 5, "M"]}).chosen_arch.backbone
    network = Network(backbone, 3, image_size=8)
    outputs = network.layer_outputs(scale(torch.from_numpy(data.train.images)), [layer])[layer]
    return outputs.flatten(2).half().numpy()


def random_head(filters: int, positions: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((LABEL_COUNT, filters, positions), dtype=np.float32)


def exact_layer() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels and a head with few binary digits, so that sums are exact in any order."""
    generator = np.random.default_rng(4)
    features = (generator.integers(-8, 9, size=(19, 5, 3)).clip(0) / 4).astype(np.float16)
    head = (generator.integers(-8, 9, size=(LABEL_COUNT, 5, 3)) / 8).astype(np.float32)
    return features, generator.integers(3, size=19), head


def matrices(features: np.ndarray, labels: np.ndarray, weights: np.ndarray, images: int = 1000) -> FilterMatrices:
    starts = range(0, len(labels), images)
    batches = ((features[start : start + images], labels[start : start + images]) for start in starts)
    return filter_matrices(batches, weights, CPU)


@pytest.mark.parametrize(("layer", "positions"), [(1, 16), (2, 4), (3, 1)])
def test_all_filters_of_a_network_equal_literal_silencing(layer, positions, data, make_params):
    features = network_features(data, make_params, layer)
    assert features.shape[2] == positions
    features[:2] = 0  # no filter of these images puts anything out
    features[::3, 1] = 0  # filter 1 of every third image
    features[:, 3] = 0  # filter 3 is silent
    head = random_head(*features.shape[1:])
    found = matrices(features, data.train.labels, head)
    sums, decisions = literal_matrices(features, data.train.labels, head)
    assert found.fields.dtype == np.float64
    assert found.decisions.dtype == found.images_per_label.dtype == np.int64
    np.testing.assert_allclose(found.fields, sums, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.decisions, decisions)
    assert found.correct_without.dtype == np.int64
    np.testing.assert_array_equal(found.correct_without, correct_without_each(features, data.train.labels, head))
    assert len({*found.images_per_label.tolist()}) == 4  # every label has another number of images, one has none
    assert decisions.sum(axis=(1, 2)).max() <= 20


def test_fields_and_decisions_of_a_filter_worked_out_by_hand():
    # Two labels of three, two filters, two positions. Filter 1 is silent.
    features = np.zeros((4, 2, 2), dtype=np.float16)
    features[:, 0] = [[1, 0], [2, 1], [0, 0], [0, 3]]
    head = np.zeros((3, 2, 2), dtype=np.float32)
    head[:, 0] = [[1, -1], [0.5, 2], [-1, -1]]
    head[:, 1] = 7
    found = matrices(features, np.array([0, 0, 0, 1]), head)
    # Image fields: (1, .5, -1), (1, 3, -3), zeros, and for label 1 (-3, 6, -3).
    assert found.fields[0].tolist() == [[2, 3.5, -4], [-3, 6, -3], [0, 0, 0]]
    assert found.decisions[0].tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert not found.fields[1].any() and not found.decisions[1].any()
    assert found.images_per_label.tolist() == [3, 1, 0]


def test_a_filter_whose_fields_are_all_negative_still_decides():
    found = matrices(np.ones((1, 1, 1), np.float16), np.array([1]), -np.array([[[3]], [[1]], [[2]]], dtype=np.float32))
    assert found.decisions.tolist() == [[[0, 0, 0], [0, 1, 0], [0, 0, 0]]]


def test_what_the_head_decides_without_a_filter_worked_out_by_hand():
    # Three labels, three filters of one position; the last votes for labels 1 and 2 alike.
    head = np.float32([[-0.1, 0, 0], [0.3, 0.1, 0.6], [0.2, 0.7, 0.6]])[:, :, None]
    cases = [  # activations, label, and whether it is chosen without filter 0, 1 and 2
        ((1, 0, 0), 0, (1, 0, 0)),  # without filter 0 no field is left, which is label 0
        ((0, 1, 0), 2, (1, 0, 1)),
        ((1, 1, 0), 1, (0, 1, 0)),
        ((3, 1, 0), 1, (0, 1, 0)),  # fields -0.3, 1, 1.3, and without filter 1 -0.3, 0.9, 0.6
        ((0, 0, 1), 1, (1, 1, 0)),  # equal fields are the first label's
        ((1, 0, 1), 1, (1, 1, 1)),
        ((0, 1, 1), 1, (0, 1, 0)),
        ((7, 0, 1), 2, (0, 0, 0)),
    ]
    features = np.float16([activations for activations, _, _ in cases])[:, :, None]
    labels = np.int64([label for _, label, _ in cases])
    expected = np.array([chosen for _, _, chosen in cases])
    for image in range(len(cases)):
        rows = slice(image, image + 1)
        assert matrices(features[rows], labels[rows], head).correct_without.tolist() == expected[rows].sum(0).tolist()
    assert matrices(features, labels, head).correct_without.tolist() == [4, 5, 2]


def test_what_is_left_without_a_filter_is_told_apart_beyond_float32():
    head = np.float32([[0, 0, 0], [2**24, 0, 0], [2**24, 0.5, 0]])[:, :, None]
    found = matrices(np.ones((1, 3, 1), np.float16), np.array([2]), head)
    assert found.correct_without.tolist() == [1, 0, 1]


@pytest.mark.parametrize(("filters", "positions"), [(40, 1), (8, 16)])
def test_success_without_a_filter_is_that_of_the_head_with_its_weights_set_to_0(filters, positions):
    generator = np.random.default_rng(6)
    labels = generator.integers(LABEL_COUNT, size=500)
    head = random_head(filters, positions)
    features = (generator.standard_normal((500, filters, positions)) + 0.3 * head[labels]).clip(0).astype(np.float16)
    found = matrices(features, labels, head, images=70).correct_without
    np.testing.assert_array_equal(found, correct_without_each(features, labels, head))
    assert 200 < found.min() and found.max() < 490 and len(set(found.tolist())) > 4


@pytest.mark.parametrize("images", [1, 2, 7, 18, 19, 20])
def test_streaming_in_chunks_of_any_size_changes_nothing(images):
    features, labels, head = exact_layer()
    found = matrices(features, labels, head, images)
    sums, decisions = literal_matrices(features, labels, head)
    np.testing.assert_array_equal(found.fields, sums)
    np.testing.assert_array_equal(found.decisions, decisions)
    np.testing.assert_array_equal(found.correct_without, correct_without_each(features, labels, head))
    assert found.images_per_label.tolist() == [np.count_nonzero(labels == label) for label in range(LABEL_COUNT)]


def test_the_fields_of_all_filters_sum_to_the_heads_own_outputs():
    features, labels, head = exact_layer()
    outputs = features.astype(np.float64).reshape(19, -1) @ head.reshape(LABEL_COUNT, -1).T
    sums = [outputs[labels == label].sum(axis=0) for label in range(LABEL_COUNT)]
    np.testing.assert_array_equal(matrices(features, labels, head).fields.sum(axis=0), sums)


def test_only_images_whose_fields_are_all_zero_decide_nothing():
    # one filter of one position; its fields on the three outputs are 0, -1 and -2 times its output
    weights = np.float32([0, -1, -2]).reshape(3, 1, 1)
    features = np.float16([1, 0, 2]).reshape(3, 1, 1)
    found = filter_matrices([(features, np.int64([0, 0, 1]))], weights, torch.device("cpu"))
    assert found.decisions.tolist() == [[[1, 0, 0], [1, 0, 0], [0, 0, 0]]]
    assert found.fields.tolist() == [[[0, -1, -2], [0, -2, -4], [0, 0, 0]]]


def test_a_label_without_images_has_zero_sums_and_no_decisions():
    found = matrices(*exact_layer())
    assert found.images_per_label[3] == 0
    assert not found.fields[:, 3].any()
    assert not found.decisions[:, 3].any()
    assert found.fields[:, :, 3].any()  # as an output it has


@pytest.mark.parametrize(
    ("label_count", "filters", "positions", "images"),
    [
        (10, 10, 1, 10),  # 100 fields an image
        (10, 11, 1, 9),
        (10, 500, 1, 1),  # one image always passes
        (10, 10, 11, 9),  # 110 features an image, which are more than its fields
        (3, 10, 50, 2),
        (50, 10, 3, 2),
    ],
)
def test_images_per_pass_bounds_the_features_and_fields_that_are_held(
    label_count, filters, positions, images, monkeypatch
):
    monkeypatch.setattr(fields, "ELEMENTS_PER_PASS", 1000)
    assert images_per_pass(np.zeros((label_count, filters, positions), dtype=np.float32)) == images
