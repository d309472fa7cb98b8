"""Run the subjects that are named, or all, and print what happened; fails if anything was lost or differs."""

import argparse
import importlib
import signal
import sys

from tests.robustness.harness import Options, machine, show

SUBJECTS = (
    "reproducible",
    "renderings",
    "interrupted",
    "interrupted_runs",
    "full_disk",
    "damaged",
    "parameters",
    "awkward",
    "concurrent",
    "long",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.robustness", description=__doc__)
    parser.add_argument("subjects", nargs="*", metavar="subject", help=f"any of {', '.join(SUBJECTS)}")
    parser.add_argument("--quick", action="store_true", help="a short sample of each")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments (0)")
    arguments = parser.parse_args()
    if unknown := set(arguments.subjects) - set(SUBJECTS):
        parser.error(f"{', '.join(sorted(unknown))}: is no subject; allowed are {', '.join(SUBJECTS)}")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background ignores, and stages then too
    if not report(arguments.subjects or SUBJECTS, Options(arguments.quick, arguments.seed)):
        sys.exit(1)


def report(subjects: tuple[str, ...] | list[str], options: Options) -> bool:
    """Run the subjects, print a table for each, and say whether all went well."""
    print(machine(options), flush=True)
    well = True
    for name in subjects:
        subject = importlib.import_module(f"tests.robustness.{name}")
        rows = subject.report(options)
        show(name.replace("_", " ").capitalize(), subject.NOTES, rows)
        well &= all(row.well for row in rows)
    return well


if __name__ == "__main__":
    main()
