"""List the workspace and the experiments of all commits, each after its commit: what it is of, and four numbers."""

from collections.abc import Mapping
from typing import Any

from dvc.api import exp_show
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.scm import map_scm_exception

from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Backbone, Params, scaled_epochs
from stages import run

NUMBERS = {  # heading -> key of metrics/summary.json, format
    "accuracy": ("accuracy", ".4f"),
    "head": ("last_layer.accuracy", ".4f"),
    "noise": ("last_layer.noise", ".2f"),
    "clusters": ("last_layer.clusters", ".2f"),
}
HEADINGS = ("name", "dataset", "arch", "epochs", "seeds", *NUMBERS)
LEGEND = """\
accuracy, head: success rates (test set) of the network, and of the head on the last examined layer
noise, clusters: per filter of that layer"""


def main(params: Params) -> None:
    rows = [HEADINGS, *map(describe, read_experiments())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        texts = [text.ljust(width) for text, width in zip(row[:3], widths[:3], strict=True)]
        numbers = [text.rjust(width) for text, width in zip(row[3:], widths[3:], strict=True)]
        print("  ".join(texts + numbers))
    print(LEGEND)


def read_experiments() -> list[dict[str, Any]]:
    """What `dvc exp show` knows of the workspace, the last commit, and all commits with experiments, newest first.

    Raises:
        InputError: DVC cannot list experiments here.
    """
    try:
        with map_scm_exception(), Repo() as repo:
            commits = {repo.scm.get_rev(), *repo.experiments.ls(all_commits=True)}  # of all commits, it takes minutes
            return exp_show(revs=sorted(commits, key=lambda rev: -repo.scm.resolve_commit(rev).commit_time))
    except DvcException as error:
        raise InputError(str(error)) from error


def describe(found: Mapping[str, Any]) -> tuple[str, ...]:
    """The row of an experiment; – is what it does not have, such as the numbers of one that waits in the queue."""
    name = found["rev"] if found["typ"] == "baseline" else f"  {found['Experiment'] or found['rev']}"
    chosen = (str(found.get(key) or "–") for key in ("dataset", "arch"))
    seeds = str(found.get("seeds") or "–").strip("[]").replace(" ", "")
    numbers = (cell_text(found.get(key), form) for key, form in NUMBERS.values())
    return name, *chosen, epochs_text(found), seeds, *numbers


def epochs_text(found: Mapping[str, Any]) -> str:
    """The epochs of the network's training."""
    key = f"archs.{found.get('arch')}.backbone.epochs"
    # DVC names the file too where another commit has the key in another file, and a row may leave the epochs out.
    values = [found.get(key), found.get(f"catalog.yaml:{key}"), float(Backbone.model_fields["epochs"].default)]
    full = next(value for value in values if isinstance(value, float))
    scale = found.get("epochs_scale")
    return str(scaled_epochs(int(full), scale)) if isinstance(scale, float) else "–"


def cell_text(number: Any, form: str) -> str:
    return format(number, form) if isinstance(number, float) else "–"


if __name__ == "__main__":
    run(main)
