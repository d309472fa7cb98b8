"""CIFAR-10 and CIFAR-100 from any packaging, recognised by content."""

import io
import pickle
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from singlefilter.data.dataset import Data, Split, fingerprint, numbers
from singlefilter.pipeline.errors import InputError
from singlefilter.sources.class_folders import find_classes, load_class_folders
from singlefilter.sources.downloading import check_md5, download


@dataclass(frozen=True)
class Known:
    """What tells a CIFAR data set: its class names in label order, and the fingerprints of its splits."""

    class_names: tuple[str, ...]
    train: str
    test: str


KNOWN = {
    "cifar10": Known(
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        train="d59acf989e068e709ce686cda292672c7b212c08d29d3d3e6d8c3aa99eba6a85",
        test="899683d46c3a8c66fd56e1af12202e69fe5a4517be10b0f68e04c78fe585c57c",
    ),
    "cifar100": Known(
        tuple(
            """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
            camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
            dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
            leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
            otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray
            road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
            sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
            wardrobe whale willow_tree wolf woman worm""".split()
        ),
        train="36ce7a701fbea47796e570c34382aad50f2539687cfcbc6ae96e2f56530d29b6",
        test="d3cd5d87a1b9317a0982c8ef5535fe3b86da8da90b13ce5e9b23ea06400dd5eb",
    ),
}
MOST_BYTES = 200_000_000  # of an array; the largest, the training images, has 153,600,128

Reader = Callable[[Path, str], tuple[Split, Split]]  # (file or folder, source) -> train, test


def load_cifar(name: str, source: str, mirror: Path | None, downloads: Path) -> Data:
    """Load CIFAR-10 or CIFAR-100 from a copy on disk, or else from torchvision's address.

    Args:
        name: The data set's name.
        source: cifar10 or cifar100.
        mirror: The folder with the copy, or a folder that holds it under the name of the source: the official archive,
            the extracted batches, class folders of images, or an .npz file. None to download the archive.
        downloads: Where the downloaded archive is kept.

    Raises:
        InputError: There is no copy, or its content is not that of the data set.
    """
    if mirror is None:
        published = _published(source)
        archive = downloads / published.filename
        download(published.url, archive, published.tgz_md5)
        return _recognise(name, source, archive, _read_archive)
    if not mirror.is_dir():
        raise InputError(f"DATASET_MIRROR: {mirror} is no folder; name one, or unset it to download {source}")
    refusals = []
    for path, reader in _packagings(mirror, source):
        try:
            return _recognise(name, source, path, reader)
        except InputError as error:
            refusals.append(f"\n* {error}")
    published = _published(source)
    raise InputError(
        f"DATASET_MIRROR: {mirror} holds no {source} that can be used. Accepted are, there or in its folder {source}: "
        f"{published.filename}; the folder {published.base_folder}; class folders train/<class>/* and test/<class>/*; "
        "an .npz with train_x, train_y, test_x, test_y. Unset DATASET_MIRROR to download it." + "".join(refusals)
    )


def _recognise(name: str, source: str, path: Path, reader: Reader) -> Data:
    train, test = reader(path, source)
    known = KNOWN[source]
    for split_name, split, expected in (("training", train, known.train), ("test", test, known.test)):
        found = fingerprint(split)
        if found != expected:
            raise InputError(
                f"{path} is not {source}: its {len(split.labels):,} {split_name} images have the content fingerprint "
                f"{found}, and {source}'s have {expected}"
            )
    return Data(name, known.class_names, train, test)


def _published(source: str) -> Any:
    """Torchvision's class for the data set, which has the address, the names and the MD5s of the official files."""
    from torchvision import datasets  # here, since it takes seconds

    return {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[source]


def _packagings(mirror: Path, source: str) -> Iterator[tuple[Path, Reader]]:
    """What looks like a copy of the data set, and what reads it."""
    published = _published(source)
    for base in (mirror / source, mirror):
        if (base / published.filename).is_file():
            yield base / published.filename, _read_archive
        for folder in (base / published.base_folder, base):
            if any((folder / name).is_file() for name, _ in published.train_list + published.test_list):
                yield folder, _read_batches
        if (base / "train").is_dir() or (base / "test").is_dir():
            yield base, _read_folders
        for path in sorted(base.glob("*.npz")):
            yield path, _read_npz


def _read_archive(path: Path, source: str) -> tuple[Split, Split]:
    """Read the official archive in memory: nothing is extracted, so no path within it can do harm."""
    published = _published(source)
    content = path.read_bytes()
    check_md5(path, content, published.tgz_md5)
    batches = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            if member.isfile():
                batches[Path(member.name).name] = archive.extractfile(member).read()
    return _unpickle(path, batches, published)


def _read_batches(folder: Path, source: str) -> tuple[Split, Split]:
    published = _published(source)
    batches = {}
    for name, _ in published.train_list + published.test_list:
        if not (folder / name).is_file():
            raise InputError(f"{folder / name} is missing; put the official file there")
        batches[name] = (folder / name).read_bytes()
    return _unpickle(folder, batches, published)


def _unpickle(path: Path, batches: dict[str, bytes], published: Any) -> tuple[Split, Split]:
    splits = []
    for files in (published.train_list, published.test_list):
        for name, md5 in files:  # first, since a pickle of other content could run any code
            check_md5(path / name, batches[name], md5)
        entries = [pickle.loads(batches[name], encoding="latin1") for name, _ in files]
        rows = np.concatenate([entry["data"] for entry in entries])  # (N, C*H*W)
        images = rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)  # (N, C, H, W) -> (N, H, W, C)
        labels = np.concatenate([entry.get("labels", entry.get("fine_labels")) for entry in entries])
        splits.append(Split(images, labels, numbers(images)))
    return splits[0], splits[1]


def _read_folders(folder: Path, source: str) -> tuple[Split, Split]:
    names = find_classes(folder)
    different = sorted(set(names) ^ set(KNOWN[source].class_names))
    if different:
        verb = "is no class of" if different[0] in names else "is missing, a class of"
        raise InputError(f"{folder / 'train' / different[0]} {verb} {source}")
    data = load_class_folders(source, folder, image_size=32)
    return data.train, data.test


def _read_npz(path: Path, _source: str) -> tuple[Split, Split]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            keys = ("train_x", "train_y", "test_x", "test_y")
            if any(file.zip.getinfo(f"{key}.npy").file_size > MOST_BYTES for key in keys):
                raise ValueError(f"one of them has more than {MOST_BYTES:,} bytes unpacked")
            arrays = {key: file[key] for key in keys}
    except Exception as error:  # a broken file may raise anything
        raise InputError(f"{path} is no .npz with train_x, train_y, test_x, test_y: {error}") from error
    splits = []
    for name in ("train", "test"):
        images, labels = arrays[f"{name}_x"], arrays[f"{name}_y"]
        fits = images.dtype == np.uint8 and images.shape[1:] == (32, 32, 3)
        if not fits or labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
            raise InputError(
                f"{path}: {name}_x is {images.dtype} {images.shape}, {name}_y {labels.dtype} {labels.shape}; "
                "needed are uint8 (N, 32, 32, 3) and integers (N,)"
            )
        splits.append(Split(images, labels.astype(np.int64), numbers(images)))
    return splits[0], splits[1]
