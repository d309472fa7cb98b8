import numpy as np
import pytest

from singlefilter.filters.clusters import clip, clusters, normalise_fields
from singlefilter.filters.layer_clusters import LayerClusters, cluster_layer
from singlefilter.statistics.signal import FieldSums, counted_signal, measure_signal, own_and_others, signal_of_all
from tests.hand_made_filters import find_layer_clusters

NAMES = ("fields_in_clusters", "fields_beside_clusters", "fields_off_clusters", "field_gap")

# Clusters at 0.3: (0, 1); the field that equals the threshold is not above it.
FILTER = np.array([[1.0, 0.5, -0.2], [0.4, 0.8, 0.3], [0.1, -1.2, 0.2]])


def add_up(sums, images=None, weights=None, threshold=0.3, parts=1) -> FieldSums:
    """Add up filters, float (F, K, K), in several parts."""
    images = np.ones(sums.shape[1], dtype=int) if images is None else images
    weights = np.ones((1, len(sums))) if weights is None else weights
    found = FieldSums(weights, images, threshold)
    for part in np.array_split(sums, parts):
        fields, silent, _ = normalise_fields(part, images)
        found.add(fields, find_layer_clusters(clip(fields, threshold), silent))
    return found


def measure(sums, images=None, weights=None, threshold=0.3, parts=1) -> dict[str, np.ndarray]:
    """All statistics of the fields of filters, float (F, K, K)."""
    images = np.ones(sums.shape[1], dtype=int) if images is None else images
    weights = np.ones((1, len(sums))) if weights is None else weights
    found = add_up(sums, images, weights, threshold, parts).statistics()
    clusters, largest = cluster_layer(sums, images, [threshold])[threshold], normalise_fields(sums, images)[2]
    return found | measure_signal(sums, images, clusters, largest, weights, found["fields_in_clusters"])


def all_of(totals, labels) -> dict[str, float]:
    """The signal of sums of all fields, float (D, R, K), in draw 0."""
    return values_of(signal_of_all(own_and_others(totals, labels), totals.shape[2]))


def values_of(statistics, draw=0) -> dict[str, float]:
    return {name: values[draw] for name, values in statistics.items()}


def plain_groups(sums, images, threshold) -> dict[str, list[float]]:
    """All fields of a layer in clusters' blocks, beside and off them, element by element."""
    groups = {"in": [], "beside": [], "off": []}
    for fields, silent, _ in zip(*normalise_fields(sums, images), strict=True):
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


def layer_of(numbers, noise=None, silent=None) -> LayerClusters:
    """A layer of filters whose labels are in the clusters of these numbers, int (F, K)."""
    numbers = np.array(numbers)
    filters = len(numbers)
    noise = np.zeros(filters, dtype=int) if noise is None else np.array(noise)
    return LayerClusters(
        np.zeros(filters, dtype=bool) if silent is None else np.array(silent, dtype=bool), noise, numbers
    )


def test_clusters_like_the_papers_of_layer_13_give_its_signal_to_noise():
    # 512 filters of a cluster each, .24 of two labels, .64 of three, .12 of four.
    sizes = np.repeat([2, 3, 4], [123, 328, 61])
    found = counted_signal(layer_of([[0] * size + [-1] * (10 - size) for size in sizes]), 10, np.ones((1, 512)))
    total, pairs = 123 * 2 + 328 * 3 + 61 * 4, 123 * 2 + 328 * 6 + 61 * 12
    assert found["signal_counted"] == pytest.approx(total / 10)
    assert found["interference_counted"] == pytest.approx(pairs / 90)
    assert found["snr_counted"] == pytest.approx(9 * total / pairs)
    assert found["snr_counted"] == pytest.approx(4.5, abs=0.02)  # method, section 5


def test_counts_are_those_of_labels_and_pairs_one_by_one():
    numbers = [[0, 0, 1, -1], [0, 0, 0, 1], [-1, -1, -1, -1], [0, -1, 0, 0], [0, 0, 0, 0]]
    layer = layer_of(numbers, noise=[3, 0, 4, 1, 9], silent=[0, 0, 0, 0, 1])
    weights = np.array([[1, 1, 1, 1, 1], [2, 0, 1, 3, 5], [0, 0, 1, 0, 2], [0, 0, 0, 0, 1]])
    found = counted_signal(layer, 4, weights)
    for draw, copies in enumerate(weights[:3]):
        holds = {(i,): 0 for i in range(4)} | {(i, j): 0 for i in range(4) for j in range(4) if i != j}
        for row, number in zip(numbers[:4], copies, strict=False):
            for labels in holds:
                if len({row[label] for label in labels}) == 1 and row[labels[0]] >= 0:
                    holds[labels] += number
        signal = sum(count for labels, count in holds.items() if len(labels) == 1) / 4
        interference = sum(count for labels, count in holds.items() if len(labels) == 2) / 12
        noise = np.dot(copies[:4], [3, 0, 4, 1]) / 12
        expected = {
            "signal_counted": signal,
            "interference_counted": interference,
            "noise_counted": noise,
            "snr_counted": signal / interference if interference else np.nan,
            "snr_counted_with_noise": signal / (interference + noise),
        }
        assert values_of(found, draw) == pytest.approx(expected, nan_ok=True)
    assert np.isnan(list(values_of(found, 3).values())).all()  # nothing but silent filters


