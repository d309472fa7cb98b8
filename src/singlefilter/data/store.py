"""The format of data/dataset.h5."""

import h5py
import numpy as np

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


def read_dataset(file: h5py.File) -> Data:
    """Read what write_dataset wrote."""
    splits = {name: Split(group["images"][:], group["labels"][:]) for name, group in file.items()}
    return Data(str(file.attrs["name"]), tuple(map(str, file.attrs["class_names"])), **splits)
