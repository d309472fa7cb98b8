"""Write the script that draws the plots of `dvc plots`, and a template of their page that holds this script."""

from pathlib import Path

import vl_convert

from singlefilter.pipeline.artifacts import Workspace
from singlefilter.pipeline.params import Params
from stages import run

TEMPLATE = Path(".dvc/plots/page.html")
REFERENCE = '<script src="../plots/vega.js"></script>'


def main(params: Params) -> None:
    files = Workspace(params)
    script = vl_convert.javascript_bundle()
    files.write_text("vega", script)
    template = TEMPLATE.read_text(encoding="utf-8")
    files.write_text("page", template.replace(REFERENCE, f"<script>{script}</script>"))


if __name__ == "__main__":
    run(main)
