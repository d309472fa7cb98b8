"""What is packed, read back without the page."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singlefilter.explorer.pack import NO_FIELD, Pack, add_fields, code_edges, encode_fields, encode_shares
from singlefilter.paper.values import SWEPT_THRESHOLDS


def read(pack: Pack, name: str) -> np.ndarray:
    kind, shape, first = pack.sections[name]
    return np.frombuffer(pack.content, np.dtype(kind), int(np.prod(shape)), first).reshape(shape)


@pytest.mark.parametrize("threshold", [0.3, 0.37, 0.333, 1 - 0.7, 0.001, 0.999])
def test_a_code_is_above_a_thresholds_number_if_and_only_if_the_field_is_above_the_threshold(threshold):
    thresholds = sorted({*SWEPT_THRESHOLDS, threshold})
    edges = code_edges(thresholds)
    fields = np.concatenate([np.random.default_rng(0).uniform(-3, 1, 10_000), edges, thresholds])
    fields = np.concatenate([fields, np.nextafter(fields, 2), np.nextafter(fields, -9)])
    codes = encode_fields(fields, edges)
    for value in thresholds:
        assert ((codes > edges.tolist().index(value)) == (fields > value)).all()


@pytest.mark.parametrize("thresholds", [list(SWEPT_THRESHOLDS), sorted({*SWEPT_THRESHOLDS, 0.333})])
def test_codes_are_hundredths_and_leave_one_for_what_is_no_number(thresholds):
    edges = code_edges(thresholds)
    assert len(edges) <= NO_FIELD - 1 and (np.diff(edges) > 0).all() and edges[-1] == 1 and edges[0] < -1.4
    assert set(np.diff(edges).round(4)) <= {0.01, 0.003, 0.007}
    codes = encode_fields(np.array([np.nan, -99.0, 1.0, 0.415, -0.005]), edges)
    assert codes[0] == NO_FIELD and codes[1] == 0
    assert edges[codes[2:]].tolist() == [1.0, 0.42, 0.0]  # the next edge that is not below


def test_shares_are_per_cent_of_the_decided_images():
    decisions = np.array([[[1, 2], [0, 0]], [[0, 5], [1, 999]]])
    assert encode_shares(decisions).tolist() == [[[33, 67], [NO_FIELD, NO_FIELD]], [[0, 100], [0, 100]]]


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_arrays_of_any_length_and_type_are_read_back(lengths):
    pack, arrays = Pack(), {}
    for number, length in enumerate(lengths):
        kind = (np.uint8, np.uint16, np.int32, np.float32)[number % 4]
        arrays[str(number)] = np.arange(length, dtype=kind) * 3
        pack.add(str(number), arrays[str(number)])
    for name, array in arrays.items():
        assert read(pack, name).tolist() == array.tolist() and read(pack, name).dtype == array.dtype
        assert pack.sections[name][2] % 8 == 0


def test_fields_are_means_over_a_labels_images_and_a_label_without_images_has_none():
    sums = np.array([[[8.0, -4, 2], [1, 2, 0], [0, 0, 0]], [[-1.0, -2, -1], [-1, -1, -3], [0, 0, 0]]])
    pack, edges = Pack(), code_edges(SWEPT_THRESHOLDS)
    add_fields(pack, "a", "test", sums, np.array([4, 2, 0]), edges)
    codes = read(pack, "a/test")
    shown = [[1.0, -0.5, 0.25], [0.25, 0.5, 0]]
    assert edges[codes[0, :2]].tolist() == shown and (codes[0, 2] == NO_FIELD).all()
    assert (codes[1] == NO_FIELD).all()  # silent
    assert read(pack, "a/largest").tolist() == [2.0, -0.25]
    assert read(pack, "a/own").tolist() == [[2.0, 1.0, 0.0], [-0.25, -0.5, 0.0]]
