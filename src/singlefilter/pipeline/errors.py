"""The errors that a user can put right."""

from pathlib import Path


class InputError(Exception):
    """Something given to the project cannot be used; the message says what, what is allowed, and what to do."""


class UnusableFile(InputError):
    """A file cannot be used.

    Args:
        path: The file.
        what: What is wrong with it, such as "is missing".
    """

    def __init__(self, path: Path, what: str):
        super().__init__(f"{path} {what}")

    @classmethod
    def of(cls, path: Path, error: OSError) -> "UnusableFile":
        """Describe a file that the system does not let be read."""
        missing = isinstance(error, FileNotFoundError)
        return cls(path, "is missing" if missing else f"cannot be read ({error.strerror})")
