"""What the paper fixes of each network, and how a row of archs differs from it."""

from typing import Any

from singlefilter.pipeline.params import Arch


def _rates(learning_rate: float, momentum: float, weight_decay: float, *decay: tuple[int, float]) -> dict[str, Any]:
    """Give the rates of a group of weights; from each epoch on, they are multiplied by the factor every 20 epochs."""
    rows = [{"first": first, "every": 20, "factor": factor} for first, factor in decay]
    return {"learning_rate": learning_rate, "momentum": momentum, "weight_decay": weight_decay, "decay": rows}


# What the paper fixes of each network (Figs. 1, 7, 8; SI, Hyper-parameters): a value, or several where it leaves open
# which. `hidden` is the number of fully connected layers before the output. All else is open: their widths and
# activation, the epochs of the heads and the images that they see. Of vgg14 and the networks of fewer filters it gives
# no rates: a comparison needs those of the network beside which they stand.
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
        What differs, such as "backbone.epochs 150 instead of 200"; what the paper leaves open does not count. Of an
        untrained network only that it is.
    """
    if not row.backbone.is_trained:
        return ["untrained"]
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
