"""Find the test images that drive each filter of a sample, and those that it misses."""

import h5py
import numpy as np

from singlefilter.features.of_sample import open_features
from singlefilter.features.store import LayerFeatures
from singlefilter.filters.clusters import clip
from singlefilter.filters.images import FEATURES, find_images, first_images, round_features
from singlefilter.filters.layer_clusters import normalised_slabs
from singlefilter.filters.matrices import images_per_pass
from singlefilter.filters.pictures import picture_count
from singlefilter.filters.store import Explained, FilterMatrices, read_layer, write_explained, write_images
from singlefilter.heads.store import read_head
from singlefilter.paper.values import SWEPT_THRESHOLDS
from singlefilter.pipeline.artifacts import Workspace
from singlefilter.pipeline.console import progress
from singlefilter.pipeline.params import LayerName, Params
from singlefilter.training.device import chosen_device
from stages import run


def main(params: Params, seed: int) -> None:
    files, layers = Workspace(params), params.chosen_arch.examined_layers
    with files.read("heads", seed=seed) as heads, files.read("matrices", seed=seed) as matrices:
        with files.write("images", seed=seed) as out:
            if params.explorer:
                for layer in progress(layers, f"images, sample {seed}", "layer"):
                    weights, _ = read_head(heads, layer)
                    own_labels = find_own_labels(read_layer(matrices, layer).splits["test"])
                    write_layer_images(out, files, params, seed, layer, weights, own_labels)


def write_layer_images(
    out: h5py.File,
    files: Workspace,
    params: Params,
    seed: int,
    layer: LayerName,
    weights: np.ndarray,
    own_labels: np.ndarray,
) -> None:
    """Write the images of a layer's filters, whose head is `weights`; and of the last one, what explains decisions."""
    device = chosen_device()
    with open_features(files, params, seed, layer, device) as features:
        count = picture_count(len(features.labels("test")), params.chosen_dataset.image_size)
        scaled = weights * features.scales[:, np.newaxis]  # by powers of two: exact
        batches = first_images(features.stream("test", images_per_pass(scaled)), count)
        write_images(out, layer, find_images(batches, scaled, own_labels, params.explorer.images, device))
        if layer == params.chosen_arch.examined_layers[-1]:
            write_explained(out, explain(features, weights, count))


def find_own_labels(matrices: FilterMatrices) -> np.ndarray:
    """Find the labels that each filter stands for at the lowest of the swept thresholds, bool (F, K)."""
    parts = normalised_slabs(matrices.fields, matrices.images_per_label)
    diagonals = [np.diagonal(fields, axis1=1, axis2=2) for fields, _, _ in parts]  # (n, K, K) -> (n, K)
    return clip(np.concatenate(diagonals), min(SWEPT_THRESHOLDS))


def explain(features: LayerFeatures, weights: np.ndarray, count: int) -> Explained:
    """Keep of the first images, as many as there is room for, what their decisions are computed from."""
    _, filters, positions = weights.shape
    images = min(count, max(FEATURES // (filters * positions), 1))
    parts = first_images(features.stream("test", images), images)
    values = np.concatenate([part for part, _ in parts]) * features.scales[:, np.newaxis]
    return Explained(*round_features(values), weights)


if __name__ == "__main__":
    run(main, per_sample=True)
