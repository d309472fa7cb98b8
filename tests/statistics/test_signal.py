import numpy as np
import pytest

from singlefilter.filters.clusters import clip, clusters, normalise_fields
from singlefilter.filters.layer_clusters import find_layer_clusters
from singlefilter.statistics.signal import FieldSums, counted_signal, measured_signal

NAMES = ("fields_in_clusters", "fields_beside_clusters", "fields_off_clusters", "field_gap")

# Clusters at 0.3: (0, 1); the field that equals the threshold is not above it.
FILTER = np.array([[1.0, 0.5, -0.2], [0.4, 0.8, 0.3], [0.1, -1.2, 0.2]])


def add_up(sums, images=None, weights=None, threshold=0.3, parts=1) -> FieldSums:
    """Add up filters, float (F, K, K), in several parts."""
    images = np.ones(sums.shape[1], dtype=int) if images is None else images
    weights = np.ones((1, len(sums))) if weights is None else weights
    found = FieldSums(weights, images, threshold)
    for part in np.array_split(sums, parts):
        fields, silent = normalise_fields(part, images)
        found.add(fields, find_layer_clusters(clip(fields, threshold), silent))
    return found


def values_of(statistics, draw=0) -> dict[str, float]:
    return {name: values[draw] for name, values in statistics.items()}


def plain_groups(sums, images, threshold) -> dict[str, list[float]]:
    """All fields of a layer in clusters' blocks, beside and off them, element by element."""
    groups = {"in": [], "beside": [], "off": []}
    for fields, silent in zip(*normalise_fields(sums, images), strict=True):
        if silent:
            continue
        found = clusters(clip(fields, threshold))
        clustered = {label for labels in found for label in labels}
        for row in np.flatnonzero(images):
            for column in range(len(fields)):
                if any(row in labels and column in labels for labels in found):
                    groups["in"].append(fields[row, column])
                elif fields[row, column] <= threshold:
                    groups["beside" if row in clustered else "off"].append(fields[row, column])
    return groups


def layer_with_gaps() -> tuple[np.ndarray, np.ndarray]:
    """Forty random filters of six labels, two of them silent; the label 2 has no images."""
    sums = np.random.default_rng(3).normal(0.2, 1, (40, 6, 6))
    images = np.array([4, 2, 0, 3, 1, 5])
    sums[[5, 17]] = -np.abs(sums[[5, 17]])
    sums[:, 2] = 0
    return sums, images


def test_the_papers_averages_of_layer_13_give_its_signal_to_noise():
    # The text around Fig. 6: about 150 clusters a label, interference about 30, so S / I about 5.
    found = counted_signal(np.array([512.0]), np.array([1.0]), np.array([2.88]), np.array([1.5]), 10)
    assert values_of(found) == pytest.approx(
        {
            "signal_counted": 147.456,
            "interference_counted": 147.456 * 1.88 / 9,
            "noise_counted": 512 * 1.5 / 90,
            "snr_counted": 9 / 1.88,
            "snr_counted_with_noise": 147.456 / (147.456 * 1.88 / 9 + 512 * 1.5 / 90),
        }
    )
    assert found["interference_counted"] == pytest.approx(30.8, abs=0.05)
    assert found["snr_counted"] == pytest.approx(4.79, abs=0.005)


def test_a_count_without_interference_has_no_ratio_and_none_at_all_no_number():
    unknown = np.nan
    filters, noise = np.array([8.0, 8, 0]), np.array([2.0, 2, unknown])
    found = counted_signal(filters, np.array([2.0, 0, unknown]), np.array([1.0, unknown, unknown]), noise, 4)
    assert values_of(found) == pytest.approx(
        {
            **{"signal_counted": 4.0, "interference_counted": 0.0, "noise_counted": 4 / 3},
            **{"snr_counted": unknown, "snr_counted_with_noise": 3.0},
        },
        nan_ok=True,
    )
    assert np.isnan(found["signal_counted"][1:]).all()
    assert found["noise_counted"] == pytest.approx([4 / 3, 4 / 3, np.nan], nan_ok=True)


def test_signal_noise_and_margin_of_a_sum_of_fields():
    totals = np.array([[[4.0, 1, -1], [2, 6, 0], [1, 3, 5]]])
    assert values_of(measured_signal(totals, np.arange(3))) == pytest.approx(
        {
            "signal_measured": 5,
            "noise_measured": np.sqrt((1 + 1 + 4 + 0 + 1 + 9) / 6),
            "snr_measured": 5 / np.sqrt(16 / 6),
            "margin": ((4 - 1) + (6 - 2) + (5 - 3)) / (4 + 6 + 5),
        }
    )


def test_the_signal_of_labels_without_images_is_left_out():
    totals = np.array([[[4.0, 1, -1], [1, 3, 5]]])  # of the labels 0 and 2
    assert values_of(measured_signal(totals, np.array([0, 2]))) == pytest.approx(
        {
            "signal_measured": 4.5,
            "noise_measured": np.sqrt((1 + 1 + 1 + 9) / 4),
            "snr_measured": 4.5 / np.sqrt(3),
            "margin": ((4 - 1) + (5 - 3)) / 9,
        }
    )


def test_a_sum_without_noise_has_no_ratio():
    found = values_of(measured_signal(np.array([[[2.0, 0], [0, 4]]]), np.arange(2)))
    assert (found["signal_measured"], found["noise_measured"], found["margin"]) == (3, 0, 1)
    assert np.isnan(found["snr_measured"])


