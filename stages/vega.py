"""Write the script that draws the plots of `dvc plots`, and a template of their page that holds this script."""

from pathlib import Path

import vl_convert

from singlefilter.pipeline.artifacts import Workspace
from singlefilter.pipeline.params import Params
from stages import run

TEMPLATE = Path(".dvc/plots/page.html")
REFERENCE = '<script src="../plots/vega.js"></script>'


def main(params: Params) -> None:
    files, script = Workspace(params), vl_convert.javascript_bundle()
    with files.replacing("vega") as path:
        path.write_text(script, encoding="utf-8")
    template = TEMPLATE.read_text(encoding="utf-8")
    with files.replacing("page") as path:
        path.write_text(template.replace(REFERENCE, f"<script>{script}</script>"), encoding="utf-8")


if __name__ == "__main__":
    run(main)
