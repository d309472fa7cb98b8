"""Write the page of all filters: every filter, label and test image, in one file."""

from typing import Any

import numpy as np

from singlefilter.data.store import read_dataset
from singlefilter.explorer.pack import (
    Pack,
    add_explained,
    add_images,
    add_layer,
    add_numbers,
    code_edges,
    describe_page,
    layer_entry,
    nulls_entry,
    too_large,
)
from singlefilter.explorer.page import make_page, make_pictures
from singlefilter.filters.pictures import picture_side
from singlefilter.filters.store import read_explained, read_images, read_layer
from singlefilter.paper.values import SWEPT_THRESHOLDS
from singlefilter.pipeline.artifacts import Workspace, path_of, way_out
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Params, layer_text
from stages import run

KINDS = 3  # of matrices: fields on the test and the training set, decisions
NO_PAGE = "<!doctype html><title>No page</title><p>{}\n"


def main(params: Params) -> None:
    files = Workspace(params)
    reason = reason_against(files, params)
    page = NO_PAGE.format(reason) if reason else describe_run(files, params)
    files.write_text("explorer", page)
    where = f"every filter, label and test image: {path_of('explorer')} ({len(page) / 1e6:.1f} MB), in a browser"
    print(reason or where)


def reason_against(files: Workspace, params: Params) -> str:
    """Say why there is to be no page; empty if there is to be one."""
    if not params.explorer:
        return "The page of all filters is left out: explorer is false in params.yaml."
    with files.read("matrices", seed=params.seeds[0]) as file:
        layers = [read_layer(file, layer).splits["test"].fields.size for layer in params.chosen_arch.examined_layers]
    excess = too_large(KINDS * sum(layers) * len(params.seeds))
    advice = "examine fewer layers, or fewer samples at a time"
    return f"The page of all filters is left out: {excess}; {advice}." if excess else ""


def describe_run(files: Workspace, params: Params) -> str:
    """Pack a whole run, and make its page."""
    pack = Pack()
    thresholds = sorted({*SWEPT_THRESHOLDS, params.threshold})
    edges = code_edges(thresholds)
    samples = [add_sample(files, params, pack, edges, seed) for seed in params.seeds]
    with files.read("dataset") as file:
        data = read_dataset(file)
    count = samples[0]["images"]
    side = picture_side(params.chosen_dataset.image_size)
    names = files.read_table("image_names", dtype={"name": str}, keep_default_na=False)
    pictures, columns = make_pictures(data.test.images[:count], side)
    pack.add("labels", data.test.labels[:count].astype(np.uint16))
    images_per_label = np.bincount(data.test.labels, minlength=len(data.class_names))
    about = describe_page(data.class_names, thresholds, params.threshold, edges, samples, images_per_label) | {
        "heading": params.heading,
        "nulls": nulls_entry(files.read_table("nulls")),
        "pictures": {"count": count, "of": len(data.test.labels), "side": side, "columns": columns},
        "names": names.loc[names["split"] == "test", "name"].head(count).tolist(),
    }
    return make_page(f"{params.arch} on {params.dataset}: every filter", about, pack, pictures)


def add_sample(files: Workspace, params: Params, pack: Pack, edges: np.ndarray, seed: int) -> dict[str, Any]:
    """Add a sample's arrays to the pack, and give what else is to be known of it."""
    layers = []
    table = files.read_table("filters", dtype={"layer": str, "labels": str})
    with files.read("matrices", seed=seed) as matrices, files.read("images", seed=seed) as images:
        for layer in params.chosen_arch.examined_layers:
            prefix, of_layer = f"{seed}/{layer}", read_layer(matrices, layer)
            add_layer(pack, prefix, of_layer, edges)
            rows = table[(table["seed"] == seed) & (table["layer"] == str(layer))]
            if len(rows) != len(of_layer.faded):
                raise InputError(
                    f"{path_of('filters')} is of another run: it has {len(rows)} filters of {layer_text(layer)}, "
                    f"sample {seed}, where {len(of_layer.faded)} are expected. {way_out('filters')}"
                )
            add_numbers(pack, prefix, rows)
            found = read_images(images, layer)
            add_images(pack, prefix, found)
            layers.append(layer_entry(layer, len(of_layer.faded), of_layer.accuracies))
        explained = read_explained(images)
    add_explained(pack, str(seed), explained)
    return {"name": str(seed), "layers": layers, "images": len(found.predictions), "explained": len(explained.codes)}


if __name__ == "__main__":
    run(main)