def test_noise_is_counted_on_all_outputs_though_some_labels_have_no_images():
    found = counted_signal(layer_of([[0, 0, 1, -1, -1]] * 3, noise=[2, 3, 4]), 3, np.ones((1, 3)))
    assert found["noise_counted"] == pytest.approx(9 / (3 * 4))
    assert found["interference_counted"] == pytest.approx(3 * 2 / (3 * 2))


def test_clusters_of_single_labels_have_no_counted_ratio():
    found = values_of(counted_signal(layer_of([[0, 1, 2], [-1, 0, -1]]), 3, np.ones((1, 2))))
    assert (found["signal_counted"], found["interference_counted"]) == (4 / 3, 0)
    assert np.isnan(found["snr_counted"]) and np.isnan(found["snr_counted_with_noise"])


def plain_signal(sums, images, threshold) -> dict[str, float]:
    """Signal and noise by the words of Fig. 6, filter by filter and label by label."""
    labels, unit = np.flatnonzero(images), np.mean(plain_groups(sums, images, threshold)["in"])
    fields, silent, _ = normalise_fields(sums, images)
    found = {name: [] for name in ("signal", "first", "largest", "own", "others")}
    for i in labels:
        inside, outside = np.zeros(len(images)), np.zeros(len(images))
        for matrix in fields[~silent]:
            members = {label for group in clusters(clip(matrix, threshold)) for label in group}
            if i in members:
                inside += matrix[i]
            else:
                outside += matrix[i]
        others = [j for j in range(len(images)) if j != i]
        found["signal"].append(inside[i] / unit)
        found["first"].append(np.mean(inside[others]) / unit)
        found["largest"].append(max(inside[others]) / unit)
        found["own"].append(outside[i] / unit)
        found["others"].append(np.mean(outside[others]) / unit)
    means = {name: float(np.mean(values)) for name, values in found.items()}
    return {
        "signal": means["signal"],
        "first_noise": means["first"],
        "first_noise_largest": means["largest"],
        "second_noise": means["own"],
        "second_noise_others": means["others"],
    }


@pytest.mark.parametrize(("bias", "threshold"), [(-0.6, 0.3), (0.2, 0.3), (0.8, 0.55)])
def test_signal_and_noise_are_those_of_the_papers_words(bias, threshold):
    sums, images = layer_with_gaps()
    sums[:, images > 0] += bias - 0.2
    sums[[5, 17]] = -1
    found = values_of(measure(sums, images, threshold=threshold, parts=3))
    expected = plain_signal(sums, images, threshold)
    assert {name: found[name] for name in expected} == pytest.approx(expected, nan_ok=True)
    assert (expected["first_noise"] > 0) == (bias > 0)  # both kinds are among the cases


def test_fields_whose_rows_sum_to_zero_have_a_negative_first_noise_whatever_was_learnt():
    """As a softmax head's without bias: the mean over the other outputs is -S / (K - 1) (method, section 5)."""
    sums = np.random.default_rng(1).normal(size=(30, 5, 5))
    sums -= sums.mean(axis=2, keepdims=True)
    found = values_of(measure(sums))
    assert found["first_noise"] == pytest.approx(-found["signal"] / 4)
    assert found["second_noise_others"] == pytest.approx(-found["second_noise"] / 4)


def test_signal_noise_and_margin_of_a_sum_of_fields():
    totals = np.array([[[4.0, 1, -1], [2, 6, 0], [1, 3, 5]]])
    assert all_of(totals, np.arange(3)) == pytest.approx(
        {
            "total_signal": 5,
            "total_noise_rms": np.sqrt((1 + 1 + 4 + 0 + 1 + 9) / 6),
            "snr_rms": 5 / np.sqrt(16 / 6),
            "margin": ((4 - 1) + (6 - 2) + (5 - 3)) / (4 + 6 + 5),
        }
    )


def test_the_signal_of_labels_without_images_is_left_out():
    totals = np.array([[[4.0, 1, -1], [1, 3, 5]]])  # of the labels 0 and 2
    assert all_of(totals, np.array([0, 2])) == pytest.approx(
        {
            "total_signal": 4.5,
            "total_noise_rms": np.sqrt((1 + 1 + 1 + 9) / 4),
            "snr_rms": 4.5 / np.sqrt(3),
            "margin": ((4 - 1) + (5 - 3)) / 9,
        }
    )


