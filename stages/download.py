"""Load the chosen data set and write it in one form, whatever its source."""

import os
from pathlib import Path

from singlefilter.data.dataset import hold_out
from singlefilter.data.store import table_of_names, write_dataset
from singlefilter.pipeline.artifacts import DOWNLOADS, Workspace, in_project, path_of
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Params
from singlefilter.sources.load import load_source
from stages import run


def main(params: Params) -> None:
    mirror = os.environ.get("DATASET_MIRROR")
    folder = in_project(Path(mirror)) if mirror else None
    try:
        data = load_source(params.dataset, params.chosen_dataset, folder, DOWNLOADS)
        data = hold_out(data, params.validation.images, params.validation.seed)
    except InputError as error:
        raise InputError(f"{error}\nIf {path_of('dataset')} is gone, bring it back: dvc checkout download") from error
    workspace = Workspace(params)
    with workspace.write("dataset") as file:
        write_dataset(file, data)
    workspace.write_table("image_names", table_of_names(data))
    counts = ", ".join(f"{len(split.labels):,} {name} images" for name, split in data.splits.items())
    print(f"{data.name}: {counts}; {len(data.class_names)} classes ({data.class_names[0]} … {data.class_names[-1]})")


if __name__ == "__main__":
    run(main)
