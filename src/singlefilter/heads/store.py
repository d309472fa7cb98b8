"""The format of models/heads/seed*.h5."""

from collections.abc import Mapping

import h5py
import numpy as np
from torch import Tensor

from singlefilter.pipeline.params import LayerName


def write_heads(
    file: h5py.File, weights: Mapping[LayerName, Tensor], accuracies: Mapping[LayerName, Mapping[str, float]]
) -> None:
    """Write the heads of a sample.

    Args:
        file: Gets `layer<m>/weights`, float32 (K, F, S), with the success rates as the group's attributes.
        weights: For each layer its head, float32 (K, F, S).
        accuracies: For each layer its success rates, such as test_accuracy.
    """
    for layer, values in weights.items():
        group = file.create_group(f"layer{layer}")
        group["weights"] = values.cpu().numpy()
        group.attrs.update(accuracies[layer])


def read_head(file: h5py.File, layer: LayerName) -> tuple[np.ndarray, dict[str, float]]:
    """Read a layer's head.

    Returns:
        The weights, float32 (K, F, S), and the success rates train_accuracy, test_accuracy, and validation_accuracy if
        there is such a set.
    """
    group = file[f"layer{layer}"]
    return group["weights"][()], {name: float(value) for name, value in group.attrs.items()}
