"""The files of networks/ that a network may be made of, as check_params has listed them for the stages after it."""

import hashlib
import re
from fnmatch import fnmatch
from pathlib import Path

from singlefilter.pipeline.artifacts import path_of
from singlefilter.pipeline.errors import InputError

NETWORKS = Path("networks")


def list_code() -> str:
    """List the files of networks/ with their checksums, but for those that DVC is told to ignore."""
    ignore = Path(".dvcignore")
    lines = ignore.read_text(encoding="utf-8").splitlines() if ignore.exists() else []
    names = [line for line in lines if line and not re.match("[#!/]", line)]  # without a folder: of any part of a path
    found = []
    for path in sorted(path for path in NETWORKS.rglob("*") if path.is_file()):
        ignored = any(fnmatch(part, name) for part in path.parts for name in names)
        if not ignored and f"/{path.as_posix()}" not in lines:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found.append(f"{digest}  {path.as_posix()}\n")
    return "".join(found).encode(errors="backslashreplace").decode()


def require_listed_code() -> None:
    """Check that networks/ is as it was when check_params ran, on whose list the stages depend.

    Raises:
        InputError: A file is new, gone or other than then. Where check_params has not run, there is nothing to check.
    """
    listed = path_of("module_code")
    if listed.exists():
        before, now = ({*text.splitlines()} for text in (listed.read_text(encoding="utf-8"), list_code()))
        if changed := sorted({line.split("  ", 1)[1] for line in before ^ now}):
            raise InputError(
                f"networks/ is not as check_params found it: {', '.join(changed)}; run dvc repro, by which all that is "
                "made of the network is made anew, or undo the change"
            )
