"""Every figure drawn again and again, each time in a fresh process under another hash seed: the same bytes."""

import os
import shutil
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

from singlefilter.pipeline.params_files import load_params
from tests.figures.tables import Tables
from tests.robustness import ROOT
from tests.robustness.harness import Options, Row, counted, failure, has_traceback, say
from tests.tiny_project import Place

TIMES = 20
LAYERS = [2, 4, 7, 13]  # of four, the digits of matplotlib's solver are known to vary from process to process
NOTES = (
    "`python -m stages.figures` on the same made-up tables, each time in a fresh process under another PYTHONHASHSEED; "
    "all its files are compared with those of the first process."
)


def report(options: Options) -> list[Row]:
    times = 2 if options.quick else TIMES
    with TemporaryDirectory() as folder:
        place = Place(Path(folder), {**os.environ, "PYTHONPATH": str(ROOT)})
        for name in ("params.yaml", "catalog.yaml"):
            shutil.copy(ROOT / name, folder)
        place.set_params({"archs.vgg16.examined_layers": LAYERS})
        with chdir(folder):
            Tables(LAYERS, samples=1).write(load_params())
        found = []
        for number in range(times):
            say(f"renderings: {number + 1} of {times}")
            ended = place.python("stages.figures", PYTHONHASHSEED=str(number))
            if ended.code or has_traceback(ended.output):
                return [Row("all figures", number + 1, failure(ended), well=False)]
            found.append(place.digests(sorted(f"plots/{path.name}" for path in (place.folder / "plots").iterdir())))
    versions = {file: len({digests[file] for digests in found}) for file in found[0]}
    different = [f"{file} in {count} versions" for file, count in versions.items() if count > 1]
    happened = ", ".join([f"{counted(len(versions) - len(different), 'file')} the same", *different])
    return [Row("all figures", times, happened, well=not different)]
