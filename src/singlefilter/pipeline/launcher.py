"""A stage in several processes: SINGLEFILTER_LAUNCHER names the command that starts them, such as torchrun."""

import os
import shlex
import shutil
from collections.abc import Sequence

from singlefilter.pipeline.errors import InputError

LAUNCHER = "SINGLEFILTER_LAUNCHER"


def launched() -> bool:
    """Tell whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def rank() -> int:
    """Give this process's number among those that torchrun has started, from 0; 0 if it runs alone."""
    return int(os.environ["RANK"]) if launched() else 0


def launch(module: str, arguments: Sequence[str]) -> None:
    """Put the launcher's command, if there is one, in the place of this process.

    Args:
        module: What is run in each process, such as stages.train_backbone.
        arguments: Of its command line.

    Raises:
        InputError: The launcher is no program that can be run.
    """
    command = shlex.split(os.environ.pop(LAUNCHER, ""))
    if not command or launched():
        return
    if not shutil.which(command[0]):
        raise InputError(
            f"{LAUNCHER}: {command[0]!r} is no program; leave it unset, or use torchrun --standalone --nproc-per-node 2"
        )
    os.execvp(command[0], [*command, "-m", module, *arguments])
