"""A stage run from the command line: its arguments, its errors, its log."""

import argparse
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

from singlefilter.pipeline.artifacts import STAGES, digest_of_determinants, in_project
from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.files import remove_unfinished
from singlefilter.pipeline.launcher import launch, launched, rank
from singlefilter.pipeline.machine import hardware, revision
from singlefilter.pipeline.params import Params
from singlefilter.pipeline.params_files import load_params

LOG = Path("logs/stages.jsonl")
NO_MEMORY = ("alloc", "could not create a primitive")  # what errors of PyTorch, HDF5 and oneDNN say then
NO_PEER = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL")  # and of gloo and NCCL
IN_COPY = " (in an experiment's copy of the project, which has what Git knows; if a file is missing in it, git add it)"


def run(
    main: Callable[..., float | None],
    per_sample: bool = False,
    arguments: Mapping[str, Mapping[str, Any]] | None = None,
    joined: Callable[[], AbstractContextManager[None]] | None = None,
) -> None:
    """Run a stage from the command line: read params.yaml, call the stage, and turn a user's mistake into a message.

    Args:
        main: The stage, called with the parameters, and with the command line's arguments by name. It may return the
            seconds that it took in processes that were stopped, before this one went on.
        per_sample: Whether the command line takes --seed.
        arguments: What else it takes: name -> options of argparse's add_argument.
        joined: How the processes join that SINGLEFILTER_LAUNCHER starts; without, the stage runs in one process.
    """
    name = Path(sys.argv[0]).stem
    given = _read_arguments(name, per_sample, arguments or {})
    sys.stdout.reconfigure(errors="replace")  # a terminal may not know every character
    with errors_in_one_line(name):
        number = rank()
    if number > 0:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # the first process speaks for all
    began = time.monotonic()
    with errors_in_one_line(f"{name}, process {number}" if launched() else name):
        params = load_params()
        if per_sample and given["seed"] not in params.seeds:
            raise InputError(f"--seed: is {given['seed']}; allowed are the seeds of params.yaml, {[*params.seeds]}")
        if joined:
            launch(f"stages.{name}", sys.argv[1:])
        commit = revision()  # of the code that runs, whatever is edited meanwhile
        if name in STAGES:
            print(_place_in_chain(name, params, given.get("seed")), flush=True)
        with stopped_by_signals(), joined() if joined else nullcontext():
            seconds_before = main(params, **given) or 0.0
            sys.stdout.flush()
        if number > 0:
            return
        what = {"dataset": params.dataset, "arch": params.arch, "epochs_scale": params.epochs_scale}
        what |= {"determinants": digest_of_determinants(params, name), "revision": commit}
        seconds = seconds_before + time.monotonic() - began
        _log({"stage": name, **given, **what, "seconds": round(seconds, 1)})


@contextmanager
def errors_in_one_line(speaker: str) -> Iterator[None]:
    """End the process with a message for what the user can put right, or the machine lacks; a bug keeps its traceback.

    Args:
        speaker: Who says it, at its beginning.
    """
    try:
        yield
    except InputError as error:
        is_copy = "/.dvc/tmp/exps/" in Path.cwd().as_posix()
        sys.exit(f"{speaker}: {error}{IN_COPY if is_copy else ''}")
    except MemoryError as error:
        sys.exit(f"{speaker}: too little memory{f': {error}' if str(error) else ''}")
    except BrokenPipeError:  # whoever reads, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still writes at its end
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        sys.exit(f"{speaker}: {type(error).__name__}: {error}")
    except RuntimeError as error:
        first_line = str(error).partition("\n")[0]
        if launched() and any(said in str(error) for said in NO_PEER):
            sys.exit(f"{speaker}: another process has ended: {first_line}")
        if not any(said in str(error) for said in NO_MEMORY):
            raise
        sys.exit(f"{speaker}: too little memory: {first_line}")


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the process within the block, and half-written files be removed before."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as nohup has it, or a shell for its background jobs
            signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _read_arguments(name: str, per_sample: bool, arguments: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Read the command line; argparse ends the process with its own words where it does not fit."""
    parser = argparse.ArgumentParser(prog=f"python -m stages.{name}", description=sys.modules["__main__"].__doc__)
    if per_sample:
        parser.add_argument("--seed", type=int, required=True, help="the sample; one of params.yaml's seeds")
    for argument, options in arguments.items():
        parser.add_argument(argument, **options)
    return vars(parser.parse_args())


def _place_in_chain(name: str, params: Params, seed: int | None) -> str:
    """Say which stage of the chain this is, such as "stage 5 of 11: train_heads, sample 3 (2 of 4)"."""
    stages = [*STAGES]
    sample = "" if seed is None else f", sample {seed} ({params.seeds.index(seed) + 1} of {len(params.seeds)})"
    return f"stage {stages.index(name) + 1} of {len(stages)}: {name}{sample}"


def _stop(number: int, frame: FrameType | None) -> None:
    # Not by an exception: raised within a library's callback, it would be swallowed, or turned into another.
    remove_unfinished()
    os._exit(128 + number)


def _log(entry: dict[str, object]) -> None:
    """Append what a stage took, and on what, to logs/stages.jsonl; outs hold no times, so that their bytes stay."""
    entry |= {"ended": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "hardware": hardware()}
    if torch := sys.modules.get("torch"):
        device = torch.cuda.get_device_name() if torch.cuda.is_initialized() else "cpu"  # only if the stage used it
        entry |= {"torch": str(torch.__version__), "device": device}
    path = in_project(LOG)
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as log:
            fcntl.lockf(log, fcntl.LOCK_EX)  # other machines of a cluster may write to it
            log.write(json.dumps(entry) + "\n")
    except OSError as error:  # all outs are written: that counts
        print(f"{path} cannot be written ({error}); the stage is done all the same", file=sys.stderr)
