"""Set all recorded runs beside the paper, and judge the claims that need several of them."""

from singlefilter.claims.run import Run
from singlefilter.pipeline.artifacts import RECORDS, Workspace, path_of
from singlefilter.pipeline.params import Params
from singlefilter.records.compare import comparison_table, comparison_text
from singlefilter.records.store import read_control, read_record
from stages import run


def main(params: Params) -> None:
    runs = read_records()
    files = Workspace(params)
    files.write_table("comparison", comparison_table(runs), "%.6g")
    files.write_text("comparison_text", comparison_text(runs, controls_of(runs)))
    print(f"compared: {', '.join(runs) or 'no runs'}; see {path_of('comparison_text')}")


def controls_of(runs: dict[str, Run]) -> dict[str, Run]:
    """The controls of those runs that have one."""
    found = {name: read_control(run.params.dataset, run.params.arch) for name, run in runs.items()}
    return {name: control for name, control in found.items() if control}


def read_records() -> dict[str, Run]:
    """The recorded runs by the names of their folders, but for those that say too little of what they are."""
    runs = {}
    for folder in sorted(path for path in RECORDS.glob("[!.]*") if path.is_dir()):
        if (folder / "params.yaml").exists():
            runs[folder.name] = read_record(folder)
        else:
            print(f"{folder} is left out: it has no params.yaml; record the run again with python -m stages.record_run")
    return runs


if __name__ == "__main__":
    run(main)
