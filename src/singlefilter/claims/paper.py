"""What the paper reports on CIFAR-10, and of which networks: the one place that holds these numbers."""

from fractions import Fraction
from typing import Any

from singlefilter.pipeline.params import Arch

# The layers that the paper examines: those before a pool.
LAYERS = {"vgg16": (2, 4, 7, 10, 13), "vgg6": (1, 2, 3, 4, 5), "avgg16": (13,)}
SAMPLES = {"vgg16": 4, "vgg6": 5, "avgg16": 3}  # SI, Statistics
THRESHOLD = 0.3  # SI, Fig. 4
VALIDATION_IMAGES = 10_000  # SI, Optimization
SWEPT_THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)  # SI, Robustness to different threshold values
# Discussion: ~150 of layer 13's 512 filters are removed at random. The share, so that it fits layers of any width.
REMOVED_SHARE = Fraction(150, 512)

# Row of archs, layer (None: the whole network), statistic as in layers.csv -> value (Figs. 2, 5, 7, 8; Results).
VALUES: dict[tuple[str, int | None, str], float] = {
    ("vgg16", None, "accuracy"): 0.94,
    ("vgg16", 2, "noise"): 20,
    ("vgg16", 7, "train_accuracy"): 0.999,
    ("vgg16", 7, "clusters"): 1.3,
    ("vgg16", 7, "cluster_size"): 1.66,
    ("vgg16", 7, "appearances"): 55,
    ("vgg16", 10, "accuracy"): 0.94,
    ("vgg16", 10, "noise"): 3.8,
    ("vgg16", 13, "accuracy"): 0.94,
    ("vgg16", 13, "noise"): 1.5,
    ("vgg16", 13, "clusters"): 1,
    ("vgg16", 13, "cluster_size"): 2.88,
    ("vgg16", 13, "appearances"): 150,
    ("vgg16", 13, "field_gap"): 0.01,
    ("vgg16", 13, "snr"): 5,
    ("vgg16", 13, "snr_counted"): 4.8,
    ("vgg6", None, "accuracy"): 0.92,
    ("vgg6", 5, "accuracy"): 0.92,
    ("vgg6", 5, "noise"): 3.14,
    ("vgg6", 5, "clusters"): 1,
    ("vgg6", 5, "cluster_size"): 2.6,
    ("avgg16", None, "accuracy"): 0.955,
    ("avgg16", 13, "noise"): 1.1,
    ("avgg16", 13, "clusters"): 1,
    ("avgg16", 13, "cluster_size"): 2.5,
}
LOWER_BOUNDS = ("snr",)  # the paper says no more than "above"
FROM_AVERAGES = ("snr_counted",)  # not in so many words: 147.5 / 30.8, its argument on its averages


def _rates(learning_rate: float, momentum: float, weight_decay: float, *decay: tuple[int, float]) -> dict[str, Any]:
    """Give the rates of a group of weights; from each epoch on, they are multiplied by the factor every 20 epochs."""
    rows = [{"first": first, "every": 20, "factor": factor} for first, factor in decay]
    return {"learning_rate": learning_rate, "momentum": momentum, "weight_decay": weight_decay, "decay": rows}


