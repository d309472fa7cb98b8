import hashlib

import h5py
import numpy as np
import pytest

from singlefilter.data.dataset import Data, Split, fingerprint, hold_out
from singlefilter.data.store import read_dataset, write_dataset
from singlefilter.pipeline.errors import InputError
from tests.hdf5_files import read, write


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


def test_a_data_set_is_shown_by_its_shapes():
    train, test = "Split(uint8 (5, 4, 5, 3), labels int64 (5,))", "Split(uint8 (3, 4, 5, 3), labels int64 (3,))"
    names = "('cat', 'Löwe', 'dog')"
    assert repr(make_data()) == f"Data(name='small', class_names={names}, train={train}, test={test}, validation=None)"


def test_a_written_data_set_is_read_back_sorted_by_digest(tmp_path):
    data = make_data()
    write(tmp_path / "data.h5", write_dataset, data)
    found = read(tmp_path / "data.h5", read_dataset)
    assert (found.name, found.class_names, fingerprints(found)) == ("small", ("cat", "Löwe", "dog"), fingerprints(data))
    for before, after in ((data.train, found.train), (data.test, found.test)):
        assert (after.images.dtype, after.labels.dtype) == (np.uint8, np.int64)
        assert contents(after) == sorted(contents(before), key=lambda content: hashlib.sha256(content).digest())


def test_the_file_has_the_documented_layout(tmp_path):
    write(tmp_path / "data.h5", write_dataset, make_data())
    with h5py.File(tmp_path / "data.h5", "r") as file:
        assert file["train/images"].shape == (5, 4, 5, 3) and file["test/labels"].shape == (3,)
        assert file["test"].attrs["fingerprint"] == plain_fingerprint(make_data().test, 1)
        assert list(file.attrs["class_names"]) == ["cat", "Löwe", "dog"] and file.attrs["name"] == "small"


def test_the_same_images_in_any_order_give_the_same_bytes(tmp_path):
    data = make_data()
    mixed = Data(data.name, data.class_names, shuffled(data.train, 1), shuffled(data.test, 2))
    write(tmp_path / "one.h5", write_dataset, data)
    write(tmp_path / "two.h5", write_dataset, mixed)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def fingerprints(data: Data) -> dict[str, str]:
    return {name: fingerprint(split) for name, split in data.splits.items()}


def contents(split: Split) -> list[bytes]:
    """The images with their labels, in the order of the split."""
    return [bytes([label]) + image.tobytes() for image, label in zip(split.images, split.labels, strict=True)]


@pytest.fixture
def many() -> Data:
    labels = np.random.default_rng(9).integers(3, size=40).tolist()
    return Data("many", ("cat", "Löwe", "dog"), make_split(6, labels), make_split(7, [2, 1, 0]))


def test_holding_out_nothing_gives_the_data_set_itself(many):
    assert hold_out(many, 0, seed=3) is many
    assert list(many.splits) == ["train", "test"]


def test_a_label_whose_last_training_image_would_be_held_out_is_named(many):
    with pytest.raises(InputError, match=r"^validation.images: is 39, by which no training image of cat is left; hold"):
        hold_out(many, 39, seed=3)


@pytest.mark.parametrize("size", [1, 15, 25])
def test_what_is_held_out_and_what_is_left_are_together_the_training_set(many, size):
    held = hold_out(many, size, seed=3)
    assert (len(held.validation.labels), len(held.train.labels)) == (size, 40 - size)
    assert sorted(contents(held.train) + contents(held.validation)) == sorted(contents(many.train))
    assert len({*contents(held.train), *contents(held.validation)}) == 40
    assert held.test is many.test
    assert (held.name, held.class_names) == (many.name, many.class_names)
    assert held.splits == {"train": held.train, "test": held.test, "validation": held.validation}
    assert len({*fingerprints(held).values()}) == 3


def test_every_packaging_holds_out_the_same_images(many):
    held = hold_out(many, 15, seed=3)
    for order in range(3):
        mixed = Data(many.name, many.class_names, shuffled(many.train, order), many.test)
        assert contents(mixed.train) != contents(many.train)
        assert fingerprints(hold_out(mixed, 15, seed=3)) == fingerprints(held)


def test_another_seed_holds_out_other_images_and_the_draw_is_from_the_whole_set(many):
    held = [frozenset(contents(hold_out(many, 15, seed).validation)) for seed in range(30)]
    assert len({*held}) == 30
    assert frozenset.union(*held) == {*contents(many.train)}


@pytest.mark.parametrize("size", [40, 41, 1000])
def test_no_more_can_be_held_out_than_leaves_an_image(many, size):
    message = rf"validation\.images: is {size:,}; must be below the number of training images, 40"
    with pytest.raises(InputError, match=message):
        hold_out(many, size, seed=0)


def test_a_data_set_with_a_validation_set_is_written_and_read(many, tmp_path):
    held = hold_out(many, 15, seed=3)
    write(tmp_path / "data.h5", write_dataset, held)
    with h5py.File(tmp_path / "data.h5", "r") as file:
        assert set(file) == {"train", "test", "validation"}
        assert file["validation/images"].shape == (15, 4, 5, 3)
        assert file["validation"].attrs["fingerprint"] == plain_fingerprint(held.validation, 1)
    found = read(tmp_path / "data.h5", read_dataset)
    assert fingerprints(found) == fingerprints(held)
    for name, split in held.splits.items():
        assert contents(found.splits[name]) == sorted(contents(split), key=lambda c: hashlib.sha256(c).digest())
    write(tmp_path / "plain.h5", write_dataset, many)
    assert read(tmp_path / "plain.h5", read_dataset).validation is None


def test_a_thousand_classes_are_written_and_read(tmp_path):
    names = tuple(f"class number {label:03}" for label in range(1000))
    split = Split(np.zeros((1000, 1, 1, 3), np.uint8), np.arange(1000))
    write(tmp_path / "data.h5", write_dataset, Data("many", names, split, split))
    found = read(tmp_path / "data.h5", read_dataset)
    assert found.class_names == names and sorted(found.train.labels) == list(range(1000))