def test_a_sum_without_noise_has_no_ratio():
    found = all_of(np.array([[[2.0, 0], [0, 4]]]), np.arange(2))
    assert (found["total_signal"], found["total_noise_rms"], found["margin"]) == (3, 0, 1)
    assert np.isnan(found["snr_rms"])


def test_fields_in_beside_and_off_the_clusters_of_a_filter():
    found = values_of(measure(7 * FILTER[np.newaxis]))
    inside, beside, off = (1 + 0.5 + 0.4 + 0.8) / 4, (-0.2 + 0.3) / 2, (0.1 - 1.2 + 0.2) / 3
    assert [found[name] for name in NAMES] == pytest.approx([inside, beside, off, 0.3 / 0.675])
    assert found["total_signal"] == pytest.approx((1 + 0.8 + 0.2) / 3)


def test_columns_are_full_from_eight_of_ten_rows_on():
    fields = np.full((2, 10, 10), 0.1)
    fields[:, 0, 0] = 1
    fields[0, :8, 3] = fields[0, 1:8, 5] = 0.6  # 8 and 7 of 10
    fields[1, :, [1, 2]] = 0.9
    found = measure(fields, weights=np.array([[1.0, 1], [1, 0]]))
    assert found["full_columns"] == pytest.approx([3 / 2, 1])
    assert found["full_columns_share"] == pytest.approx([(8 + 20) / (1 + 8 + 7 + 1 + 20), 8 / 16])


def test_a_field_above_threshold_outside_a_block_is_in_no_mean():
    # Label 0 alone is a cluster: 0.9 is above threshold, but in no block.
    found = values_of(measure(np.array([[[1.0, 0.9], [0.2, -0.2]]])))
    assert [found[name] for name in NAMES] == pytest.approx([1, np.nan, 0, 0], nan_ok=True)


@pytest.mark.parametrize("threshold", [0.3, 0.55])
def test_the_fields_of_a_layer_are_those_of_the_plain_version(threshold):
    sums, images = layer_with_gaps()
    groups = plain_groups(sums, images, threshold)
    found = values_of(measure(sums, images, threshold=threshold))
    means = [np.mean(groups[name]) for name in ("in", "beside", "off")]
    assert [found[name] for name in NAMES] == pytest.approx([*means, abs(means[2] / means[0])])
    assert found["field_gap_absolute"] == pytest.approx(np.mean(np.abs(groups["off"])) / means[0])
    fields, silent, _ = normalise_fields(sums, images)
    total = fields[~silent].sum(axis=0)
    others = [total[i, j] for i in (0, 1, 3, 4, 5) for j in range(6) if i != j]
    assert found["total_signal"] == pytest.approx(np.mean(np.diag(total)[images > 0]))
    assert found["total_noise_rms"] == pytest.approx(np.sqrt(np.mean(np.square(others))))


def test_weights_are_numbers_of_copies():
    sums, images = layer_with_gaps()
    copies = np.random.default_rng(0).integers(4, size=(2, 40))
    found = measure(sums, images, weights=copies.astype(float))
    for draw in range(2):
        expected = values_of(measure(np.repeat(sums, copies[draw], axis=0), images))
        assert values_of(found, draw) == pytest.approx(expected)


def test_it_does_not_matter_in_which_parts_a_layer_comes():
    sums, images = layer_with_gaps()
    weights = np.random.default_rng(0).integers(3, size=(3, 40)).astype(float)
    whole, parts = (add_up(sums, images, weights, parts=parts) for parts in (1, 7))
    assert whole.histogram().equals(parts.histogram())
    for name, values in whole.statistics().items():
        assert values == pytest.approx(parts.statistics()[name]), name


def test_a_layer_of_silent_filters_adds_up_to_nothing():
    sums = -np.ones((2, 3, 3))
    assert np.isnan(list(values_of(measure(sums)).values())).all()
    assert add_up(sums).histogram()["count"].tolist() == [0] * 132


def test_a_filter_without_clusters_has_a_signal_but_no_fields_in_clusters():
    found = values_of(measure(np.array([[[0.0, 1], [1, -1]]])))
    assert found.pop("fields_off_clusters") == -0.5
    assert (found.pop("full_columns"), found.pop("full_columns_share")) == (0, 0)
    assert found.pop("total_signal") == -0.5
    assert (found.pop("total_noise_rms"), found.pop("snr_rms")) == (1, -0.5)
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


def test_a_column_is_full_by_the_rows_that_have_images():
    fields = np.full((1, 6, 6), 0.1)
    fields[0, 0, 0], fields[0, :4, 3], fields[0, 5] = 1, 0.6, 0
    assert measure(fields, np.array([1, 1, 1, 1, 1, 0]))["full_columns"] == [1]  # 4 of 5 rows
