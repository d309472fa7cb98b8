import h5py
import numpy as np
import pytest

from singlefilter.filters.layer_clusters import cluster_layer, label_slabs, slabs
from singlefilter.pipeline.files import write_hdf5


def test_thresholds_are_applied_to_means_over_unequal_numbers_of_images():
    # Means [[4, 2], [1, 4]], so normalised [[1, 0.5], [0.25, 1]]; the sums alone would give [[0.1, 0.05], [0.25, 1]].
    fields = np.array([[[4.0, 2.0], [10.0, 40.0]]])
    found = cluster_layer(fields, np.array([1, 10]), [0.2, 0.3, 0.6])
    assert {threshold: clusters.numbers.tolist() for threshold, clusters in found.items()} == {
        0.2: [[0, 0]],
        0.3: [[0, 1]],
        0.6: [[0, 1]],
    }
    assert {threshold: clusters.noise.tolist() for threshold, clusters in found.items()} == {
        0.2: [0],
        0.3: [1],
        0.6: [0],
    }


def test_the_walk_of_a_layer_can_be_reversed():
    fields = np.zeros((1, 4, 4))
    fields[0, :3, :3] = fields[0, 2:, 2:] = 1
    forward, backward = (cluster_layer(fields, np.ones(4), [0.3], reverse)[0.3] for reverse in (False, True))
    assert (forward.numbers.tolist(), forward.noise.tolist()) == ([[0, 0, 0, 1]], [2])
    assert (backward.numbers.tolist(), backward.noise.tolist()) == ([[1, 1, 0, 0]], [4])


def test_slabs_are_small_and_together_the_whole(tmp_path):
    matrices = np.arange(7 * 3 * 3).reshape(7, 3, 3)
    with write_hdf5(tmp_path / "fields.h5") as file:
        file["fields"] = matrices
    with h5py.File(tmp_path / "fields.h5") as file:
        parts = list(slabs(file["fields"], elements=20))
    assert [len(part) for part in parts] == [2, 2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(parts), matrices)
    assert [len(part) for part in slabs(matrices, elements=1)] == [1] * 7


@pytest.mark.parametrize("elements", [1, 50, 10**6])
def test_labels_are_read_one_after_another(tmp_path, elements):
    with write_hdf5(tmp_path / "fields.h5") as file:
        file["fields"] = np.arange(7 * 3 * 3).reshape(7, 3, 3)
    with h5py.File(tmp_path / "fields.h5") as file:
        labels, rows = zip(*label_slabs(file["fields"], elements), strict=True)
    assert labels == (0, 1, 2)
    for label in labels:
        assert rows[label].tolist() == [[9 * number + 3 * label + j for j in range(3)] for number in range(7)]


def test_a_layer_read_in_several_slabs_keeps_the_order_of_its_filters():
    fields = np.zeros((5, 1500, 1500), dtype=np.float32)  # one filter a slab
    for filter_number in range(4):  # the last filter stays silent
        fields[filter_number, : filter_number + 1, : filter_number + 1] = 1
        fields[filter_number, 9, :filter_number] = 1
    assert len(list(slabs(fields))) > 1
    found = cluster_layer(fields, np.ones(1500), [0.3])[0.3]
    assert (found.numbers >= 0).sum(axis=1).tolist() == [1, 2, 3, 4, 0]
    assert found.noise.tolist() == [0, 1, 2, 3, 0]
    assert found.silent.tolist() == [False] * 4 + [True]