# What the paper fixes of each network (Figs. 1, 7, 8; SI, Hyper-parameters): a value, or several where it leaves open
# which. `hidden` is the number of fully connected layers before the output. All else is open: their widths and
# activation, the epochs of the heads and the images that they see.
_HEADS = _rates(0.1, 0.975, 1e-5, (20, 0.6)) | {"batch_size": 100}
_VGG16_RATES = _rates(0.028, 0.975, 1.5e-3, (20, 0.6))
_VGG16 = {
    "convolutions": [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"],
    "hidden": 2,
    "epochs": 200,
    "batch_size": 100,
    "convolutional_rates": _VGG16_RATES,
    "fully_connected_rates": [_VGG16_RATES],
    "heads": _HEADS,
}
_VGG6 = {
    "convolutions": [64, "M", 128, "M", 256, "M", 512, "M", 512, "M"],
    "hidden": 0,
    "epochs": 200,
    "batch_size": 100,
    "convolutional_rates": _rates(0.0145, 0.97, 1e-3, (20, 0.65), (160, 0.55)),
    "fully_connected_rates": [_rates(0.002, 0.975, 1.2e-3, (20, 0.65), (160, 0.5))],
    "heads": _HEADS,
}
_AVGG16 = {
    "convolutions": [64, 64, 128, 128, 256, 256, 256, "A4", 512, 512, 512, 512, 512, 512, "M"],
    "hidden": 2,
    "epochs": 280,
    "batch_size": 100,
    "convolutional_rates": _rates(0.00721, 0.98, 1.15e-3, (20, 0.65), (160, 0.55)),
    "fully_connected_rates": [_rates(0.0045, 0.982, 1.35e-3, (first, 0.65), (170, 0.55)) for first in (10, 30)],
    "heads": _rates(0.02, 0.995, 1e-8, (20, 0.6)) | {"batch_size": 100},
}


def _narrowed(network: dict[str, Any], filters: int, *layers: int) -> dict[str, Any]:
    """Give a network with another number of filters in some layers, counted from 1 (Discussion)."""
    convolutions = [*network["convolutions"]]
    places = [place for place, item in enumerate(convolutions) if isinstance(item, int)]
    for layer in layers:
        convolutions[places[layer - 1]] = filters
    return network | {"convolutions": convolutions}


FIXED = {
    "vgg16": _VGG16,
    "vgg6": _VGG6,
    "avgg16": _AVGG16,
    "vgg14": _VGG16 | {"hidden": 0},
    "vgg14_l13_350": _narrowed(_VGG16 | {"hidden": 0}, 350, 13),
    "vgg16_l11to13_350": _narrowed(_VGG16, 350, 11, 12, 13),
    "vgg16_l11to13_120": _narrowed(_VGG16, 120, 11, 12, 13),
    "avgg16_l13_100": _narrowed(_AVGG16, 100, 13),
}
MOST_DIFFERENCES = 3  # that are told


def differences_of_row(arch: str, row: Arch) -> list[str]:
    """Compare a row of archs with what the paper fixes of the network.

    Args:
        arch: One of FIXED.
        row: The row.

    Returns:
        What differs, such as "backbone.epochs 150 instead of 200"; what the paper leaves open does not count.
    """
    paper, backbone = FIXED[arch], row.backbone.model_dump(mode="json")
    heads = {name: row.heads.model_dump(mode="json")[name] for name in paper["heads"]}
    found = {
        "backbone.convolutions": (backbone.get("convolutions", []), paper["convolutions"]),
        "number of backbone.fully_connected": (len(backbone.get("fully_connected", [])), paper["hidden"]),
        "backbone.epochs": (backbone["epochs"], paper["epochs"]),
        "backbone.batch_size": (backbone["batch_size"], paper["batch_size"]),
        **_pairs("backbone.convolutional_rates", backbone["convolutional_rates"], paper["convolutional_rates"]),
        **_pairs(
            "backbone.fully_connected_rates",
            backbone["fully_connected_rates"],
            min(paper["fully_connected_rates"], key=lambda rates: rates != backbone["fully_connected_rates"]),
        ),
        **_pairs("heads", heads, paper["heads"]),
    }
    texts = [_difference_text(key, *pair) for key, pair in found.items() if pair[0] != pair[1]]
    more = len(texts) - MOST_DIFFERENCES
    return texts[:MOST_DIFFERENCES] + ([f"and {more} more"] if more > 0 else [])


def _pairs(prefix: str, found: dict[str, Any], paper: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {f"{prefix}.{name}": (found[name], value) for name, value in paper.items()}


def _difference_text(key: str, found: Any, paper: Any) -> str:
    return f"{key} not the paper's" if isinstance(found, list) else f"{key} {found:g} instead of {paper:g}"


def paper_value(arch: str, layer: int | None, statistic: str) -> float | None:
    """Give what the paper reports on CIFAR-10, or None.

    Args:
        arch: The row of archs.
        layer: The examined layer; None for the whole network.
        statistic: As in layers.csv, without the ending _mean.
    """
    return VALUES.get((arch, layer, statistic))


def paper_values(arch: str) -> dict[tuple[int | None, str], float]:
    """Give all that the paper reports of a network on CIFAR-10: (layer or None, statistic) -> value."""
    return {(layer, statistic): value for (name, layer, statistic), value in VALUES.items() if name == arch}


def paper_text(arch: str, layer: int | None, statistic: str) -> str:
    """Write what the paper reports on CIFAR-10.

    Returns:
        Such as "0.94"; "> 5" where it gives a bound, "4.8 from its averages" where it gives only what that is made of,
        "–" where it gives nothing.
    """
    value = paper_value(arch, layer, statistic)
    if value is None:
        return "–"
    ending = " from its averages" if statistic in FROM_AVERAGES else ""
    return f"> {value:g}" if statistic in LOWER_BOUNDS else f"{value:g}{ending}"
