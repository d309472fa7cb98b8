import subprocess
import sys

from tests.tiny_project import ROOT

IGNORED = """src/a/__pycache__/b.pyc src/singlefilter.egg-info/PKG-INFO stages/.idea/a.xml stages/.vscode/a.json
    stages/.ipynb_checkpoints/a.py stages/a.py~ stages/.a.py.swp src/.DS_Store metrics/.layers.csv.77.partial
    data/images/flowers/train/red/.DS_Store data/images/flowers/train/red/.1.png.swp data/images/a.partial""".split()
SEEN = ["stages/a.py", "data/images/flowers/train/red/1.png", "data/images/flowers/train/red/1.png~"]


def test_dvc_sees_no_leftovers_but_every_image_that_is_read():
    command = [sys.executable, "-m", "dvc", "check-ignore", *IGNORED, *SEEN]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.stdout.splitlines() == IGNORED