def test_fields_in_beside_and_off_the_clusters_of_a_filter():
    found = values_of(add_up(7 * FILTER[np.newaxis]).statistics())
    inside, beside, off = (1 + 0.5 + 0.4 + 0.8) / 4, (-0.2 + 0.3) / 2, (0.1 - 1.2 + 0.2) / 3
    assert [found[name] for name in NAMES] == pytest.approx([inside, beside, off, 0.3 / 0.675])
    assert found["signal_measured"] == pytest.approx((1 + 0.8 + 0.2) / 3)


def test_a_field_above_threshold_outside_a_block_is_in_no_mean():
    # Label 0 alone is a cluster: 0.9 is above threshold, but in no block.
    found = values_of(add_up(np.array([[[1.0, 0.9], [0.2, -0.2]]])).statistics())
    assert [found[name] for name in NAMES] == pytest.approx([1, np.nan, 0, 0], nan_ok=True)


@pytest.mark.parametrize("threshold", [0.3, 0.55])
def test_the_fields_of_a_layer_are_those_of_the_plain_version(threshold):
    sums, images = layer_with_gaps()
    groups = plain_groups(sums, images, threshold)
    found = values_of(add_up(sums, images, threshold=threshold).statistics())
    means = [np.mean(groups[name]) for name in ("in", "beside", "off")]
    assert [found[name] for name in NAMES] == pytest.approx([*means, abs(means[2] / means[0])])
    fields, silent = normalise_fields(sums, images)
    total = fields[~silent].sum(axis=0)
    others = [total[i, j] for i in (0, 1, 3, 4, 5) for j in range(6) if i != j]
    assert found["signal_measured"] == pytest.approx(np.mean(np.diag(total)[images > 0]))
    assert found["noise_measured"] == pytest.approx(np.sqrt(np.mean(np.square(others))))


def test_weights_are_numbers_of_copies():
    sums, images = layer_with_gaps()
    copies = np.random.default_rng(0).integers(4, size=(2, 40))
    found = add_up(sums, images, weights=copies.astype(float)).statistics()
    for draw in range(2):
        expected = values_of(add_up(np.repeat(sums, copies[draw], axis=0), images).statistics())
        assert values_of(found, draw) == pytest.approx(expected)


def test_it_does_not_matter_in_which_parts_a_layer_comes():
    sums, images = layer_with_gaps()
    weights = np.random.default_rng(0).integers(3, size=(3, 40)).astype(float)
    whole, parts = (add_up(sums, images, weights, parts=parts) for parts in (1, 7))
    assert whole.histogram().equals(parts.histogram())
    for name, values in whole.statistics().items():
        assert values == pytest.approx(parts.statistics()[name]), name


def test_a_layer_of_silent_filters_adds_up_to_nothing():
    found = add_up(-np.ones((2, 3, 3)))
    assert np.isnan(list(values_of(found.statistics()).values())).all()
    assert found.histogram()["count"].tolist() == [0] * 132


def test_a_filter_without_clusters_has_a_signal_but_no_fields_in_clusters():
    found = values_of(add_up(np.array([[[0.0, 1], [1, -1]]])).statistics())
    assert found.pop("fields_off_clusters") == -0.5
    assert found.pop("signal_measured") == -0.5
    assert (found.pop("noise_measured"), found.pop("snr_measured")) == (1, -0.5)
    assert np.isnan(list(found.values())).all()


def test_the_histogram_counts_the_fields_that_are_not_above_threshold_by_kind_of_row():
    table = add_up(FILTER[np.newaxis]).histogram()
    counted = table[table["count"] > 0].drop(columns="count")
    assert table["count"].max() == 1
    assert counted.to_csv(index=False, float_format="%.6g").split() == [
        *("rows,low,high", "cluster,-0.2,-0.18", "cluster,0.28,0.3"),
        *("other,,-1", "other,0.1,0.12", "other,0.2,0.22"),
    ]


@pytest.mark.parametrize(
    ("threshold", "bins", "last"),
    [(0.3, 66, (0.28, 0.3)), (0.35, 69, (0.34, 0.35)), (0.14, 58, (0.12, 0.14)), (0.58, 80, (0.56, 0.58))],
)
def test_bins_are_equally_wide_and_end_with_the_threshold(threshold, bins, last):
    table = add_up(FILTER[np.newaxis], threshold=threshold).histogram()
    for _, rows in table.groupby("rows"):
        assert len(rows) == bins
        assert np.isnan(rows["low"].iloc[0])
        assert rows["high"].iloc[0] == -1
        assert rows["low"].tolist()[1:] == rows["high"].tolist()[:-1]
        np.testing.assert_allclose(rows["high"].diff()[1:-1], 0.02)
        assert (rows["low"].iloc[-1], rows["high"].iloc[-1]) == last


def test_the_histogram_of_a_layer_is_numpys():
    sums, images = layer_with_gaps()
    groups = plain_groups(sums, images, 0.35)
    table = add_up(sums, images, threshold=0.35).histogram()
    edges = [-np.inf, *(np.arange(-50, 18) / 50), 0.35]
    for rows, name in (("cluster", "beside"), ("other", "off")):
        expected, _ = np.histogram(groups[name], edges)
        assert table.loc[table["rows"] == rows, "count"].tolist() == expected.tolist()
        assert expected[0] > 0  # some are below -1
