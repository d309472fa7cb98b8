"""What `from stages import run` finds in a script that was started by its path, which puts this folder before all."""

import sys
from pathlib import Path

if __name__ == "stages":
    sys.exit(f"a stage is started by its name, in {Path(__file__).resolve().parents[1]}: python -m stages.<name>")
