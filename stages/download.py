"""Load the chosen data set and write it in one form, whatever its source."""

import os
from pathlib import Path

from singlefilter.datasets import write_dataset
from singlefilter.errors import InputError
from singlefilter.params import Params
from singlefilter.sources import load_source
from stages import run

DATASET = Path("data/dataset.h5")


def main(params: Params) -> None:
    mirror = os.environ.get("DATASET_MIRROR")
    try:
        data = load_source(
            params.dataset, params.chosen_dataset, Path(mirror) if mirror else None, Path("data/downloads")
        )
    except InputError as error:
        raise InputError(f"{error}\nAn earlier {DATASET} comes back with: dvc checkout {DATASET}") from error
    write_dataset(DATASET, data)
    names = data.class_names
    print(
        f"{data.name}: {len(data.train.labels):,} training and {len(data.test.labels):,} test images, "
        f"{len(names)} classes ({names[0]} … {names[-1]})"
    )


if __name__ == "__main__":
    run(main)
