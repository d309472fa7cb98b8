"""The network as a band of blocks, drawn from its row of catalog.yaml (Figs. 1, 7A and 8A)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log2

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from singlefilter.figures.axes import layer_texts
from singlefilter.figures.style import TEST, TRAIN, VALIDATION, WIDTH, font_size, legend_below, new_figure, title
from singlefilter.pipeline.architecture import LayerShape, layer_shapes
from singlefilter.pipeline.params import POOLS, Backbone, LayerName

# Sizes in inches where letters have 9 points; the figure grows with them.
SLOT, WIDEST_SLOT = 0.25, 0.5  # the least and the largest width that a layer has
LOW, HIGH = 1.0, 1.75  # heights of the blocks of a single position and of the whole image
HEAD, GAP, NUMBER = 0.95, 0.14, 0.25  # heights of a head, of what is between it and the blocks, of a layer's number
POOL_NAMES = {"M": "max", "A": "average"}  # a pool's first letter

_LOOKS = {
    "image": {"facecolor": "white", "edgecolor": "black"},
    "convolution": {"facecolor": "#CFE3F1", "edgecolor": TEST},
    "pool": {"facecolor": "#EEEEEE", "edgecolor": "#555555", "hatch": "////"},
    "full": {"facecolor": "#CDEBE0", "edgecolor": VALIDATION, "linestyle": "--"},
    "head": {"facecolor": "#F9DEC9", "edgecolor": TRAIN, "linewidth": 1.6},
}


@dataclass(frozen=True)
class _Block:
    """A box of the band: its look, text and height, in inches, its layer's number, and the head on it, if any."""

    look: str
    text: str
    height: float
    number: int | None = None
    head: str | None = None


def plot_network(
    backbone: Backbone,
    image_size: int,
    labels: int,
    examined: Collection[LayerName],
    heading: str,
    pooled: bool = False,
    outputs: Mapping[LayerName, tuple[int, int]] | None = None,
) -> Figure:
    """Draw the network, and the head attached to each examined layer (Figs. 1, 7A and 8A).

    Args:
        backbone: The network's row.
        image_size: Height and width of the images, in pixels.
        labels: K.
        examined: The examined layers.
        heading: What the run is.
        pooled: Whether heads are on means over positions.
        outputs: Filters and positions of each of them, for a network that is no chain: nothing else of it is drawn.
    """
    if backbone.is_chain:
        shapes = layer_shapes(backbone.convolutions, image_size)
        layers = _groups(shapes, backbone.fully_connected, image_size, labels, examined, pooled)
        about = "A layer is a convolution 3 × 3, batch-norm and ReLU, with the pools that follow."
        shown = "filters × side × side"
    else:
        layers = _examined_groups(outputs or {}, labels)
        about = f"Of {backbone.torchvision or backbone.module} the examined layers alone are drawn."
        shown = "layer: filters × positions"
    images = _Block("image", f"image 3 × {image_size} × {image_size}", HIGH)
    bands = _break([[images], *layers, [_Block("full", f"{labels:,} labels", LOW)]], WIDTH / SLOT)
    width = min(WIDEST_SLOT, WIDTH / max(map(len, bands)))
    band_height = HIGH + HEAD + 2 * GAP + NUMBER

    figure = new_figure(1.1 + band_height * len(bands))
    title(
        figure,
        "The network and its heads",
        heading,
        about,
        "A head is a linear layer, trained on the outputs of one layer of the frozen network.",
        *(["Heads get means over positions."] if pooled else []),
    )
    axes = figure.subplots()
    axes.set(xlim=(0, WIDTH), ylim=(-band_height * len(bands), 0))
    axes.axis("off")
    for number, band in enumerate(bands):
        left = (WIDTH - width * len(band)) / 2
        middle = -band_height * number - (HEAD + GAP + HIGH / 2)
        _draw_band(axes, band, left, middle, width)
    between = ", ReLU between" if backbone.activation == "relu" else ", no activation between"
    names = {
        "convolution": shown,
        **({"pool": "pool"} if backbone.is_chain else {}),
        "full": f"fully connected{between if backbone.fully_connected else ''}",
        "head": "head: inputs → labels",
    }
    legend_below(figure, [Patch(**_LOOKS[look], label=name) for look, name in names.items()])
    return figure


