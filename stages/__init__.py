"""The steps of the pipeline; each runs as `python -m stages.<name>` from the project's root."""

import signal
import sys
from pathlib import Path

# This tree's library goes before an installed one: a temporary copy of the tree must run its own code.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

# While a stage of the command line is being imported, nothing needs tidying up: Ctrl-C ends it without a traceback.
if sys.argv[0] == "-m" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from singlefilter.pipeline.command import run
from singlefilter.pipeline.cores import share_cores

share_cores(sys.orig_argv)

__all__ = ["run"]
