"""The one error that a user can mend."""

from pathlib import Path


class InputError(Exception):
    """Something given to the project cannot be used; the message says what, what is allowed, and the way out."""


def unreadable(path: Path, error: OSError, made_by: str) -> InputError:
    """Give the error for a stage's out that the system does not let be read; see unusable."""
    what = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
    return unusable(path, what, made_by)


def unusable(path: Path, what: str, made_by: str) -> InputError:
    """Give the error for a stage's out that cannot be used.

    Args:
        path: The file.
        what: What is wrong with it, such as "is missing".
        made_by: The stage that makes it.
    """
    return InputError(f"{path} {what}. Make it again: dvc repro --force --single-item {made_by}")
