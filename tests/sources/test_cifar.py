import hashlib
import io
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets as published

from singlefilter.data.dataset import Data, Split, fingerprint
from singlefilter.data.store import write_dataset
from singlefilter.pipeline.errors import InputError
from singlefilter.sources import cifar
from singlefilter.sources.cifar import KNOWN, Known, load_cifar
from tests.hdf5_files import write

CLASSES = {"cifar10": published.CIFAR10, "cifar100": published.CIFAR100}
SOURCES = list(CLASSES)


def fingerprints(data: Data) -> dict[str, str]:
    return {name: fingerprint(split) for name, split in data.splits.items()}


def plain_fingerprint(split: Split) -> str:
    contents = [bytes([label]) + image.tobytes() for image, label in zip(split.images, split.labels, strict=True)]
    return hashlib.sha256(b"".join(sorted(hashlib.sha256(content).digest() for content in contents))).hexdigest()


def make_small(source: str) -> Data:
    """A made-up set with the classes of the source: two training images and one test image of each."""
    names = KNOWN[source].class_names
    generator = np.random.default_rng(0)
    train, test = (
        Split(generator.integers(0, 256, (len(labels), 32, 32, 3), np.uint8), labels)
        for labels in (np.tile(np.arange(len(names)), 2), np.arange(len(names)))
    )
    return Data(source, names, train, test)


def pack_npz(folder: Path, data: Data) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "any name.npz"
    labels = {
        f"{name}_y": split.labels.astype(np.uint8) for name, split in (("train", data.train), ("test", data.test))
    }
    np.savez(path, train_x=data.train.images, test_x=data.test.images, **labels)
    return path


def pack_folders(folder: Path, data: Data) -> Path:
    for name, split in (("train", data.train), ("test", data.test)):
        for position, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
            path = folder / name / data.class_names[label] / f"{1000 - position}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    return folder


def pickled_batches(data: Data) -> dict[str, bytes]:
    official = CLASSES[data.name]
    key = "labels" if data.name == "cifar10" else "fine_labels"
    batches = {}
    for files, split in ((official.train_list, data.train), (official.test_list, data.test)):
        for (name, _), rows in zip(files, np.array_split(np.arange(len(split.labels)), len(files)), strict=True):
            pixels = split.images[rows].transpose(0, 3, 1, 2).reshape(len(rows), -1)  # (N, 32, 32, 3) -> (N, 3072)
            batches[name] = pickle.dumps({"data": pixels, key: split.labels[rows].tolist()})
    return batches


def pack_batches(folder: Path, data: Data) -> Path:
    folder = folder / CLASSES[data.name].base_folder
    folder.mkdir(parents=True)
    for name, content in pickled_batches(data).items():
        (folder / name).write_bytes(content)
    return folder


def archive_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def pack_archive(folder: Path, data: Data) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    official = CLASSES[data.name]
    path = folder / official.filename
    members = {f"{official.base_folder}/{name}": content for name, content in pickled_batches(data).items()}
    path.write_bytes(archive_of({f"{official.base_folder}/readme.html": b"<p>", **members}))
    return path


PACKERS: list[Callable[[Path, Data], Path]] = [pack_npz, pack_folders, pack_batches, pack_archive]


def publish(monkeypatch: pytest.MonkeyPatch, data: Data) -> Data:
    """Let the small set be what is known and published as its source."""
    official = CLASSES[data.name]
    digests = {name: hashlib.md5(content).hexdigest() for name, content in pickled_batches(data).items()}
    for files in ("train_list", "test_list"):
        monkeypatch.setattr(official, files, [[name, digests[name]] for name, _ in getattr(official, files)])
    known = Known(data.class_names, plain_fingerprint(data.train), plain_fingerprint(data.test))
    monkeypatch.setitem(KNOWN, data.name, known)
    return data


def publish_archive(monkeypatch: pytest.MonkeyPatch, path: Path, data: Data) -> None:
    monkeypatch.setattr(CLASSES[data.name], "tgz_md5", hashlib.md5(path.read_bytes()).hexdigest())


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Data:
    return publish(monkeypatch, make_small("cifar10"))


def written(path: Path, data: Data) -> bytes:
    write(path, write_dataset, data)
    return path.read_bytes()


@pytest.mark.parametrize("source", SOURCES)
def test_class_names_are_the_usual_ones_in_alphabetical_order(source):
    names = KNOWN[source].class_names
    assert names == tuple(sorted(set(names))) and len(names) == int(source.removeprefix("cifar"))
    ends = {"cifar10": ("airplane", "truck"), "cifar100": ("apple", "worm")}
    assert (names[0], names[-1]) == ends[source]


