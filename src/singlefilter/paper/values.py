"""What the paper reports on CIFAR-10, and of which layers and samples: the one place that holds these numbers."""

from fractions import Fraction

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
    ("vgg16", 10, "accuracy"): 0.94,  # "practically the same" as the network's
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
LOWER_BOUNDS = ("snr",)  # "> 5" in the Results; in the Discussion "~5"
FROM_AVERAGES = ("snr_counted",)  # not in so many words: 147.5 / 30.8, its argument on its averages


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