def _groups(
    shapes: Sequence[LayerShape],
    widths: Sequence[int],
    image_size: int,
    labels: int,
    examined: Collection[LayerName],
    pooled: bool,
) -> list[list[_Block]]:
    """List the hidden layers of a chain, each with its pools in one group."""
    groups = []
    for shape in shapes:
        inputs = shape.filters if pooled else shape.outputs
        head = f"{inputs:,} → {labels:,}" if shape.number in examined else None
        text = f"{shape.filters} × {shape.side} × {shape.side}"
        blocks = [_Block("convolution", text, _height(shape.side, image_size), shape.number)]
        for pool in shape.pools:
            text = f"{POOL_NAMES[pool[0]]} {POOLS[pool]} × {POOLS[pool]}"
            blocks.append(_Block("pool", text, _height(shape.pooled_side, image_size)))
        blocks[-1] = replace(blocks[-1], head=head)
        groups.append(blocks)
    return groups + [[_Block("full", f"{width:,}", LOW)] for width in widths]


def _examined_groups(outputs: Mapping[LayerName, tuple[int, int]], labels: int) -> list[list[_Block]]:
    """List the examined layers of a network that is no chain."""
    groups = []
    for layer, (filters, positions) in outputs.items():
        (name,) = layer_texts([layer])
        text = f"{name}\n{filters:,} × {positions:,}"
        groups.append([_Block("convolution", text, HIGH, head=f"{filters * positions:,} → {labels:,}")])
    return groups


def _height(side: int, image_size: int) -> float:
    """The height of a block: between the lowest and the highest, as the logarithm of its side."""
    return LOW + (HIGH - LOW) * log2(side) / max(log2(image_size), 1)


def _break(groups: Sequence[list[_Block]], most: float) -> list[list[_Block]]:
    """Break the groups into bands of about as many blocks, as few bands as the page's width allows."""
    total = sum(map(len, groups))
    bands: list[list[_Block]] = [[]]
    target = total / -(-total // most)
    for group in groups:
        if len(bands[-1]) >= target:
            bands.append([])
        bands[-1] += group
    return bands


def _draw_band(axes: Axes, band: Sequence[_Block], left: float, middle: float, width: float) -> None:
    """Draw blocks from left to right, a line through all; heads over them, the layers' numbers below."""
    axes.plot([left, left + width * len(band)], [middle] * 2, color="black", linewidth=1, zorder=0)
    top, below = middle + HIGH / 2, middle - (HIGH / 2 + GAP)
    for place, block in enumerate(band):
        center = left + width * (place + 0.5)
        _draw_box(axes, block.look, block.text, center, middle, width * 0.76, block.height)
        if block.number is not None:
            axes.text(center, below, str(block.number), ha="center", va="center")
        if block.look == "image" and any(other.number for other in band):
            axes.text(center, below, "layer", ha="center", va="center")
        if block.head is not None:
            foot, head = top + GAP, HEAD * 0.96
            axes.plot([center] * 2, [middle + block.height / 2, foot], color=TRAIN, linewidth=1.6)
            _draw_box(axes, "head", block.head, center, foot + head / 2, width * 0.76, head)


def _draw_box(axes: Axes, look: str, text: str, x: float, y: float, width: float, height: float) -> None:
    axes.add_patch(Rectangle((x - width / 2, y - height / 2), width, height, **_LOOKS[look]))
    plain = {"facecolor": _LOOKS[look]["facecolor"], "edgecolor": "none", "pad": 0.6}  # no hatch behind letters
    axes.text(x, y, text, rotation=90, ha="center", va="center", fontsize=font_size() - 1.5, bbox=plain)
