"""A file from the network that is whole, or the reason why not."""

import hashlib
import math
import os
import ssl
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from singlefilter.pipeline.console import progress
from singlefilter.pipeline.errors import InputError

PAUSES = (1, 2, 4, 8, 16)  # seconds before each further attempt
TIMEOUT = 30  # seconds without an answer
BLOCK = 4 << 20  # bytes

NETWORK_ERRORS = (URLError, HTTPException, ConnectionError, TimeoutError, ssl.SSLError)


def download(url: str, path: Path, md5: str, sleep: Callable[[float], None] = time.sleep) -> None:
    """Download a file, unless it is there: resume what an earlier attempt left, and try again after growing pauses.

    Args:
        url: Where the file is.
        path: Where it goes, once it is whole; until then its beginning is kept beside it.
        md5: The file's published MD5, in hexadecimal.
        sleep: Waits for a number of seconds.

    Raises:
        InputError: There is no network, the server refuses, or what came is another file.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    for pause in (*PAUSES, None):
        try:
            _fetch_rest(url, partial)
            break
        except NETWORK_ERRORS as error:
            if pause is None or _is_final(error):
                raise InputError(f"{url} cannot be downloaded: {error}. {_remedy(path)}") from error
            print(f"{url}: {error}; trying again in {pause} s", flush=True)
            sleep(pause)
    try:
        check_md5(partial, partial.read_bytes(), md5)
    except InputError as error:
        partial.unlink()
        raise InputError(f"{url} gave another file than the published one, now deleted: {error}") from error
    os.replace(partial, path)


def check_md5(path: Path, content: bytes, md5: str) -> None:
    """Raise InputError, naming the file `path` that holds `content`, if its MD5 is not the published one."""
    found = hashlib.md5(content).hexdigest()
    if found != md5:
        kind = "a web page" if content[:64].lstrip().startswith(b"<") else f"{len(content):,} bytes"
        raise InputError(
            f"{path} is {kind} with the MD5 {found}; the published file has {md5}. "
            "Delete it, or put the published file in its place"
        )


def _fetch_rest(url: str, partial: Path) -> None:
    """Append to the partial file what it lacks; begin anew if the server cannot resume."""
    have = partial.stat().st_size if partial.exists() else 0
    try:
        response = urlopen(Request(url, headers={"Range": f"bytes={have}-"} if have else {}), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code == 416:  # nothing lies beyond what is here already
            return
        raise
    with response:
        length = response.headers["Content-Length"]
        if response.headers.get_content_type() == "text/html" or length is None:
            raise InputError(f"{url} gives a web page or no file of known length. {_remedy(partial)}")
        resumed = response.status == 206
        total = int(length) + (have if resumed else 0)
        with partial.open("ab" if resumed else "wb") as file:
            blocks = iter(lambda: response.read(BLOCK), b"")
            for block in progress(blocks, f"downloading {url}", "4 MiB block", total=math.ceil(int(length) / BLOCK)):
                file.write(block)
    if partial.stat().st_size < total:
        raise ConnectionError(f"broke off after {partial.stat().st_size:,} of {total:,} bytes")


def _is_final(error: Exception) -> bool:
    return isinstance(error, HTTPError) and error.code < 500 and error.code not in (408, 429)


def _remedy(path: Path) -> str:
    return (
        f"Try again later, or get the file by hand and set DATASET_MIRROR to its folder, "
        f"or put it into {path.parent} under the name it has there"
    )
