"""What is installed, and that a copy of this tree runs its own code beside an installed one."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_package_depends_on_what_is_installed_for_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    installed = [line.partition("==")[0] for line in lines if "==" in line]
    assert [re.match(r"[\w.-]+", name)[0] for name in project["dependencies"]] == installed
    assert "--editable ." in lines


def test_a_copy_of_the_tree_runs_its_own_code_though_another_is_installed(tmp_path):
    for folder in ("src", "stages"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "src/singlefilter/pipeline/params.py").write_text("raise SystemExit('the code of the copy')")
    done = subprocess.run(
        [sys.executable, "-m", "stages.check_params"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},  # goes even before what is installed
        capture_output=True,
        text=True,
    )
    assert done.stderr == "the code of the copy\n"
