"""List the layers of the chosen network that can be examined, with their filters, positions and features on disk."""

from contextlib import suppress

import pandas as pd

from singlefilter.backbone.any_network import AnyNetwork
from singlefilter.backbone.modules import torchvision_names
from singlefilter.data.store import read_dataset
from singlefilter.pipeline.architecture import layer_shapes
from singlefilter.pipeline.artifacts import Workspace, feature_bytes
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Backbone, Params, no_row
from singlefilter.sources.load import check_source
from stages import run

SOME_LABELS = 2  # where they are unknown
THOUSAND = 1_000  # images, whose bytes are given before there is a data set
ARCH = {"metavar": "ROW", "help": "the row of archs to list (params.yaml's arch)"}
NETWORKS = {"action": "store_true", "help": "list torchvision's networks that a row of archs can name, and no layers"}


def main(params: Params, arch: str | None, networks: bool) -> None:
    if networks:
        print("\n".join(torchvision_names()))
        return
    if arch is not None:
        if arch not in params.archs:
            raise InputError(f"--arch: {no_row(arch, 'archs', params.archs)}")
        params = params.model_copy(update={"arch": arch})
    labels, images = labels_and_images(params)
    table = list_layers(params.chosen_arch.backbone, labels or SOME_LABELS, params.chosen_dataset.image_size)
    positions = table["positions"].clip(upper=1 if params.features.pooled else None)
    shapes = zip(table["filters"], positions, strict=True)
    megabytes = [feature_bytes([shape], images or THOUSAND) / 1e6 for shape in shapes]
    table[f"MB for {images or THOUSAND:,} images"] = [f"{each:,.1f}" for each in megabytes]
    print(f"{params.arch} with images of {params.chosen_dataset.image_size} pixels and {labels or 'unknown'} labels")
    print(table.to_string(index=False))
    taken = "numbers" if params.chosen_arch.backbone.is_chain else "numbers, or names that have a letter"
    in_use = ", ".join(map(str, params.chosen_arch.examined_layers))
    print(f"\nexamined_layers takes {taken}, in this order; those in use: {in_use}")


def labels_and_images(params: Params) -> tuple[int, int]:
    """Count the data set's labels and images; before it is there, the labels that it will have, and 0 if unknown."""
    with suppress(InputError), Workspace(params).read("dataset") as file:
        data = read_dataset(file)
        return len(data.class_names), data.image_count
    with suppress(InputError):
        if counts := check_source(params.dataset, params.chosen_dataset):
            return counts.labels, 0
    return 0, 0


def list_layers(backbone: Backbone, labels: int, image_size: int) -> pd.DataFrame:
    """List a network's layers: number, name (a chain's have none), filters, positions, and depth in the network."""
    if backbone.is_chain:
        columns = ["number", "filters", "positions", "depth"]
        shapes = layer_shapes(backbone.convolutions, image_size)
        rows = [(shape.number, shape.filters, shape.pooled_side**2, shape.number / len(shapes)) for shape in shapes]
    else:
        columns = ["number", "name", "filters", "positions", "depth"]
        layers = AnyNetwork(backbone, labels, image_size).layers
        places = [place for place in layers.places.values() if place.name not in layers.unclear]
        rows = [tuple(getattr(place, name) for name in columns) for place in places]
    return pd.DataFrame(rows, columns=columns).round({"depth": 2})


if __name__ == "__main__":
    run(main, arguments={"--arch": ARCH, "--networks": NETWORKS})
