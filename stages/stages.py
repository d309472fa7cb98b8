"""What `from stages import run` finds in a script that was started by its path, which puts this folder before all."""

import sys
from pathlib import Path

script = Path(sys.argv[0]).resolve()
sys.exit(f"{sys.argv[0]}: start it by its name, in {script.parents[1]}: python -m stages.{script.stem}")
