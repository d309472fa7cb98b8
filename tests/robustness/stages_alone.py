"""A tiny project, and its stages run alone in it: each in a process of its own, without DVC."""

import os
import re
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import matplotlib.backends.backend_agg
import matplotlib.backends.backend_svg
import torch
import torch._dynamo

import stages
from tests.test_dependencies import STAGES, is_code, paths
from tests.tiny_project import Place, make_place, own_environment

# What the libraries themselves import late is imported here, once, instead of in each fork.
LATE = (matplotlib.backends.backend_agg, matplotlib.backends.backend_svg, torch._dynamo)
# Those whose outs are another's input, or the user's; in the order of the chain.
CHAIN = [name for name in STAGES if name not in ("check_params", "compare_runs", "vega")]
MOST_SECONDS = 30  # of a stage, which takes one or two; then it hangs, and ends by SIGALRM
IGNORED = re.compile(r"\.git/|logs/|.*__pycache__|checkpoints/")


@dataclass(frozen=True)
class Ended:
    """A stage that has ended: its exit status, and what it wrote to either stream."""

    code: int
    error: str
    output: str

    @property
    def is_one_line(self) -> bool:
        return self.code not in (0, None) and self.error.count("\n") == 1 and "Traceback" not in self.error


def environment() -> dict[str, str]:
    return own_environment(Path(os.devnull)) | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def make_project(folder: Path, changes: Mapping[str, Any] | None = None, seed: int = 0) -> Path:
    """Make a project of tiny size in which all stages have run, for one sample."""
    make_place(folder, environment())
    change_params(folder, changes or {})
    shutil.rmtree(folder / ".git")
    for name in CHAIN:
        ended = run(folder, name, seed=seed)
        assert ended.code == 0, (name, ended)
    return folder


NOT_READ = ("data/images/${dataset}", "data/module_code.txt", "data/params_checked.txt", "metrics/reference")


def change_params(folder: Path, changes: Mapping[str, Any]) -> None:
    Place(folder, {}).set_params(changes)


def copied(project: Path, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return shutil.copytree(project, folder, ignore=shutil.ignore_patterns("reference"), symlinks=True)


def run(folder: Path, name: str, before: Callable[[], None] = lambda: None, seed: int = 0) -> Ended:
    """Run a stage in a fork of this process, which spares it the imports; `before` is called in the fork."""
    module = import_module(f"stages.{name}")
    arguments = ["--seed", str(seed)] if "matrix" in STAGES[name] else []
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as error:
        process = os.fork()
        if process == 0:
            _run_here(module, folder, before, arguments, output.fileno(), error.fileno())
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        return Ended(code, *(_text(file) for file in (error, output)))


def inputs_of(folder: Path, name: str) -> list[str]:
    """The files that a stage reads, as dvc.yaml lists them; but for the images, and what is only there for DVC."""
    files: list[str] = []
    for dep in STAGES[name]["deps"]:
        path = folder / dep.replace("${item.seed}", "0")
        if not is_code(dep) and dep not in NOT_READ:
            found = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
            files += [str(file.relative_to(folder)) for file in found]
    return files


def outs_of(folder: Path, name: str) -> dict[str, bytes]:
    """The files that a stage has made, and what they hold."""
    stage = STAGES[name]
    listed = paths(stage.get("outs", []) + stage.get("metrics", []) + stage.get("plots", []))
    outs = [folder / path.replace("${item.seed}", "0") for path in listed]
    files = [file for out in outs for file in (sorted(out.rglob("*")) if out.is_dir() else [out])]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files if file.is_file()}


def everything(folder: Path) -> dict[str, bytes]:
    """All files of a project but its log and checkpoints, and what they hold."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not IGNORED.match(name)}


def _run_here(
    module: Any, folder: Path, before: Callable[[], None], arguments: list[str], output: int, error: int
) -> None:
    code = 1
    try:
        os.dup2(output, 1)
        os.dup2(error, 2)
        os.chdir(folder)
        signal.alarm(MOST_SECONDS)
        torch.set_num_threads(1)
        alone = environment()
        os.environ.clear()
        os.environ.update(alone)
        sys.argv = [f"{module.__name__.replace('.', '/')}.py", *arguments]
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)
        before()
        stages.run(module.main, bool(arguments), getattr(module, "ARGUMENTS", None))
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _text(file: Any) -> str:
    file.seek(0)
    return file.read()
