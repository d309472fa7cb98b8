"""Run the benchmarks that are named, or all but the chain, which takes minutes and a clone."""

import argparse
import importlib

from tests.benchmarks.harness import Options, add_options, chosen_options, machine

SUBJECTS = (
    "training_step",
    "convolutions",
    "heads",
    "features",
    "filter_matrices",
    "cluster_statistics",
    "growth",
    "processes",
    "gpu",
)
SEPARATE = ("chain",)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    known = SUBJECTS + SEPARATE
    parser.add_argument("subjects", nargs="*", metavar="subject", help=f"any of {', '.join(known)}")
    parser.add_argument("--all", action="store_true", help=f"also {', '.join(SEPARATE)}")
    add_options(parser)
    arguments = parser.parse_args()
    if unknown := set(arguments.subjects) - set(known):
        parser.error(f"{', '.join(sorted(unknown))}: is no subject; allowed are {', '.join(known)}")
    report(arguments.subjects or (known if arguments.all else SUBJECTS), chosen_options(arguments))


def report(subjects: tuple[str, ...] | list[str], options: Options) -> None:
    print(machine(options), flush=True)
    for subject in subjects:
        importlib.import_module(f"tests.benchmarks.{subject}").report(options)


if __name__ == "__main__":
    main()
