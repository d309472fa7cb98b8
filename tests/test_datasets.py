import hashlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from singlefilter.datasets import Data, Split, fingerprint, read_dataset, write_dataset
from singlefilter.errors import InputError


def make_split(seed: int, labels: list[int]) -> Split:
    images = np.random.default_rng(seed).integers(0, 256, (len(labels), 4, 5, 3), np.uint8)
    return Split(images, np.array(labels, np.int64))


def make_data() -> Data:
    return Data("small", ("cat", "Löwe", "dog"), make_split(0, [0, 1, 2, 2, 1]), make_split(1, [2, 1, 0]))


def shuffled(split: Split, seed: int) -> Split:
    order = np.random.default_rng(seed).permutation(len(split.labels))
    return Split(split.images[order], split.labels[order])


def plain_fingerprint(split: Split, label_bytes: int) -> str:
    digests = []
    for image, label in zip(split.images.tolist(), split.labels.tolist(), strict=True):
        content = [(label >> 8 * place) % 256 for place in range(label_bytes)]
        content += [channel for row in image for pixel in row for channel in pixel]
        digests.append(hashlib.sha256(bytes(content)).hexdigest())
    return hashlib.sha256(bytes.fromhex("".join(sorted(digests)))).hexdigest()


@pytest.mark.parametrize(("labels", "label_bytes"), [([0, 1, 2, 1], 1), ([255, 0], 1), ([256, 3], 2), ([999, 258], 2)])
def test_fingerprint_equals_the_plain_version(labels, label_bytes):
    split = make_split(2, labels)
    assert fingerprint(split) == plain_fingerprint(split, label_bytes)


def test_fingerprint_does_not_depend_on_the_order_or_the_layout_in_memory():
    split = make_split(3, [0, 1, 1, 2])
    assert fingerprint(shuffled(split, 5)) == fingerprint(split)
    assert fingerprint(Split(np.asfortranarray(split.images), split.labels)) == fingerprint(split)


def test_fingerprint_changes_with_swapped_labels_and_with_one_pixel():
    split = make_split(4, [0, 1, 2])
    pixel = split.images.copy()
    pixel[1, 2, 3, 0] ^= 1
    others = [
        Split(split.images, split.labels[[1, 0, 2]]),
        Split(pixel, split.labels),
        Split(split.images, -split.labels),
    ]
    assert len({fingerprint(other) for other in [split, *others]}) == 4


def test_a_written_data_set_is_read_back_sorted_by_digest(tmp_path):
    data = make_data()
    write_dataset(tmp_path / "data.h5", data)
    read = read_dataset(tmp_path / "data.h5")
    assert (read.name, read.class_names, read.fingerprints) == ("small", ("cat", "Löwe", "dog"), data.fingerprints)
    for before, after in ((data.train, read.train), (data.test, read.test)):
        assert (after.images.dtype, after.labels.dtype) == (np.uint8, np.int64)
        contents = [bytes([label]) + image.tobytes() for image, label in zip(after.images, after.labels, strict=True)]
        expected = [bytes([label]) + image.tobytes() for image, label in zip(before.images, before.labels, strict=True)]
        assert contents == sorted(expected, key=lambda content: hashlib.sha256(content).digest())


def test_the_file_has_the_documented_layout(tmp_path):
    write_dataset(tmp_path / "data.h5", make_data())
    with h5py.File(tmp_path / "data.h5", "r") as file:
        assert file["train/images"].shape == (5, 4, 5, 3) and file["test/labels"].shape == (3,)
        assert file["test"].attrs["fingerprint"] == plain_fingerprint(make_data().test, 1)
        assert list(file.attrs["class_names"]) == ["cat", "Löwe", "dog"] and file.attrs["name"] == "small"


def test_the_same_images_in_any_order_give_the_same_bytes(tmp_path):
    data = make_data()
    mixed = Data(data.name, data.class_names, shuffled(data.train, 1), shuffled(data.test, 2))
    write_dataset(tmp_path / "one.h5", data)
    write_dataset(tmp_path / "two.h5", mixed)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def test_a_thousand_classes_are_written_and_read(tmp_path):
    names = tuple(f"class number {label:03}" for label in range(1000))
    split = Split(np.zeros((1000, 1, 1, 3), np.uint8), np.arange(1000))
    write_dataset(tmp_path / "data.h5", Data("many", names, split, split))
    read = read_dataset(tmp_path / "data.h5")
    assert read.class_names == names and sorted(read.train.labels) == list(range(1000))


def remove_labels(file: h5py.File) -> None:
    del file["train/labels"]


def remove_class_names(file: h5py.File) -> None:
    del file.attrs["class_names"]


def change_a_pixel(file: h5py.File) -> None:
    file["test/images"][0, 0, 0, 0] ^= 1


def change_a_label(file: h5py.File) -> None:
    file["test/labels"][0] -= 256


def shorten_the_labels(file: h5py.File) -> None:
    labels = file["train/labels"][:-1]
    del file["train/labels"]
    file["train/labels"] = labels


def put_a_dataset_for_a_group(file: h5py.File) -> None:
    del file["train"]
    file["train"] = np.zeros(3)


@pytest.mark.parametrize(
    "damage",
    [
        remove_labels,
        remove_class_names,
        change_a_pixel,
        change_a_label,
        shorten_the_labels,
        put_a_dataset_for_a_group,
    ],
)
def test_a_damaged_file_is_refused_with_its_name_and_the_way_out(tmp_path, damage):
    path = tmp_path / "data.h5"
    write_dataset(path, make_data())
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(InputError, match=r"data\.h5 is not what .* dvc repro --force --single-item download"):
        read_dataset(path)


def test_a_short_file_is_refused(tmp_path: Path):
    write_dataset(tmp_path / "data.h5", make_data())
    content = (tmp_path / "data.h5").read_bytes()
    (tmp_path / "data.h5").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"data\.h5"):
        read_dataset(tmp_path / "data.h5")
