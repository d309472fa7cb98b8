"""What the paper reports on CIFAR-10, and of which networks: the one place that holds these numbers."""

import hashlib
import json
from fractions import Fraction

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
    ("vgg16", 13, "snr_measured"): 5,
    ("vgg16", 13, "snr_counted"): 4.8,  # not in so many words: 147.5 / 30.8, its argument on its averages
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
LOWER_BOUNDS = ("snr_measured",)  # the paper says no more than "above"

# SHA-256 of the rows of archs with the paper's values, as row_digest gives it.
ROW_DIGESTS = {
    "vgg16": "93f65f2b6a16e7f5a6f52326818aba0b72f4d07d0def2c8e0f388aa712b2cfa6",
    "vgg6": "e7d7589a49928fabb573c41191a95618fb16aab2677647b7e38381c6e4615301",
    "avgg16": "080774c3a291cde9b79c31cea8ef50cd78216f1cc132da1dd9772e152dc117e1",
    "vgg14": "42996233108d36e4424deb3cfbdefd303b1b1d4f952cf2dc7f4050bf2f252a00",
    "vgg14_l13_350": "5e7e376b2c1caa858816f551d241aabfaebc7018f7e8454855e85a181fb21d6c",
    "vgg16_l11to13_350": "34e782799e69918eaa5bf6b03d6d8e86ab8a99058d1fc78b1f0886bf3da6af21",
    "vgg16_l11to13_120": "fbfd55f76dde715c9a90a422db55d518490301c795a6948ba81212a4d44d7191",
    "avgg16_l13_100": "023ef4d92223390a654fa4a66ea2207bf7c9b6f16c11e573e76cedf49a0b67f6",
}


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
    """Write what the paper reports on CIFAR-10: "0.94", "> 5" where it gives a bound, "–" where it gives nothing."""
    value = paper_value(arch, layer, statistic)
    if value is None:
        return "–"
    return f"> {value:g}" if statistic in LOWER_BOUNDS else f"{value:g}"


def row_digest(row: Arch) -> str:
    """Hash a row of archs, but for the layers that are examined and the output biases, which claims state."""
    values = row.model_dump(mode="json", include={"backbone", "heads"})
    del values["backbone"]["output_bias"]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
