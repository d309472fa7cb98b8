"""The format of data/dataset.h5."""

import h5py
import numpy as np
import pandas as pd

from singlefilter.data.dataset import Data, Split, fingerprint, in_order


def write_dataset(file: h5py.File, data: Data) -> None:
    """Write a data set, its images in the order of their digests: every packaging of it gives the same bytes.

    Args:
        file: Gets the groups train and test, and validation if there is one, each with images, labels and the attribute
            fingerprint; and the attributes name and class_names.
        data: The data set.
    """
    file.attrs["name"] = data.name
    file.attrs.create("class_names", data.class_names, dtype=h5py.string_dtype())
    for name, split in data.splits.items():
        ordered = in_order(split)
        group = file.create_group(name)
        group.attrs["fingerprint"] = fingerprint(split)
        group["images"] = ordered.images
        group["labels"] = ordered.labels.astype(np.int64)


def table_of_names(data: Data) -> pd.DataFrame:
    """List where each image of dataset.h5 is found at its source.

    Returns:
        A row for each image, in the order of dataset.h5: `split`, `image`, its number there from 0 on, `label`, the
        name of its class, and `name`, as in Split.
    """
    tables = []
    for name, split in data.splits.items():
        ordered = in_order(split)
        labels = np.array(data.class_names)[ordered.labels]
        columns = {"split": name, "image": range(len(labels)), "label": labels, "name": ordered.names}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def read_dataset(file: h5py.File) -> Data:
    """Read what write_dataset wrote."""
    splits = {name: Split(group["images"][:], group["labels"][:]) for name, group in file.items()}
    return Data(str(file.attrs["name"]), tuple(map(str, file.attrs["class_names"])), **splits)
