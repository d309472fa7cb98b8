"""List the workspace and the experiments of all commits, each after its commit: what it is of, and four numbers."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dvc.api import exp_show
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.repo.experiments.utils import exp_refs
from dvc.scm import map_scm_exception

from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.params import Backbone, Params, scaled_epochs
from singlefilter.pipeline.yaml_files import UnclearYaml, load_yaml
from stages import run

NUMBERS = {  # heading -> key of metrics/summary.json, format
    "accuracy": ("accuracy", ".4f"),
    "head": ("last_layer.accuracy", ".4f"),
    "noise": ("last_layer.noise", ".2f"),
    "clusters": ("last_layer.clusters", ".2f"),
}
CHOOSERS = {"archs": "arch", "datasets": "dataset"}  # tables of catalog.yaml -> what chooses a row of each
IN_COLUMNS = ("dataset", "arch", "epochs_scale", "seeds")
UNFINISHED = ("Queued", "Running", "Failed")  # DVC's states of experiments without numbers of their own
HEADINGS = ("name", "dataset", "arch", "epochs", "seeds", *NUMBERS, "state", "changed")
LEGEND = """\
accuracy, head: success rates (test set) of the network, and of the head on the last examined layer
noise, clusters: per filter of that layer
state: why there are no numbers
changed: other parameters that are not as in the commit above, of the workspace as in the last; of a
  row of catalog.yaml only if the commit has it"""


def main(params: Params) -> None:
    experiments = read_experiments()
    rows = [HEADINGS, *map(describe, experiments, commits_of(experiments))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        texts = [text.ljust(width) for text, width in zip(row[:3], widths[:3], strict=True)]
        numbers = [text.rjust(width) for text, width in zip(row[3:-1], widths[3:-1], strict=True)]
        print("  ".join([*texts, *numbers, row[-1]]).rstrip())
    print(LEGEND)


def read_experiments() -> list[dict[str, Any]]:
    """What `dvc exp show` knows of the workspace, the last commit, and other commits with experiments, newest first.

    Raises:
        InputError: DVC cannot list experiments here.
    """
    try:
        with map_scm_exception(), Repo() as repo:
            last = repo.scm.get_rev()
            # Of all commits, exp_show takes minutes; repo.experiments.ls waits for a running sweep's lock.
            others = {experiment.baseline_sha for experiment in exp_refs(repo.scm)} - {last}
            newest_first = sorted(others, key=lambda rev: -repo.scm.resolve_commit(rev).commit_time)
            found = exp_show(revs=[last, *newest_first])
    except DvcException as error:
        raise InputError(str(error)) from error
    revisions = iter([last, *newest_first])
    for commit in found[1:]:
        if commit["typ"] == "baseline":
            commit["catalog"] = read_catalog(next(revisions))
    return found


def read_catalog(revision: str) -> Any:
    """The tables of a commit's catalog.yaml, of which DVC gives the chosen rows alone; None if it has none to read."""
    shown = subprocess.run(["git", "show", f"{revision}:./catalog.yaml"], capture_output=True)
    try:
        return load_yaml(shown.stdout.decode())
    except (UnclearYaml, UnicodeDecodeError):
        return None


def commits_of(experiments: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The commit that each is set beside: the last one for the workspace, its own for an experiment."""
    workspace, last, *others = experiments
    yield from (last, last)
    commit = last
    for found in others:
        commit = found if found["typ"] == "baseline" else commit
        yield commit


def describe(found: Mapping[str, Any], commit: Mapping[str, Any]) -> tuple[str, ...]:
    """The row of an experiment; – is what it does not have, such as the numbers of one that waits in the queue.

    Of one that runs DVC gives the numbers of its commit, which are in its copy of the project until it has its own.
    """
    name = found["rev"] if found["typ"] == "baseline" else f"  {found['Experiment'] or found['rev']}"
    chosen = (str(found.get(key) or "–") for key in ("dataset", "arch"))
    seeds = str(found.get("seeds") or "–").strip("[]").replace(" ", "")
    state = found["State"] if found["State"] in UNFINISHED else ""
    numbers = (cell_text(None if state else found.get(key), form) for key, form in NUMBERS.values())
    return name, *chosen, epochs_text(found), seeds, *numbers, state.lower(), ", ".join(changes(found, commit))


def epochs_text(found: Mapping[str, Any]) -> str:
    """The epochs of the network's training."""
    key = f"archs.{found.get('arch')}.backbone.epochs"
    # DVC names the file too where another commit has the key in another file, and a row may leave the epochs out.
    values = [found.get(key), found.get(f"catalog.yaml:{key}"), float(Backbone.model_fields["epochs"].default)]
    full = next(value for value in values if isinstance(value, float))
    scale = found.get("epochs_scale")
    return str(scaled_epochs(int(full), scale)) if isinstance(scale, float) else "–"


def changes(found: Mapping[str, Any], commit: Mapping[str, Any]) -> Iterator[str]:
    """The parameters without a column whose values are not the commit's, such as threshold=0.4.

    Those of the chosen row of catalog.yaml are named within it, and left out where the commit has no such row.
    """
    before = parameters(commit)
    for name, value in parameters(found).items():
        table, _, of_row = name.partition(".")
        row, _, key = of_row.partition(".")
        chooser = CHOOSERS.get(table)
        if chooser:
            values = value_at(commit["catalog"], f"{table}.{row}")
            if row != found.get(chooser) or values is None or value in texts_of(value_at(values, key)):
                continue
        elif value == before.get(name):
            continue
        text = f"{value:g}" if isinstance(value, float) else "…" if value.startswith("[") else value
        yield f"{key if chooser else name}={text}"


def value_at(values: Any, key: str) -> Any:
    """The value of a key such as heads.learning_rate; None where a row leaves it out."""
    for name in key.split("."):
        values = values.get(name) if isinstance(values, Mapping) else None
    return values


def texts_of(value: Any) -> tuple[Any, ...]:
    """What DVC may give for a value: a list as text, and often in it its elements twice."""
    if isinstance(value, list):
        return str(value), str(value * 2)
    return (str(value) if isinstance(value, bool) else value,)


def parameters(found: Mapping[str, Any]) -> dict[str, Any]:
    """What DVC gives of an experiment's parameters, without the files' names that it puts before some of them."""
    named = {key.rpartition(":")[2]: value for key, value in found.items() if value not in (None, "None")}
    roots = {*Params.model_fields} - {*IN_COLUMNS}
    return {name: value for name, value in named.items() if name.partition(".")[0] in roots}


def cell_text(number: Any, form: str) -> str:
    return format(number, form) if isinstance(number, float) else "–"


if __name__ == "__main__":
    run(main)
