"""Load the chosen data set and write it in one form, whatever its source."""

import os
from pathlib import Path

from singlefilter.data.dataset import hold_out, write_dataset
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.provenance import made_with
from singlefilter.sources.load import load_source
from stages import run

DATASET = Path("data/dataset.h5")


def main(params: Params) -> None:
    mirror = os.environ.get("DATASET_MIRROR")
    try:
        data = load_source(
            params.dataset, params.chosen_dataset, Path(mirror) if mirror else None, Path("data/downloads")
        )
        data = hold_out(data, params.validation.size, params.validation.seed)
    except InputError as error:
        raise InputError(f"{error}; if {DATASET} is gone, the last one comes back: dvc checkout {DATASET}") from error
    write_dataset(DATASET, data, made_with(params, None, "images"))
    counts = ", ".join(f"{len(split.labels):,} {name} images" for name, split in data.splits.items())
    print(f"{data.name}: {counts}; {len(data.class_names)} classes ({data.class_names[0]} … {data.class_names[-1]})")


if __name__ == "__main__":
    run(main)
