"""The steps of the pipeline; each runs as `python -m stages.<name>` from the project's root."""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# This tree's library goes before an installed one: a temporary copy of the tree must run its own code.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

LOG = Path("logs/stages.jsonl")


def run(
    main: Callable[..., None], per_sample: bool = False, arguments: Mapping[str, Mapping[str, Any]] | None = None
) -> None:
    """Run a stage from the command line: read params.yaml, call the stage, and turn a user's mistake into one line.

    Args:
        main: The stage, called with the parameters, and with the command line's arguments by name.
        per_sample: Whether the command line takes --seed.
        arguments: What else it takes: name -> options of argparse's add_argument.
    """
    from singlefilter.errors import InputError
    from singlefilter.params import load_params

    name = Path(sys.argv[0]).stem
    parser = argparse.ArgumentParser(prog=f"python -m stages.{name}", description=sys.modules["__main__"].__doc__)
    if per_sample:
        parser.add_argument("--seed", type=int, required=True, help="the sample; one of params.yaml's seeds")
    for argument, options in (arguments or {}).items():
        parser.add_argument(argument, **options)
    given = vars(parser.parse_args())
    sys.stdout.reconfigure(errors="replace")  # a terminal may not know every character
    began = time.monotonic()
    try:
        params = load_params()
        if per_sample and given["seed"] not in params.seeds:
            raise InputError(f"--seed: is {given['seed']}; allowed are the seeds of params.yaml, {[*params.seeds]}")
        main(params, **given)
        what = {"dataset": params.dataset, "arch": params.arch, "epochs_scale": params.epochs_scale}
        _log({"stage": name, **given, **what, "seconds": round(time.monotonic() - began, 1)})
    except InputError as error:
        sys.exit(f"{name}: {error}")
    except (OSError, MemoryError) as error:
        sys.exit(f"{name}: {type(error).__name__}: {error}")
    except RuntimeError as error:  # of PyTorch and HDF5, which have no MemoryError
        if "alloc" not in str(error):
            raise
        sys.exit(f"{name}: {str(error).splitlines()[0]}")
    except KeyboardInterrupt:
        sys.exit(130)


def _log(entry: dict[str, object]) -> None:
    """Append what a stage took, and on what, to logs/stages.jsonl; outs hold no times, so that their bytes stay."""
    entry |= {"ended": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "processor": platform.machine(), "cores": os.cpu_count()}
    if torch := sys.modules.get("torch"):
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
        entry |= {"torch": str(torch.__version__), "device": device}
    try:
        LOG.parent.mkdir(exist_ok=True)
        with LOG.open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")
    except OSError as error:  # all outs are written: that counts
        print(f"{LOG} cannot be written ({error}); the stage is done all the same", file=sys.stderr)
