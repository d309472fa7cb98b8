"""An image file as pixels, as viewers show it."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps

from singlefilter.pipeline.errors import InputError

# Of Pillow's many decoders the tried ones; none of them starts a program, as that of PostScript does.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
# A file with another ending is no image; one without is tried. The last six are images that are refused by name.
Image.init()
ENDINGS = {"", *Image.registered_extensions(), ".heic", ".heif", ".jxl", ".svg", ".dng", ".raw"}
WHITE = (255, 255, 255, 255)
SRGB_GAMMA = 2.2
SRGB = ImageCms.createProfile("sRGB")


def read_image(path: Path, image_size: int) -> np.ndarray:
    """Read an image file.

    The image, of an animation the first, is taken as viewers show it: turned as its EXIF data say, on white where it is
    transparent, its colours in sRGB as its profile or gamma say, 16-bit grey scaled to 8 bits. Of one that is not
    square, the central square is taken; another size is resized bilinearly, with antialiasing.

    Args:
        path: The file.
        image_size: Pixels a side.

    Returns:
        (image_size, image_size, 3) uint8, RGB.

    Raises:
        InputError: The file is no image that can be read, or has too many pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                rgb = _to_rgb(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise InputError(f"{shown(path)} has more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller") from error
    except Exception as error:  # a decoder may raise anything on a broken file
        raise InputError(
            f"{shown(path)} cannot be read as an image ({error}); repair it, move it away, or save it as one of "
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
    # Pillow holds the 16 bits of a PGM in 32.
    sixteen_bits = image.mode.startswith("I;16") or (image.mode, image.format) == ("I", "PPM")
    if image.mode in ("I", "F") and not sixteen_bits:
        raise ValueError("its pixels have 32 bits; 8 and 16 are read")
    profile, gamma = image.info.get("icc_profile"), image.info.get("gamma")
    if profile or "srgb" in image.info:
        gamma = None  # the others say more
    image.load()
    image = ImageOps.exif_transpose(image)
    if sixteen_bits:  # convert would cut it off at 255
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
    if gamma:
        image = _without_gamma(image, gamma)
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image)
    return _in_srgb(image, profile) if profile else image.convert("RGB")


def _without_gamma(image: Image.Image, gamma: float) -> Image.Image:
    """Give an image whose file has another gamma than sRGB's 1/2.2 as browsers show it (PNG, chunk gAMA)."""
    image = image if image.mode == "RGBA" else image.convert("RGB")
    exponent = 1 / (gamma * SRGB_GAMMA)
    colours = [round(255 * (value / 255) ** exponent) for value in range(256)]
    return image.point(colours * 3 + list(range(256)) * (image.mode == "RGBA"))


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Give an image in sRGB; one whose profile is broken, or of other colours than its pixels, as it is."""
    if image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    try:
        return ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image.convert("RGB")


def shown(path: Path) -> str:
    """Give the path in one line, whatever its name: what is not printable, such as a line break, as an escape."""
    return repr(str(path))[1:-1]
