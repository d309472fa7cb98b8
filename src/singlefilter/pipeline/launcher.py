"""A stage in several processes: SINGLEFILTER_LAUNCHER names the command that starts them, such as torchrun."""

import os
import shlex
import shutil
from collections.abc import Sequence

from singlefilter.pipeline.errors import InputError

LAUNCHER = "SINGLEFILTER_LAUNCHER"
WAY_OUT = "leave it unset, or use torchrun --standalone --nproc-per-node 2"
NUMBERS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT")  # that torchrun sets, and PyTorch reads


def launched() -> bool:
    """Tell whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def rank() -> int:
    """Give this process's number among those that torchrun has started, from 0; 0 if it runs alone.

    Raises:
        InputError: A variable that torchrun sets is missing, or no number.
    """
    if not launched():
        return 0
    for name in NUMBERS:
        if not (value := os.environ.get(name, "")).isdecimal():
            raise InputError(
                f"{name}: is {value!r}; torchrun sets a number from 0 on; unset TORCHELASTIC_RUN_ID, or let torchrun "
                "start the stage"
            )
    return int(os.environ["RANK"])


def launch(module: str, arguments: Sequence[str]) -> None:
    """Put the launcher's command, if there is one, in the place of this process.

    Args:
        module: What is run in each process, such as stages.train_backbone.
        arguments: Of its command line.

    Raises:
        InputError: The launcher is no program that can be run.
    """
    text = os.environ.pop(LAUNCHER, "")
    try:
        command = shlex.split(text)
    except ValueError as error:
        raise InputError(f"{LAUNCHER}: {text!r} is no command ({error}); {WAY_OUT}") from error
    if not command or launched():
        return
    if not shutil.which(command[0]):
        raise InputError(f"{LAUNCHER}: {command[0]!r} is no program; {WAY_OUT}")
    os.execvp(command[0], [*command, "-m", module, *arguments])
