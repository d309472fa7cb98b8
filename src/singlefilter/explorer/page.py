"""The page of all filters: one file of HTML that holds its scripts, its data and its pictures."""

import base64
import io
import json
import re
import zlib
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from singlefilter.explorer.pack import Pack

WEB = Path(__file__).parent / "web"
QUALITY = 80  # of the pictures, of 100: they are to be recognised, not measured


def make_page(title: str, about: Mapping[str, Any], pack: Pack, pictures: bytes = b"") -> str:
    """Put the page together.

    The modules are addressed by their names through an import map of data URLs: a browser loads them as they are, from
    one file and without a network.

    Args:
        title: Of the page.
        about: What is no array, as JSON has it.
        pack: The arrays.
        pictures: An image of all pictures, WebP.
    """
    modules = {
        f"explorer/{path.name}": _data_url("text/javascript", path.read_bytes()) for path in sorted(WEB.glob("*.js"))
    }
    parts = {
        "{title}": escape(title),
        "/* {style} */": (WEB / "page.css").read_text(encoding="utf-8"),
        '"{modules}"': _json_in_html({"imports": modules}),
        '"{about}"': _json_in_html({**about, "sections": pack.sections}),
        "{arrays}": base64.b64encode(zlib.compress(pack.content, 9)).decode(),
        "{pictures}": _data_url("image/webp", pictures) if pictures else "",
    }
    page = (WEB / "page.html").read_text(encoding="utf-8")
    return re.sub("|".join(map(re.escape, parts)), lambda found: parts[found[0]], page)


def make_pictures(images: np.ndarray, side: int) -> tuple[bytes, int]:
    """Put images side by side into one.

    Args:
        images: uint8 (N, H, W, 3), H = W.
        side: Of a picture, in pixels; images of another size are scaled to it.

    Returns:
        The image, WebP, and how many pictures are in a row of it.
    """
    columns = int(np.ceil(np.sqrt(len(images))))
    rows = -(-len(images) // columns)
    tiles = np.zeros((rows * columns, side, side, 3), np.uint8)
    for number, image in enumerate(images):
        tiles[number] = image if len(image) == side else Image.fromarray(image).resize((side, side))
    joined = tiles.reshape(rows, columns, side, side, 3).swapaxes(1, 2)  # (rows, side, columns, side, 3)
    file = io.BytesIO()
    sheet = joined.reshape(rows * side, columns * side, 3)  # (rows, side, columns, side, 3) -> (height, width, 3)
    Image.fromarray(sheet).save(file, "WEBP", quality=QUALITY)
    return file.getvalue(), columns


def _data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _json_in_html(value: Any) -> str:
    """Write JSON that no name within can end, whatever element it stands in."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
