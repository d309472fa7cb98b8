"""Class folders of images, train/<class>/* and test/<class>/*, as a data set."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from singlefilter.data.dataset import Data, Split
from singlefilter.pipeline.console import progress
from singlefilter.pipeline.errors import InputError

# Of Pillow's many decoders the tried ones; none of them starts a program, as that of PostScript does.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
LAYOUT = "train/<class>/* and test/<class>/*, with the same class folders in both"


def load_class_folders(name: str, folder: Path, image_size: int) -> Data:
    """Read class folders of images.

    Each image, of an animation the first, is converted to RGB (transparency is dropped, 16-bit grey scaled to 8 bits)
    and, if it has another size, resized bilinearly, with antialiasing, to image_size x image_size pixels without
    keeping its proportions. Hidden files are left out. The order of the files on the disk does not matter.

    Args:
        name: The data set's name.
        folder: The folder that holds train and test.
        image_size: Pixels a side.

    Raises:
        InputError: A folder is missing, empty, out of place or has a name that cannot be shown, or a file is no image
            that can be read; it is named.
    """
    class_names = find_classes(folder)
    train, test = (_read_split(folder / split, class_names, image_size) for split in ("train", "test"))
    return Data(name, class_names, train, test)


def find_classes(folder: Path) -> tuple[str, ...]:
    """The sorted names of the class folders in folder/train and folder/test; raises InputError if they differ."""
    train, test = (_class_folders(folder / split) for split in ("train", "test"))
    for name in sorted(train ^ test):
        missing = folder / ("test" if name in train else "train") / name
        raise InputError(f"{missing} is missing; the other split has this class. Expected in {folder}: {LAYOUT}")
    if len(train) < 2:
        raise InputError(f"{folder} has {len(train)} class folders, and at least 2 are needed. Expected: {LAYOUT}")
    return tuple(sorted(train))


def _class_folders(folder: Path) -> set[str]:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder. Expected in {folder.parent}: {LAYOUT}")
    for path in _visible(folder):
        if not path.is_dir():
            raise InputError(f"{_shown(path)} is in no class folder; move it into one, or out. Expected: {LAYOUT}")
        if not path.name.isprintable():
            raise InputError(f"{_shown(path)} has a name that no table or figure can show; rename it in train and test")
    return {path.name for path in _visible(folder)}


def _image_files(folder: Path) -> list[Path]:
    files = _visible(folder)
    if not files:
        raise InputError(f"{folder} is empty; put this class's images there, or remove it from train and test")
    for path in files:
        if path.is_dir():
            raise InputError(f"{_shown(path)} is a folder within a class folder; put its images into {folder} itself")
        if not path.is_file():  # but a pipe or a device, which might never end, or a link to nothing
            raise InputError(f"{_shown(path)} is no file; remove it")
    return files


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _read_split(folder: Path, class_names: tuple[str, ...], image_size: int) -> Split:
    files = [_image_files(folder / name) for name in class_names]
    images = np.empty((sum(map(len, files)), image_size, image_size, 3), np.uint8)
    position = 0
    for paths in progress(files, f"reading {folder}", "class"):
        for path in paths:
            images[position] = _read_image(path, image_size)
            position += 1
    return Split(images, np.repeat(np.arange(len(files)), [len(paths) for paths in files]))


def _read_image(path: Path, image_size: int) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                rgb = _to_rgb(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise InputError(f"{_shown(path)} has more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller") from error
    except Exception as error:  # a decoder may raise anything on a broken file
        raise InputError(
            f"{_shown(path)} cannot be read as an image ({error}); mend it, move it away, or save it as one of "
            f"{', '.join(FORMATS)}"
        ) from error
    if rgb.size != (image_size, image_size):
        rgb = rgb.resize((image_size, image_size), Image.Resampling.BILINEAR)
    return np.asarray(rgb)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F"):
        raise ValueError("its pixels have 32 bits; 8 and 16 are read")
    if image.mode.startswith("I;16"):  # convert would cut it off at 255
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    return image.convert("RGB")


def _shown(path: Path) -> str:
    """The path in one line, whatever its name: what is not printable, such as a line break, as an escape."""
    return repr(str(path))[1:-1]
