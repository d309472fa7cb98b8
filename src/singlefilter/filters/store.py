"""The formats of metrics/filters/seed*.h5 and metrics/images/seed*.h5."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import h5py
import numpy as np

from singlefilter.pipeline.params import LayerName


@dataclass(frozen=True)
class FilterMatrices:
    """What every filter of a layer does, over a split's images.

    Attributes:
        fields: Sums over the images of input label i of the field on output j, float64 (F, K, K) as [filter, i, j].
        decisions: How many images of input label i have their largest field on output j, int64 (F, K, K); images
            whose fields are all zero are left out.
        images_per_label: int64 (K,).
        correct_without: How many images the whole head decides correctly once the filter's weights are silenced,
            int64 (F,).
    """

    fields: h5py.Dataset | np.ndarray
    decisions: h5py.Dataset | np.ndarray
    images_per_label: np.ndarray
    correct_without: np.ndarray

    def __repr__(self) -> str:
        return f"FilterMatrices({len(self.fields)} filters, {len(self.images_per_label)} labels)"


@dataclass(frozen=True)
class LayerMatrices:
    """The matrices of a layer, and the success rates of its head.

    Attributes:
        class_names: K names.
        accuracies: The head's success rates, such as test_accuracy.
        faded: Which filters are far weaker than the layer's others, bool (F,).
        splits: The matrices by split: train and test.
        place: Where the layer is in a network that is no chain, as features.store.LayerFeatures has it.
    """

    class_names: Sequence[str]
    accuracies: Mapping[str, float]
    faded: np.ndarray
    splits: Mapping[str, FilterMatrices]
    place: Mapping[str, float] = field(default_factory=dict)


def write_layer(file: h5py.File, layer: LayerName, matrices: LayerMatrices) -> None:
    """Write a layer's matrices.

    Args:
        file: Gets `layer<m>/<split>/fields`, `decisions` and `correct_without`, `layer<m>/faded`, and as the attributes
            of `layer<m>` the success rates, and `place`, if there is one; and for all layers
            `<split>/images_per_label` and the attribute class_names.
        layer: The layer.
        matrices: Its matrices.
    """
    file.attrs["class_names"] = matrices.class_names
    group = file.create_group(f"layer{layer}")
    group.attrs.update(matrices.accuracies)
    if matrices.place:
        group.attrs["place"] = json.dumps(matrices.place)
    group["faded"] = matrices.faded
    for name, split in matrices.splits.items():
        group[f"{name}/fields"] = split.fields
        group[f"{name}/decisions"] = split.decisions
        group[f"{name}/correct_without"] = split.correct_without
        if f"{name}/images_per_label" not in file:
            file[f"{name}/images_per_label"] = split.images_per_label


def read_layer(file: h5py.File, layer: LayerName) -> LayerMatrices:
    """Read what write_layer wrote; fields and decisions stay in the file until they are indexed."""
    group = file[f"layer{layer}"]
    splits = {
        name: FilterMatrices(
            fields=split["fields"],
            decisions=split["decisions"],
            images_per_label=file[f"{name}/images_per_label"][:],
            correct_without=split["correct_without"][:],
        )
        for name, split in group.items()
        if isinstance(split, h5py.Group)
    }
    accuracies = {name: float(value) for name, value in group.attrs.items() if name != "place"}
    class_names = [str(name) for name in file.attrs["class_names"]]
    place = json.loads(group.attrs.get("place", "{}"))
    return LayerMatrices(class_names, accuracies, group["faded"][:], splits, place)


@dataclass(frozen=True)
class LayerImages:
    """The images on which a layer's filters have their largest and smallest fields.

    Attributes:
        pairs: P filters, each with one of the labels that it stands for, int32 (P, 2).
        largest: The images with the largest fields on that label, among all images, int32 (P, wanted); -1 for none.
        largest_fields: These fields, float32 (P, wanted); NaN for none.
        smallest: The images with the smallest, among the label's own, int32 (P, wanted); -1 for none.
        smallest_fields: These fields, float32 (P, wanted); NaN for none.
        predictions: The label that the whole head decides for, int32 (N,).
    """

    pairs: np.ndarray
    largest: np.ndarray
    largest_fields: np.ndarray
    smallest: np.ndarray
    smallest_fields: np.ndarray
    predictions: np.ndarray


@dataclass(frozen=True)
class Explained:
    """What the decisions of the last examined layer's head on single images are computed from.

    A filter's field on output j for image n is the sum over s of weights[j, f, s] * steps[f] * (codes[n, f, s] -
    zeros[f]).

    Attributes:
        codes: Features, rounded, uint8 (n, F, S).
        steps: float32 (F,).
        zeros: uint8 (F,).
        weights: The head, float32 (K, F, S).
    """

    codes: np.ndarray
    steps: np.ndarray
    zeros: np.ndarray
    weights: np.ndarray


def write_images(file: h5py.File, layer: LayerName, images: LayerImages) -> None:
    """Write a layer's images: `layer<m>/` and the names of their attributes."""
    _write_arrays(file.create_group(f"layer{layer}"), images)


def read_images(file: h5py.File, layer: LayerName) -> LayerImages:
    """Read what write_images wrote."""
    return LayerImages(**{name: values[()] for name, values in file[f"layer{layer}"].items()})


def write_explained(file: h5py.File, explained: Explained) -> None:
    """Write what decisions are computed from: `explained/` and the names of its attributes."""
    _write_arrays(file.create_group("explained"), explained)


def read_explained(file: h5py.File) -> Explained:
    """Read what write_explained wrote."""
    return Explained(**{name: values[()] for name, values in file["explained"].items()})


def _write_arrays(group: h5py.Group, values: LayerImages | Explained) -> None:
    for entry in fields(values):
        group[entry.name] = getattr(values, entry.name)
