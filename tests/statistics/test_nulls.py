import numpy as np
import pytest

from singlefilter.filters.clusters import clip, clusters, noise, normalise_fields
from singlefilter.statistics.cluster_means import layer_statistics
from singlefilter.statistics.nulls import NULLS, NullLayer, mean_and_std, null_draws, shuffle
from singlefilter.statistics.over_samples import nulls_table
from tests.hand_made_filters import find_layer_clusters

of_every_null = pytest.mark.parametrize("null", NULLS)


def null_of(null, clipped, images=None, parts=1, seed=0) -> NullLayer:
    images = np.ones(clipped.shape[1], dtype=int) if images is None else images
    found = NullLayer(null, len(clipped), images, layer=2, seed=seed)
    for part in np.array_split(clipped, parts):
        found.add(part)
    return found


def z_of(null, clipped) -> dict[str, float]:
    measured = layer_statistics(find_layer_clusters(clipped, np.zeros(len(clipped), dtype=bool)))
    table = null_of(null, clipped).table()
    table = nulls_table(table.assign(layer=2, measured=table["statistic"].map(measured)))
    return dict(zip(table["statistic"], table["z"], strict=True))


def random_layer(density=0.2, filters=150, labels=10) -> np.ndarray:
    return np.random.default_rng(1).random((filters, labels, labels)) < density


def block_layer() -> np.ndarray:
    """A block of three labels in each filter, on other labels in each, and a little noise."""
    generator = np.random.default_rng(2)
    layer = generator.random((150, 10, 10)) < 0.02
    for matrix in layer:
        labels = generator.choice(10, 3, replace=False)
        matrix[np.ix_(labels, labels)] = True
    return layer


def column_layer() -> np.ndarray:
    """A few columns in each filter that are full, as in Fig. 4C."""
    return np.repeat(np.random.default_rng(3).random((150, 1, 10)) < 0.25, 10, axis=1)


def product_layer(aligned: bool) -> np.ndarray:
    """What S = 1 gives: M = u w, with a response u to each label and a weight w to each, of the same kind or not."""
    generator = np.random.default_rng(4)
    responses, weights = generator.exponential(size=(2, 150, 10))
    fields = responses[:, :, np.newaxis] * (responses if aligned else weights)[:, np.newaxis, :]
    return clip(normalise_fields(fields, np.ones(10))[0], 0.3)


@pytest.mark.parametrize(
    ("filters", "labels", "draws"), [(64, 10, 100), (512, 10, 100), (512, 100, 6), (512, 1000, 2), (1, 2, 100)]
)
def test_large_layers_get_fewer_draws_and_none_fewer_than_two(filters, labels, draws):
    assert null_draws(filters, labels) == draws


def test_draws_keep_what_their_null_keeps_and_nothing_else():
    clipped = random_layer(filters=6)[:, :7]  # (n, R, K): three labels have no images
    for null in NULLS:
        drawn = shuffle(null, clipped, 20, np.random.default_rng(0)).reshape(6, 20, 7, 10)
        assert len(np.unique(drawn[0], axis=0)) > 15
        assert (drawn.sum(axis=(2, 3)) == clipped.sum(axis=(1, 2))[:, np.newaxis]).all()
        columns = (drawn.sum(axis=2) == clipped.sum(axis=1)[:, np.newaxis]).all()
        rows = all(
            sorted(draw.tolist()) == sorted(matrix.tolist())
            for draws, matrix in zip(drawn, clipped, strict=True)
            for draw in draws
        )
        assert (columns, rows) == {"ones": (False, False), "columns": (True, False), "labels": (True, True)}[null]


@of_every_null
def test_every_place_that_a_null_allows_is_equally_likely(null):
    clipped = np.array([[[1, 0], [0, 0], [0, 0]]], dtype=bool)
    shares = shuffle(null, clipped, 6000, np.random.default_rng(0)).mean(axis=0)
    allowed = [[1, 1]] * 3 if null == "ones" else [[1, 0]] * 3
    np.testing.assert_allclose(shares, np.array(allowed) / np.sum(allowed), atol=0.025)


def test_filters_are_drawn_independently_of_each_other():
    alike = np.repeat(random_layer(filters=1), 50, axis=0)
    for null in NULLS:
        drawn = shuffle(null, alike, 1, np.random.default_rng(0))
        assert len(np.unique(drawn, axis=0)) > 40


@of_every_null
def test_the_statistics_of_the_draws_are_those_of_the_plain_version(null):
    clipped = random_layer(0.35, filters=4, labels=5)
    found = null_of(null, clipped)
    drawn = shuffle(null, clipped, 100, np.random.default_rng([2, 0, 1 + NULLS.index(null)]))
    lists = [clusters(matrix) for matrix in drawn]
    sizes = [len(labels) for found_clusters in lists for labels in found_clusters]
    table = found.table().set_index("statistic")
    assert table["draws"].tolist() == [100] * 3
    assert table["null_mean"].to_dict() == pytest.approx(
        {
            "noise": np.mean([noise(matrix, labels) for matrix, labels in zip(drawn, lists, strict=True)]),
            "clusters": np.mean([len(labels) for labels in lists]),
            "cluster_size": np.mean(sizes),
        }
    )


