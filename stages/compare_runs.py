"""Set all recorded runs beside the paper, and judge the claims that need several of them."""

from pathlib import Path

from singlefilter.claims.run import Run
from singlefilter.pipeline.files import replacing
from singlefilter.pipeline.params import Params
from singlefilter.records.compare import comparison_table, comparison_text
from singlefilter.records.store import read_record
from stages import run

RECORDS = Path("metrics/reference")


def main(params: Params) -> None:
    runs = read_records()
    with replacing(Path("metrics/comparison.csv")) as path:
        table = comparison_table(runs)
        table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n", encoding="utf-8")
    with replacing(Path("metrics/comparison.md")) as path:
        path.write_text(comparison_text(runs), encoding="utf-8")
    print(f"compared: {', '.join(runs) or 'no runs'}; see metrics/comparison.md")


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