@pytest.mark.parametrize("source", SOURCES)
def test_every_packaging_gives_the_same_bytes(source, tmp_path, monkeypatch):
    data = publish(monkeypatch, make_small(source))
    expected = written(tmp_path / "expected.h5", data)
    for pack in PACKERS:
        for mirror, place in (("direct", ""), ("named", source)):
            path = pack(tmp_path / pack.__name__ / mirror / place, data)
            if pack is pack_archive:
                publish_archive(monkeypatch, path, data)
            loaded = load_cifar(source, source, tmp_path / pack.__name__ / mirror, tmp_path)
            assert loaded.train.labels.dtype == np.int64
            assert written(tmp_path / "found.h5", loaded) == expected, (pack, mirror)


def test_the_mirror_may_be_the_folder_of_batches_itself(small, tmp_path):
    folder = pack_batches(tmp_path, small)
    assert fingerprints(load_cifar("mine", "cifar10", folder, tmp_path)) == fingerprints(small)


def test_the_right_one_of_several_copies_is_found(small, tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    (tmp_path / "train/n01440764").mkdir(parents=True)
    (tmp_path / "test/n01440764").mkdir(parents=True)
    pack_npz(tmp_path, small)
    assert fingerprints(load_cifar("mine", "cifar10", tmp_path, tmp_path)) == fingerprints(small)


def test_without_a_mirror_the_published_archive_is_downloaded(small, tmp_path, monkeypatch):
    ready = pack_archive(tmp_path / "server", small)
    publish_archive(monkeypatch, ready, small)
    asked = []

    def fake_download(url: str, path: Path, md5: str) -> None:
        asked.append((url, path, md5))
        path.write_bytes(ready.read_bytes())

    monkeypatch.setattr(cifar, "download", fake_download)
    assert fingerprints(load_cifar("mine", "cifar10", None, tmp_path)) == fingerprints(small)
    official = published.CIFAR10
    assert asked == [(official.url, tmp_path / "cifar-10-python.tar.gz", official.tgz_md5)]


@pytest.mark.parametrize("pack", [pack_npz, pack_folders])
def test_another_label_or_pixel_is_refused_with_the_name_and_what_was_found(small, tmp_path, pack):
    small.test.images[3, 4, 5, 0] ^= 1
    path = pack(tmp_path / "pixel", small)
    with pytest.raises(
        InputError, match=rf"{path} is not cifar10: its 10 test images .*{plain_fingerprint(small.test)}"
    ):
        load_cifar("mine", "cifar10", tmp_path / "pixel", tmp_path)
    small.train.labels[:2] = small.train.labels[1::-1].copy()
    path = pack(tmp_path / "labels", small)
    with pytest.raises(InputError, match=rf"{path} is not cifar10: its 20 training images"):
        load_cifar("mine", "cifar10", tmp_path / "labels", tmp_path)


def test_a_mirror_without_a_copy_is_told_what_is_accepted(tmp_path):
    with pytest.raises(InputError, match=r"holds no cifar10.*cifar-10-python.*train/<class>.*npz.*Unset"):
        load_cifar("mine", "cifar10", tmp_path, tmp_path)


def test_a_mirror_that_is_no_folder_is_refused_as_such(tmp_path):
    with pytest.raises(InputError, match="DATASET_MIRROR: .*not there is no folder"):
        load_cifar("mine", "cifar10", tmp_path / "not there", tmp_path)


def cut(content: bytes) -> bytes:
    return content[:-100]


def turn_to_page(_content: bytes) -> bytes:
    return b"<html>sign in to this network</html>"


def add_a_path_outside(content: bytes) -> bytes:
    return archive_of({"../../outside": b"", "/tmp/outside": b"", "cifar-10-batches-py/data_batch_1": content})


@pytest.mark.parametrize("damage", [cut, turn_to_page, add_a_path_outside])
def test_another_archive_is_refused_with_its_name_and_nothing_is_extracted(small, tmp_path, monkeypatch, damage):
    mirror = tmp_path / "deep" / "er"
    path = pack_archive(mirror, small)
    publish_archive(monkeypatch, path, small)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=rf"{path} is .*the published file has"):
        load_cifar("mine", "cifar10", mirror, tmp_path)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]


