"""A long step's state on disk, so that a stopped run goes on where it was."""

import contextlib
import hashlib
import io
import json
import pickle
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from singlefilter.pipeline.artifacts import CHECKPOINTS, Workspace, in_project
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.files import replacing
from singlefilter.pipeline.params import LayerName

SECONDS_BETWEEN = 20  # at least, between two checkpoints: what a stopped run loses beside the epoch that it was in


class Checkpoint:
    """The newest state of one run, and the one before it in case the newest is damaged.

    Args:
        folder: Where checkpoints lie, outside the outs that DVC deletes.
        determinants: All that determines the run's result; a run with any other value has another checkpoint.

    Attributes:
        seconds_before: How long the run has gone on in all, in processes that were stopped, up to the loaded state.
    """

    def __init__(self, folder: Path, determinants: Mapping[str, Any]):
        self._key = hashlib.sha256(json.dumps(determinants, sort_keys=True).encode())
        name = self._key.hexdigest()[:32]
        self._newest = folder / f"{name}.pt"
        self._previous = folder / f"{name}.previous.pt"
        self._began = self._saved = time.monotonic()
        self.seconds_before = 0.0

    @classmethod
    def of_stage(cls, files: Workspace, stage: str, device: torch.device, **place: LayerName) -> "Checkpoint":
        """Give the checkpoint of a stage that has read its inputs.

        Args:
            files: The run's files.
            stage: The stage.
            device: Where it computes.
            **place: The seed, and what else tells this training from others of the stage, such as the layer.
        """
        machine = {"device": device.type, "torch": torch.__version__, "code": code_digest()}
        return cls(in_project(CHECKPOINTS) / stage, files.determinants(stage, **place) | machine)

    def save_if_due(self, state: Mapping[str, Any]) -> None:
        """Save the state unless the last one was saved only seconds ago."""
        if time.monotonic() - self._saved >= SECONDS_BETWEEN:
            self.save(state)

    def save(self, state: Mapping[str, Any]) -> None:
        """Save the state; a reader finds either this one or the one before, whole, whatever happens meanwhile."""
        buffer = io.BytesIO()
        seconds = self.seconds_before + time.monotonic() - self._began
        torch.save({"seconds": seconds, "state": state}, buffer)
        content = buffer.getvalue()
        with replacing(self._newest) as temporary:
            temporary.write_bytes(self._digest(content) + content)
            with contextlib.suppress(FileNotFoundError):  # there is none yet
                self._newest.replace(self._previous)
        self._saved = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """Give the newest state that is whole, or None; nothing in the file is executed.

        Raises:
            InputError: What is in the file's place cannot be read, such as a folder.
        """
        for path in (self._newest, self._previous):
            try:
                stored = path.read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise InputError(f"{path} cannot be read ({error.strerror}); remove it, and dvc repro again") from error
            with contextlib.suppress(pickle.UnpicklingError):  # what is no checkpoint of ours
                if self._digest(stored[32:]) == stored[:32]:
                    found = torch.load(io.BytesIO(stored[32:]), weights_only=True, map_location="cpu")
                    self.seconds_before = found["seconds"]
                    return found["state"]
            print(f"{path} is damaged, and removed")
            path.unlink(missing_ok=True)  # lest it takes the place of the whole one before it
        return None

    def _digest(self, content: bytes) -> bytes:
        """Give the digest of a state of this run; under another run's name it is damaged."""
        return hashlib.sha256(self._key.digest() + content).digest()

    def remove(self) -> None:
        """Remove the state of a run that has ended well."""
        self._newest.unlink(missing_ok=True)
        self._previous.unlink(missing_ok=True)


def code_digest() -> str:
    """Give a digest of the source of the package, and of users' networks, as far as it is loaded.

    A checkpoint of other code is another run's.

    Returns:
        SHA-256 in hex, over the modules in the order of their names.
    """
    names = sorted(name for name in sys.modules if name.split(".")[0] in ("singlefilter", "networks"))
    files = [getattr(sys.modules[name], "__file__", None) for name in names]  # none of a folder without __init__.py
    sources = [Path(file).read_bytes() for file in files if file]
    return hashlib.sha256(b"\0".join(sources)).hexdigest()
