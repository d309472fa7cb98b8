"""Class folders of images, train/<class>/* and test/<class>/*, as a data set."""

import unicodedata
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from singlefilter.data.dataset import Data, Split
from singlefilter.pipeline.console import progress
from singlefilter.pipeline.errors import InputError
from singlefilter.sources.images import ENDINGS, read_image, shown

SPLITS = ("train", "test")
SYSTEMS_FOLDERS = ("__MACOSX", "@eaDir")
MOST_NAMES = 3  # of what is left out
LAYOUT = "train/<class>/* and test/<class>/*, with the same class folders in both"


def load_class_folders(name: str, folder: Path, image_size: int) -> Data:
    """Read class folders of images.

    Hidden files, what systems leave in folders, and files with the ending of no image are left out; the last are
    counted in a line. The order of the files on the disk does not matter.

    Args:
        name: The data set's name.
        folder: The folder that holds train and test.
        image_size: Pixels a side; see images.read_image.

    Returns:
        The data set; an image's name is its path within the folder, such as train/cat/1.png.

    Raises:
        InputError: A folder is missing, empty, out of place or has a name that cannot be shown, or a file is no image
            that can be read; it is named.
    """
    class_names = find_classes(folder)
    train, test = (_read_split(folder, split, class_names, image_size) for split in SPLITS)
    _tell_left_out(folder / split / name for split in SPLITS for name in class_names)
    return Data(name, class_names, train, test)


def find_classes(folder: Path) -> tuple[str, ...]:
    """The sorted names of the class folders in folder/train and folder/test; raises InputError if they differ."""
    train, test = (_class_folders(folder / split) for split in SPLITS)
    for name in sorted(train ^ test):
        missing = folder / ("test" if name in train else "train") / name
        hint = _hint(name, test if name in train else train)
        raise InputError(f"{missing} is missing; the other split has this class{hint}. Expected in {folder}: {LAYOUT}")
    if len(train) < 2:
        raise InputError(f"{folder} has {len(train)} class folders, and at least 2 are needed. Expected: {LAYOUT}")
    return tuple(sorted(train))


def check_class_folders(folder: Path) -> tuple[int, int]:
    """Check the folders and files of a data set that DVC watches, without reading the images.

    Args:
        folder: The folder that holds train and test.

    Returns:
        The numbers of labels and of training images.

    Raises:
        InputError: As load_class_folders, but for what is in the files; or as refuse_links.
    """
    refuse_links(folder)
    class_names = find_classes(folder)
    train, _ = (_image_files(folder / split, class_names) for split in SPLITS)
    return len(class_names), sum(map(len, train))


def refuse_links(folder: Path) -> None:
    """Refuse a data set with a folder that is a link: DVC does not see what changes behind it.

    Args:
        folder: The folder that holds train and test. Links to files are followed.

    Raises:
        InputError: The folder, or one of a split or class, is a link to a folder or to nothing.
    """
    for path in (folder, *sorted(folder.glob("*")), *sorted(folder.glob("*/*"))):
        if path.is_symlink() and not path.is_file():
            raise InputError(
                f"{shown(path)} is a link to {'a folder' if path.exists() else 'nothing'}, and changes behind it would "
                f"go unnoticed; put the images themselves there, or let DVC copy them: dvc import-url <folder> {folder}"
            )


def _hint(name: str, others: Iterable[str]) -> str:
    """Say which other name looks like this one, but for blanks, case, or how its accents are written."""
    alike = [other for other in others if other != name and _looks(other) == _looks(name)]
    return f", and this one has {alike[0]!a}, which looks like {name!a}: give both the same name" if alike else ""


def _looks(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()


def _class_folders(folder: Path) -> set[str]:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder. Expected in {folder.parent}: {LAYOUT}")
    for path in _visible(folder):
        if not path.is_dir():
            raise InputError(f"{shown(path)} is in no class folder; move it into one, or out. Expected: {LAYOUT}")
        if not path.name.isprintable():
            raise InputError(f"{shown(path)} has a name that no table or figure can show; rename it in train and test")
    return {path.name for path in _visible(folder)}


def _image_files(folder: Path, class_names: Iterable[str]) -> list[list[Path]]:
    """List the sorted files of each class of a split."""
    return [_files_of_class(folder / name) for name in class_names]


def _files_of_class(folder: Path) -> list[Path]:
    files = _visible(folder)
    if not files:
        raise InputError(f"{folder} is empty; put this class's images there, or remove it from train and test")
    for path in files:
        if path.is_dir():
            raise InputError(f"{shown(path)} is a folder within a class folder; put its images into {folder} itself")
        if not path.is_file():  # but a pipe or a device, which might never end, or a link to nothing
            what = "a link to nothing" if path.is_symlink() and not path.exists() else "no file"
            raise InputError(f"{shown(path)} is {what}; remove it")
    return files


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _is_read(path))


def _is_read(path: Path) -> bool:
    """Tell what is read, or refused by name, from what is left out."""
    if path.name.startswith(".") or path.name in SYSTEMS_FOLDERS:
        return False
    return path.suffix.lower() in ENDINGS or path.is_dir()


def _tell_left_out(folders: Iterable[Path]) -> None:
    paths = [path for folder in folders for path in folder.iterdir()]
    left_out = [path.name for path in paths if not path.name.startswith(".") and not _is_read(path)]
    if left_out:
        names = sorted(set(left_out))
        listed = ", ".join(repr(name)[1:-1] for name in names[:MOST_NAMES]) + (", …" if len(names) > MOST_NAMES else "")
        print(f"left out, as no images: {len(left_out):,} ({listed})")


def _read_split(folder: Path, split: str, class_names: tuple[str, ...], image_size: int) -> Split:
    files = _image_files(folder / split, class_names)
    images = np.empty((sum(map(len, files)), image_size, image_size, 3), np.uint8)
    position = 0
    for paths in progress(files, f"reading {folder / split}", "class"):
        for path in paths:
            images[position] = read_image(path, image_size)
            position += 1
    names = [shown(path.relative_to(folder)) for paths in files for path in paths]
    return Split(images, np.repeat(np.arange(len(files)), [len(paths) for paths in files]), np.array(names))
