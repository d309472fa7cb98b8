"""What the page shows, packed: a few texts and tables as JSON, all else as typed arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
import pandas as pd

from singlefilter.filters.clusters import decision_shares
from singlefilter.filters.layer_clusters import normalised_slabs, slabs
from singlefilter.filters.store import Explained, LayerImages, LayerMatrices
from singlefilter.pipeline.params import LayerName

NO_FIELD = 255  # the code of a field of a label without images, and of a silent filter's
MOST_ELEMENTS = 2**27  # of all matrices, a byte each, that a browser takes well
ALIGNED = 8  # bytes, so that an array of any type can begin there
OF_FILTERS_TABLE = ("accuracy_loss", "decision_label", "decision_share")


@dataclass
class Pack:
    """Arrays, one after the other, and where each lies.

    Attributes:
        sections: Name of an array -> its type, as NumPy names it, its shape and its first byte.
    """

    sections: dict[str, tuple[str, tuple[int, ...], int]] = field(default_factory=dict)
    _content: bytearray = field(default_factory=bytearray)

    def add(self, name: str, values: np.ndarray) -> None:
        """Add an array of at most 32 bits an element."""
        self.sections[name] = (values.dtype.name, values.shape, len(self._content))
        self._content += np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
        self._content += bytes(-len(self._content) % ALIGNED)

    @property
    def content(self) -> bytes:
        """All arrays, little end first."""
        return bytes(self._content)


def too_large(elements: int) -> str:
    """Say that matrices have more elements than a page is to hold; empty if they do not."""
    if elements <= MOST_ELEMENTS:
        return ""
    return f"its matrices would have {elements / 1e6:,.0f} MB, where a browser takes {MOST_ELEMENTS / 1e6:,.0f}"


def code_edges(thresholds: Sequence[float]) -> np.ndarray:
    """Give the edges between the codes of normalised fields: hundredths, and the thresholds as they are.

    A field's code is the number of edges below it. So it is above a threshold if and only if its code is above the
    number of the threshold among the edges, whatever the rounding.

    Args:
        thresholds: Each in (0, 1), few.

    Returns:
        float64 (at most NO_FIELD - 1,), rising.
    """
    hundredths = np.arange(101 - (NO_FIELD - 1 - len(thresholds)), 101) / 100
    near = np.abs(hundredths[:, np.newaxis] - thresholds).min(axis=1) < 1e-9
    return np.sort(np.concatenate([hundredths[~near], thresholds]))


def encode_fields(normalised: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Give the codes of normalised fields, float (…): uint8 (…), NO_FIELD where they are NaN."""
    codes = np.searchsorted(edges, normalised, side="left")
    return np.where(np.isnan(normalised), NO_FIELD, codes).astype(np.uint8)


def encode_shares(decisions: np.ndarray) -> np.ndarray:
    """Give per cent of the decided images of a label, of counts (…, K, K): uint8, NO_FIELD where none was decided."""
    return np.nan_to_num(np.round(100 * decision_shares(decisions)), nan=NO_FIELD).astype(np.uint8)


def add_fields(
    pack: Pack,
    prefix: str,
    split: str,
    fields: h5py.Dataset | np.ndarray,
    images_per_label: np.ndarray,
    edges: np.ndarray,
) -> None:
    """Add the fields of a layer's filters on a split.

    Args:
        pack: Gets `<prefix>/<split>`, codes uint8 (F, K, K); and of the test set `<prefix>/largest`, float32 (F,), by
            which normalised fields are multiplied, and `<prefix>/own`, float32 (F, K), the mean field on each label's
            output for its own images.
        prefix: What tells the layer from others.
        split: test or train.
        fields: float (F, K, K), summed over the images of each input label.
        images_per_label: int (K,).
        edges: As code_edges gives them.
    """
    codes, largest = [], []
    for normalised, _, factors in normalised_slabs(fields, images_per_label):
        codes.append(encode_fields(normalised, edges))
        largest.append(factors)
    pack.add(f"{prefix}/{split}", np.concatenate(codes))
    if split == "test":
        own = np.concatenate([np.diagonal(sums, axis1=1, axis2=2) for sums in slabs(fields)])  # (F, K, K) -> (F, K)
        pack.add(f"{prefix}/largest", np.concatenate(largest).astype(np.float32))
        pack.add(f"{prefix}/own", (own / np.maximum(images_per_label, 1)).astype(np.float32))


def add_layer(pack: Pack, prefix: str, matrices: LayerMatrices, edges: np.ndarray) -> None:
    """Add what a layer's filters do: add_fields of both splits, `decisions` uint8 (F, K, K), and `faded` uint8 (F,)."""
    for split in ("test", "train"):
        add_fields(pack, prefix, split, matrices.splits[split].fields, matrices.splits[split].images_per_label, edges)
    decisions = [encode_shares(part) for part in slabs(matrices.splits["test"].decisions)]
    pack.add(f"{prefix}/decisions", np.concatenate(decisions))
    pack.add(f"{prefix}/faded", matrices.faded.astype(np.uint8))


def add_numbers(pack: Pack, prefix: str, filters: pd.DataFrame) -> None:
    """Add columns of filters.csv, of the rows of one layer of one sample, as float32; NaN where a cell is empty."""
    for name in OF_FILTERS_TABLE:
        pack.add(f"{prefix}/{name}", filters[name].to_numpy(np.float32, na_value=np.nan))


def add_images(pack: Pack, prefix: str, images: LayerImages) -> None:
    """Add the images of a layer's filters, under the names of LayerImages' attributes."""
    pack.add(f"{prefix}/pairs", images.pairs)
    for name in ("largest", "smallest"):
        pack.add(f"{prefix}/{name}_images", getattr(images, name))
        pack.add(f"{prefix}/{name}_fields", getattr(images, f"{name}_fields"))
    pack.add(f"{prefix}/predictions", images.predictions.astype(np.uint16))


def add_explained(pack: Pack, prefix: str, explained: Explained) -> None:
    """Add what decisions are computed from, under the names of Explained's attributes."""
    for name in ("codes", "steps", "zeros", "weights"):
        pack.add(f"{prefix}/{name}", getattr(explained, name))


def describe_page(
    class_names: Sequence[str],
    thresholds: Sequence[float],
    threshold: float,
    edges: np.ndarray,
    samples: Sequence[Mapping[str, Any]],
    images_per_label: np.ndarray,
) -> dict[str, Any]:
    """Give what every page is told beside its arrays.

    Args:
        class_names: K.
        thresholds: Those that can be chosen, rising.
        threshold: The one that is chosen at first.
        edges: As code_edges gives them.
        samples: For each its name, and its layers, as layer_entry gives them.
        images_per_label: Of the test set, int (K,).
    """
    return {
        "class_names": list(class_names),
        "threshold": threshold,
        "thresholds": list(thresholds),
        "edges": edges.tolist(),
        "samples": list(samples),
        "images_per_label": images_per_label.tolist(),
    }


def layer_entry(layer: LayerName, filters: int, accuracies: Mapping[str, float]) -> dict[str, Any]:
    """Give a layer's name, its number of filters and the success rates of its head."""
    return {"name": str(layer), "filters": filters, "accuracies": dict(accuracies)}


def nulls_entry(nulls: pd.DataFrame) -> list[Mapping[str, Any]]:
    """Give the rows of nulls.csv that the page shows; a number that does not exist is None."""
    table = nulls[["layer", "null", "statistic", "measured", "null_mean", "null_std"]].astype({"layer": str})
    return table.astype(object).where(table.notna(), None).to_dict("records")
