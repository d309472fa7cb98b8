from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits as sklearn_digits

from singlefilter.data.dataset import Data, fingerprint, hold_out
from singlefilter.data.store import read_dataset
from singlefilter.pipeline.artifacts import path_of
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Dataset, Params, Validation, load_params
from singlefilter.sources.load import load_digits, load_source
from stages import download
from tests.hdf5_files import read

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_digits("digits", 32)


def parameters(dataset: str, validation: int = 0) -> Params:
    changes = {"dataset": dataset, "validation": Validation(images=validation, seed=2)}
    return load_params(ROOT / "params.yaml").model_copy(update=changes)


def plain_enlarged(scan: np.ndarray, size: int) -> np.ndarray:
    """Bilinear interpolation between pixel centres, one axis after the other, then rounding."""
    centres = (np.arange(size) + 0.5) * 8 / size - 0.5
    rows = np.stack([np.interp(centres, np.arange(8), row) for row in scan * 255 / 16])
    return np.rint(np.stack([np.interp(centres, np.arange(8), column) for column in rows.T]).T)


def test_digits_are_all_of_them_with_30_a_label_in_the_test_set(digits):
    assert digits.class_names == tuple("0123456789")
    np.testing.assert_array_equal(np.bincount(digits.test.labels), [30] * 10)
    np.testing.assert_array_equal(np.bincount(digits.train.labels), np.bincount(sklearn_digits().target) - 30)
    assert digits.train.images.shape == (1497, 32, 32, 3) and digits.test.images.shape == (300, 32, 32, 3)


def test_digits_have_three_equal_channels_and_use_the_whole_range(digits):
    for images in (digits.train.images, digits.test.images):
        assert (images == images[:, :, :, :1]).all()
        assert (images.dtype, images.min(), images.max()) == (np.uint8, 0, 255)


def test_each_digit_is_in_one_split_only(digits):
    contents = [image.tobytes() for split in (digits.train, digits.test) for image in split.images]
    assert len(set(contents)) == 1797  # no two of the scans are equal


@pytest.mark.parametrize("size", [8, 16, 32])
def test_digits_equal_a_plain_bilinear_enlargement(size):
    scans = sklearn_digits()
    expected = {
        (plain_enlarged(scan, size).astype(np.uint8).tobytes(), label)
        for scan, label in zip(scans.images, scans.target, strict=True)
    }
    digits = load_digits("digits", size)
    found = {
        (image[:, :, 0].tobytes(), label)
        for split in (digits.train, digits.test)
        for image, label in zip(split.images, split.labels, strict=True)
    }
    assert found == expected


def test_a_folder_row_is_read_from_its_folder(tmp_path):
    for name in ("train/a", "train/b", "test/a", "test/b"):
        (tmp_path / name).mkdir(parents=True)
        Image.new("RGB", (4, 4), (1, 2, 3)).save(tmp_path / name / "1.png")
    row = Dataset(source=str(tmp_path), image_size=4, flip=True, translation=0)
    data = load_source("mine", row, None, tmp_path)
    assert (data.name, data.class_names) == ("mine", ("a", "b"))
    assert (data.train.images == [1, 2, 3]).all()


def test_the_stage_writes_the_same_bytes_twice_and_says_what_they_are(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    download.main(parameters("digits"))
    first = path_of("dataset").read_bytes()
    download.main(parameters("digits"))
    assert path_of("dataset").read_bytes() == first
    assert "digits: 1,497 train images, 300 test images; 10 classes (0 … 9)\n" in capsys.readouterr().out
    assert len(read(path_of("dataset"), read_dataset).train.labels) == 1497


def test_the_stage_holds_out_a_validation_set(digits, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    download.main(parameters("digits", validation=97))
    written = read(path_of("dataset"), read_dataset)
    for name, split in hold_out(digits, 97, seed=2).splits.items():
        assert fingerprint(written.splits[name]) == fingerprint(split)
    assert "digits: 1,400 train images, 300 test images, 97 validation images; 10 cl" in capsys.readouterr().out


def test_a_validation_set_without_a_training_set_is_refused_and_the_earlier_file_left(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path_of("dataset").parent.mkdir()
    path_of("dataset").write_bytes(b"earlier")
    with pytest.raises(InputError, match=r"validation\.images: is 1,497; (?s:.*)dvc checkout data/dataset\.h5"):
        download.main(parameters("digits", validation=1497))
    assert path_of("dataset").read_bytes() == b"earlier"


def test_a_refused_source_leaves_the_earlier_file_and_names_the_way_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATASET_MIRROR", str(tmp_path / "nowhere"))
    path_of("dataset").parent.mkdir()
    path_of("dataset").write_bytes(b"earlier")
    with pytest.raises(InputError, match=r"nowhere is no folder(?s:.*)dvc checkout data/dataset\.h5"):
        download.main(parameters("cifar10"))
    assert path_of("dataset").read_bytes() == b"earlier"
