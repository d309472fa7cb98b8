"""Write the script that draws the plots of `dvc plots`' page, which then needs no network."""

import vl_convert

from singlefilter.pipeline.artifacts import Workspace
from singlefilter.pipeline.params import Params
from stages import run


def main(params: Params) -> None:
    with Workspace(params).replacing("vega") as path:
        path.write_text(vl_convert.javascript_bundle(), encoding="utf-8")


if __name__ == "__main__":
    run(main)
