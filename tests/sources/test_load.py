import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits as sklearn_digits

from singlefilter.data.dataset import Data, fingerprint, hold_out
from singlefilter.data.store import read_dataset
from singlefilter.pipeline.artifacts import path_of
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Dataset, Params, Validation
from singlefilter.pipeline.params_files import load_params
from singlefilter.sources.cifar import KNOWN
from singlefilter.sources.load import check_source, load_digits, load_source
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


def test_labels_and_training_images_are_counted_without_being_read(digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    of_digits = (len(digits.class_names), len(digits.train.labels))
    for source, counts in (("digits", of_digits), ("cifar10", (10, 50_000)), ("cifar100", (100, 50_000))):
        Path(f"data/images/{source}").mkdir(parents=True)
        row = Dataset(source=source, image_size=32, flip=True, translation=0)
        assert check_source(source, row) == counts


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


def test_digits_have_the_numbers_of_scikit_learn(digits):
    scans = sklearn_digits()
    for split in (digits.train, digits.test):
        numbers = split.names.astype(int)
        np.testing.assert_array_equal(split.labels, scans.target[numbers])
        darkest = scans.images[numbers].max(axis=(1, 2)) / 16 * 255
        assert (split.images.max(axis=(1, 2, 3)) <= darkest + 0.5).all()
    assert sorted([*digits.train.names.astype(int), *digits.test.names.astype(int)]) == list(range(1797))


@pytest.fixture
def own_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a data set `mine` with two classes, in a project that holds no more."""
    monkeypatch.chdir(tmp_path)
    folder = Path("data/images/mine")
    for name in ("train/a", "train/b", "test/a", "test/b"):
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (4, 4), (1, 2, 3)).save(folder / name / "1.png")
    return folder


MINE = Dataset(source="class_folders", image_size=4, flip=True, translation=0)


def test_class_folders_are_read_from_the_folder_of_their_row(own_images, tmp_path):
    Image.new("RGB", (4, 4), (1, 2, 3)).save(own_images / "test/b/2.png")
    Image.new("RGB", (4, 4), (1, 2, 3)).save(own_images / "train/b/2.png")
    assert check_source("mine", MINE) == (2, 3)
    data = load_source("mine", MINE, None, tmp_path)
    assert (data.name, data.class_names) == ("mine", ("a", "b"))
    assert (data.train.images == [1, 2, 3]).all()
    assert data.train.names.tolist() == ["train/a/1.png", "train/b/1.png", "train/b/2.png"]


@pytest.mark.parametrize("place", ["", "train", "test/b"])
@pytest.mark.parametrize(("target", "what"), [("/tmp", "a folder"), ("/nowhere", "nothing")])
def test_a_link_in_the_place_of_a_folder_is_refused_before_and_while_images_are_read(
    own_images, place, target, what, tmp_path
):
    shutil.rmtree(own_images / place)
    (own_images / place).symlink_to(target)
    message = rf"{own_images / place} is a link to {what}, (?s:.*)dvc import-url <folder> data/images/mine"
    with pytest.raises(InputError, match=message):
        check_source("mine", MINE)
    with pytest.raises(InputError, match=message):
        load_source("mine", MINE, None, tmp_path)


def test_links_to_files_are_followed_and_one_to_nothing_is_named(own_images, tmp_path):
    image = own_images / "train/a/1.png"
    image.rename(tmp_path / "elsewhere.png")
    image.symlink_to(tmp_path / "elsewhere.png")  # as DVC's cache has it
    check_source("mine", MINE)
    (tmp_path / "elsewhere.png").unlink()
    with pytest.raises(InputError, match=r"train/a/1\.png is a link to nothing; remove it"):
        check_source("mine", MINE)


def test_images_that_are_not_there_are_told_where_dvc_has_them_and_refused_elsewhere(own_images, capsys):
    own_images.with_name("mine.dvc").touch()
    check_source("mine", MINE)
    assert capsys.readouterr().out == ""
    shutil.rmtree(own_images)
    assert check_source("mine", MINE) is None
    assert capsys.readouterr().out == (
        "data/images/mine is not here; where the images are needed, get them: dvc pull data/images/mine\n"
    )
    own_images.with_name("mine.dvc").unlink()
    with pytest.raises(InputError, match="data/images/mine/train is no folder"):
        check_source("mine", MINE)


def test_a_published_data_set_under_another_name_needs_a_folder_for_its_note(own_images):
    row = Dataset(source="cifar10", image_size=32, flip=True, translation=4)
    with pytest.raises(InputError, match="data/images/cifar is missing; make it, with a note of where the images"):
        check_source("cifar", row)
    Path("data/images/cifar").mkdir()
    check_source("cifar", row)


@pytest.mark.parametrize("name", ["digits", *KNOWN])
def test_each_row_of_the_catalogue_has_a_note_with_the_fingerprints_of_its_content(name, digits):
    note = (ROOT / f"data/images/{name}/README.md").read_text(encoding="utf-8")
    train, test = re.findall(r"\b[0-9a-f]{64}\b", note)
    known = KNOWN.get(name)
    expected = (known.train, known.test) if known else (fingerprint(digits.train), fingerprint(digits.test))
    assert (train, test) == expected


def test_the_table_of_names_leads_from_the_dataset_to_the_source(digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    download.main(parameters("digits", validation=97))
    written = read(path_of("dataset"), read_dataset)
    names = pd.read_csv(path_of("image_names"), dtype={"label": str})
    assert names.groupby("split", sort=False).size().to_dict() == {"train": 1400, "test": 300, "validation": 97}
    pixels = {}
    for split in (digits.train, digits.test):
        pixels |= dict(zip(split.names.astype(int), split.images, strict=True))
    for name, split in written.splits.items():
        rows = names[names["split"] == name]
        assert rows["image"].tolist() == list(range(len(rows)))
        assert rows["label"].tolist() == [str(label) for label in split.labels]
        np.testing.assert_array_equal(split.images, [pixels[number] for number in rows["name"]])


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
    with pytest.raises(InputError, match=r"validation\.images: is 1,497; (?s:.*)dvc checkout download"):
        download.main(parameters("digits", validation=1497))
    assert path_of("dataset").read_bytes() == b"earlier"


def test_a_refused_source_leaves_the_earlier_file_and_names_the_way_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATASET_MIRROR", str(tmp_path / "nowhere"))
    path_of("dataset").parent.mkdir()
    path_of("dataset").write_bytes(b"earlier")
    with pytest.raises(InputError, match=r"nowhere is no folder(?s:.*)dvc checkout download"):
        download.main(parameters("cifar10"))
    assert path_of("dataset").read_bytes() == b"earlier"
