"""The steps of the pipeline; each runs as `python -m stages.<name>` from the project's root."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

# This tree's library goes before an installed one: a temporary copy of the tree must run its own code.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))


def run(main: Callable[..., None], per_sample: bool = False) -> None:
    """Run a stage from the command line: read params.yaml, call the stage, and turn a user's mistake into one line.

    Args:
        main: The stage, called with the parameters, and with the seed if it is run once a sample.
        per_sample: Whether the command line takes --seed.
    """
    from singlefilter.errors import InputError
    from singlefilter.params import load_params

    name = Path(sys.argv[0]).stem
    parser = argparse.ArgumentParser(prog=f"python -m stages.{name}", description=sys.modules["__main__"].__doc__)
    if per_sample:
        parser.add_argument("--seed", type=int, required=True, help="the sample; one of params.yaml's seeds")
    arguments = vars(parser.parse_args())
    try:
        main(load_params(), **arguments)
    except InputError as error:
        sys.exit(f"{name}: {error}")
    except (OSError, MemoryError) as error:
        sys.exit(f"{name}: {type(error).__name__}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
