"""What a user's machine does to the pipeline, done to it on purpose; `python -m tests.robustness` from the root."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# This tree's library goes before an installed one, as for the stages.
sys.path.insert(0, str(ROOT / "src"))