def test_swapped_and_missing_batches_are_refused_with_their_names(small, tmp_path):
    folder = pack_batches(tmp_path, small)
    (folder / "data_batch_2").write_bytes((folder / "data_batch_3").read_bytes())
    with pytest.raises(InputError, match=r"data_batch_2 is .* bytes with the MD5"):
        load_cifar("mine", "cifar10", tmp_path, tmp_path)
    (folder / "data_batch_4").unlink()
    with pytest.raises(InputError, match="data_batch_4 is missing"):
        load_cifar("mine", "cifar10", tmp_path, tmp_path)


class Harm:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_of_unknown_content_is_never_executed(small, tmp_path):
    folder = pack_batches(tmp_path, small)
    (folder / "test_batch").write_bytes(pickle.dumps(Harm(tmp_path / "harm")))
    np.savez(tmp_path / "a.npz", train_x=np.array([Harm(tmp_path / "harm")]))
    with pytest.raises(InputError, match="test_batch is"):
        load_cifar("mine", "cifar10", tmp_path, tmp_path)
    assert not (tmp_path / "harm").exists()


def test_another_set_of_class_folders_is_refused_before_its_images_are_read(small, tmp_path):
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        for name in (*small.class_names[1:], "zebra"):
            (tmp_path / split / name).mkdir()
    with pytest.raises(InputError, match="airplane is missing, a class of cifar10"):
        load_cifar("mine", "cifar10", tmp_path, tmp_path)
    for split in ("train", "test"):
        (tmp_path / split / "airplane").mkdir()
    with pytest.raises(InputError, match="zebra is no class of cifar10"):
        load_cifar("mine", "cifar10", tmp_path, tmp_path)


def test_a_missing_class_folder_and_an_unreadable_image_are_named(small, tmp_path):
    pack_folders(tmp_path, small)
    image = next((tmp_path / "train/cat").iterdir())
    image.write_bytes(image.read_bytes()[:50])
    with pytest.raises(InputError, match=f"{image} cannot be read"):
        load_cifar("mine", "cifar10", tmp_path, tmp_path)
    (tmp_path / "test/cat").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="test/cat is missing"):
        load_cifar("mine", "cifar10", tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train_x", np.zeros((20, 3, 32, 32), np.uint8), r"train_x is uint8 \(20, 3, 32, 32\)"),
        ("train_x", np.zeros((20, 32, 32, 3), np.float32), "train_x is float32"),
        ("test_y", np.zeros(10), "test_y float64"),
        ("test_y", np.zeros(9, np.int64), r"test_y int64 \(9,\)"),
    ],
)
def test_arrays_of_another_shape_or_type_are_refused(small, tmp_path, key, value, message):
    path = pack_npz(tmp_path, small)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, key: value})
    with pytest.raises(InputError, match=rf"any name\.npz: .*{message}"):
        load_cifar("mine", "cifar10", tmp_path, tmp_path)


def test_a_cut_npz_is_refused_with_its_name(small, tmp_path):
    path = pack_npz(tmp_path, small)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"any name\.npz is no \.npz"):
        load_cifar("mine", "cifar10", tmp_path, tmp_path)


def test_arrays_that_unpack_to_more_than_cifar_has_are_refused_before_they_are(small, tmp_path, monkeypatch):
    pack_npz(tmp_path, small)
    monkeypatch.setattr(cifar, "MOST_BYTES", 20 * 32 * 32 * 3)  # of the 20 training images, without the header
    with pytest.raises(InputError, match=r"any name\.npz is .* has more than 61,440 bytes unpacked"):
        load_cifar("mine", "cifar10", tmp_path, tmp_path)


def test_what_is_in_an_archive_beside_batches_is_never_written(small, tmp_path, monkeypatch):
    """Even an archive with the published digest has no power over the disk."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, kind, target in (
            ("/absolute", tarfile.REGTYPE, ""),
            ("../outside", tarfile.REGTYPE, ""),
            ("link", tarfile.SYMTYPE, "/etc/passwd"),
            ("hard", tarfile.LNKTYPE, "/etc/passwd"),
            ("device", tarfile.CHRTYPE, ""),
            ("pipe", tarfile.FIFOTYPE, ""),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, target
            archive.addfile(entry)
        for name, content in pickled_batches(small).items():
            entry = tarfile.TarInfo(f"../{published.CIFAR10.base_folder}/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    mirror = tmp_path / "deep" / "er"
    mirror.mkdir(parents=True)
    path = mirror / published.CIFAR10.filename
    path.write_bytes(buffer.getvalue())
    publish_archive(monkeypatch, path, small)
    assert fingerprints(load_cifar("mine", "cifar10", mirror, tmp_path)) == fingerprints(small)
    assert [file for file in tmp_path.rglob("*") if not file.is_dir()] == [path]
