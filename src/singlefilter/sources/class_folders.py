"""Class folders of images, train/<class>/* and test/<class>/*, as a data set."""

import io
import unicodedata
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps

from singlefilter.data.dataset import Data, Split
from singlefilter.pipeline.console import progress
from singlefilter.pipeline.errors import InputError

# Of Pillow's many decoders the tried ones; none of them starts a program, as that of PostScript does.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
# A file with another ending is no image; one without is tried. The last six are images that are refused by name.
Image.init()
ENDINGS = {"", *Image.registered_extensions(), ".heic", ".heif", ".jxl", ".svg", ".dng", ".raw"}
SYSTEMS_FOLDERS = ("__MACOSX", "@eaDir")
MOST_NAMES = 3  # of what is left out
WHITE = (255, 255, 255, 255)
SRGB = ImageCms.createProfile("sRGB")
LAYOUT = "train/<class>/* and test/<class>/*, with the same class folders in both"


def load_class_folders(name: str, folder: Path, image_size: int) -> Data:
    """Read class folders of images.

    Each image, of an animation the first, is taken as viewers show it: turned as its EXIF data say, on white where it
    is transparent, its colours in sRGB, 16-bit grey scaled to 8 bits. Of one that is not square, the central square is
    taken; another size is resized bilinearly, with antialiasing, to image_size x image_size pixels. Hidden files, what
    systems leave in folders, and files with the ending of no image are left out; the last are counted in a line. The
    order of the files on the disk does not matter.

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
    _tell_left_out(folder / split / name for split in ("train", "test") for name in class_names)
    return Data(name, class_names, train, test)


def find_classes(folder: Path) -> tuple[str, ...]:
    """The sorted names of the class folders in folder/train and folder/test; raises InputError if they differ."""
    train, test = (_class_folders(folder / split) for split in ("train", "test"))
    for name in sorted(train ^ test):
        missing = folder / ("test" if name in train else "train") / name
        hint = _hint(name, test if name in train else train)
        raise InputError(f"{missing} is missing; the other split has this class{hint}. Expected in {folder}: {LAYOUT}")
    if len(train) < 2:
        raise InputError(f"{folder} has {len(train)} class folders, and at least 2 are needed. Expected: {LAYOUT}")
    return tuple(sorted(train))


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
        shown = ", ".join(repr(name)[1:-1] for name in names[:MOST_NAMES]) + (", …" if len(names) > MOST_NAMES else "")
        print(f"{len(left_out):,} left out, since they are no images: {shown}")


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
    side = min(rgb.size)
    left, top = ((length - side) // 2 for length in rgb.size)
    rgb = rgb.crop((left, top, left + side, top + side))
    if rgb.size != (image_size, image_size):
        rgb = rgb.resize((image_size, image_size), Image.Resampling.BILINEAR)
    return np.asarray(rgb)


def _to_rgb(image: Image.Image) -> Image.Image:
    """Give an image as viewers show it."""
    if image.mode in ("I", "F"):
        raise ValueError("its pixels have 32 bits; 8 and 16 are read")
    profile = image.info.get("icc_profile")
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):  # convert would cut it off at 255
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image)
    return _in_srgb(image, profile) if profile else image.convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Give an image in sRGB; one whose profile is broken, or of other colours than its pixels, as it is."""
    if image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    try:
        return ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image.convert("RGB")


def _shown(path: Path) -> str:
    """The path in one line, whatever its name: what is not printable, such as a line break, as an escape."""
    return repr(str(path))[1:-1]
