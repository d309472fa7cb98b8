"""The page of one layer's filters, for a notebook."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import h5py
import numpy as np

from singlefilter.explorer.pack import (
    Pack,
    add_fields,
    code_edges,
    describe_page,
    encode_shares,
    layer_entry,
    too_large,
)
from singlefilter.explorer.page import make_page
from singlefilter.paper.values import SWEPT_THRESHOLDS
from singlefilter.pipeline.errors import InputError

HEIGHT = 900  # pixels, of the panel in a notebook


@dataclass(frozen=True, repr=False)
class Panel:
    """A page that a notebook shows at the end of a cell.

    Attributes:
        html: The page, which needs no other file and no network.
    """

    html: str

    def save(self, path: str | Path) -> None:
        """Write the page, for a browser."""
        Path(path).write_text(self.html, encoding="utf-8")

    def __repr__(self) -> str:
        return f"<a page of {len(self.html):,} letters, which a notebook shows; save it: panel.save('filter.html')>"

    def _repr_html_(self) -> str:
        page = escape(self.html, quote=True)
        return f'<iframe srcdoc="{page}" style="width: 100%; height: {HEIGHT}px; border: 0" title="filters"></iframe>'


def show_layer(
    fields: Mapping[str, tuple[np.ndarray, np.ndarray]],
    decisions: h5py.Dataset | np.ndarray | None,
    index: int,
    threshold: float,
    class_names: Sequence[str],
    title: str,
) -> Panel:
    """Make the panel of a layer's filters.

    Args:
        fields: For the split test, and for train if it is known: fields, float (F, K, K), summed over the images of
            each input label, and the images of each label, int (K,).
        decisions: int (F, K, K), if they are known.
        index: The filter that is shown first.
        threshold: Clips the fields.
        class_names: K names.
        title: What the layer is called.

    Raises:
        InputError: The matrices are more than a browser takes.
    """
    elements = sum(sums.size for sums, _ in fields.values()) + (0 if decisions is None else decisions.size)
    if excess := too_large(elements):
        raise InputError(f"matrices: they are too many for a page: {excess}; show fewer filters")
    pack, prefix = Pack(), f"0/{title}"
    thresholds = sorted({*SWEPT_THRESHOLDS, threshold})
    edges = code_edges(thresholds)
    for split, (sums, images_per_label) in fields.items():
        add_fields(pack, prefix, split, sums, images_per_label, edges)
    if decisions is not None:
        pack.add(f"{prefix}/decisions", encode_shares(decisions[()]))
    sums, images_per_label = fields["test"]
    samples = [{"name": "0", "layers": [layer_entry(title, len(sums), {})]}]
    about = describe_page(class_names, thresholds, threshold, edges, samples, images_per_label)
    return Panel(make_page("Every filter", about | {"start": {"filter": index}}, pack))