def test_the_standard_deviation_is_that_of_the_layers_value_over_draws():
    generator = np.random.default_rng(0)
    clipped = random_layer(0.3, filters=40)
    drawn = [shuffle("ones", clipped, 1, generator) for _ in range(1500)]
    values = [layer_statistics(find_layer_clusters(draw, np.zeros(40, dtype=bool))) for draw in drawn]
    table = null_of("ones", clipped).table().set_index("statistic")  # 100 draws
    for name in ("noise", "clusters", "cluster_size"):
        plain = [value[name] for value in values]
        assert table.loc[name, "null_std"] == pytest.approx(np.std(plain, ddof=1), rel=0.08), name
        assert table.loc[name, "null_mean"] == pytest.approx(np.mean(plain), abs=0.5 * np.std(plain)), name


def test_two_draws_of_many_filters_are_enough_for_the_standard_deviation():
    generator = np.random.default_rng(0)
    numerators, denominators = generator.poisson(6, (400, 500)), generator.poisson(2, (400, 500))
    numerators += 2 * denominators
    plain = (numerators.sum(axis=0) / denominators.sum(axis=0)).std(ddof=1)
    _, std = mean_and_std(numerators[:, :2], denominators[:, :2])
    assert std == pytest.approx(plain, rel=0.15)


def test_constant_draws_have_no_standard_deviation():
    constant = np.repeat(np.arange(7)[:, np.newaxis], 100, axis=1)
    assert mean_and_std(constant, np.ones_like(constant)) == (3, 0)
    assert mean_and_std(constant, constant + 1) == (21 / 28, 0)


@of_every_null
def test_random_matrices_are_like_their_nulls(null):
    assert all(abs(z) < 4 for z in z_of(null, random_layer()).values())


@of_every_null
def test_blocks_stand_out_from_every_null(null):
    found = z_of(null, block_layer())
    assert found["noise"] < -50
    assert found["cluster_size"] > 20


def test_full_columns_are_like_the_shuffle_that_keeps_columns_alone():
    layer = column_layer()
    assert z_of("ones", layer)["cluster_size"] > 20
    for null in ("columns", "labels"):
        assert np.isnan(list(z_of(null, layer).values())).all()  # a full column has but one order
    nearly = layer & (np.random.default_rng(0).random(layer.shape) < 0.8)
    assert abs(z_of("ones", nearly)["cluster_size"]) > 10
    assert all(abs(z) < 4 for z in z_of("columns", nearly).values())


def test_independent_sides_are_like_the_shuffle_of_labels_and_aligned_ones_are_not():
    independent, aligned = product_layer(aligned=False), product_layer(aligned=True)
    assert all(abs(z) < 4 for z in z_of("labels", independent).values())
    assert z_of("columns", independent)["noise"] < -4  # the columns alone do not say what an outer product does
    found = z_of("labels", aligned)
    assert found["noise"] < -20
    assert found["cluster_size"] > 20


@of_every_null
def test_it_does_not_matter_in_which_parts_a_layer_comes(null):
    whole, parts = (null_of(null, random_layer(), parts=parts).table() for parts in (1, 9))
    assert whole.equals(parts)


@of_every_null
def test_draws_depend_on_the_sample_and_come_again(null):
    tables = [null_of(null, random_layer(), seed=seed).table() for seed in (0, 0, 1)]
    assert tables[0].equals(tables[1])
    assert (tables[0]["null_mean"] != tables[2]["null_mean"]).all()


@of_every_null
def test_a_label_without_images_gets_no_ones(null):
    # With ones in the two other rows alone, and both of them full, no null can change anything.
    clipped = np.ones((5, 3, 3), dtype=bool)
    clipped[:, 1] = False
    table = null_of(null, clipped, images=np.array([2, 0, 1])).table()
    assert table["null_mean"].tolist() == [2, 1, 2]  # the cluster (0, 2), and two ones in column 1
    assert table["null_std"].tolist() == [0, 0, 0]


@of_every_null
def test_a_layer_of_silent_filters_has_no_null(null):
    found = NullLayer(null, 4, np.ones(3), layer=2, seed=0)
    found.add(np.zeros((0, 3, 3), dtype=bool))
    table = found.table()
    assert table["null"].tolist() == [null] * 3
    assert table["statistic"].tolist() == ["noise", "clusters", "cluster_size"]
    assert table[["null_mean", "null_std"]].isna().all(axis=None)


@of_every_null
def test_draws_without_a_cluster_have_no_cluster_size(null):
    table = null_of(null, np.zeros((4, 3, 3), dtype=bool)).table()
    assert table["null_mean"].tolist() == pytest.approx([0, 0, np.nan], nan_ok=True)
    assert table["null_std"].tolist() == pytest.approx([0, 0, np.nan], nan_ok=True)
