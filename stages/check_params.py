"""Check params.yaml before DVC has deleted or run anything else."""

from pathlib import Path

from singlefilter.pipeline.files import replacing
from singlefilter.pipeline.params import Params
from stages import run


def main(params: Params) -> None:
    with replacing(Path("data/params_checked.txt")) as path:
        path.write_text("params.yaml is valid\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
