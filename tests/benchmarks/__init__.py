"""Speed, side by side: the textbook way and ours on the same work; `python -m tests.benchmarks` from the root."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# This tree's library goes before an installed one, as for the stages.
sys.path.insert(0, str(ROOT / "src"))
