"""How the threads of a stage share the cores with other jobs."""

import os
import sys

from singlefilter.pipeline.artifacts import STAGES
from singlefilter.pipeline.launcher import LAUNCHER

# Each thread stays on a core of its own, and sleeps after some turns of waiting: other jobs' threads take their turns
# then, where threads that spin, or that meet on one core, keep the whole team waiting at each of its barriers.
SHARING = {"OMP_PROC_BIND": "true", "OMP_PLACES": "cores", "GOMP_SPINCOUNT": "1000"}


def share_cores(command: list[str]) -> None:
    """Have the threads of a stage of the chain share the cores with those of other jobs.

    Their number is not touched, on which results depend. Whoever sets it, by OMP_NUM_THREADS or a launcher, has shared
    out the cores, and threads that are fewer than the cores must not all stay on the first ones.

    Args:
        command: That of this process, such as python -m stages.train_heads. PyTorch is not imported yet: its threads
            read their settings once.
    """
    shared_out = "OMP_NUM_THREADS" in os.environ or LAUNCHER in os.environ
    is_stage = any(word.removeprefix("stages.") in STAGES for word in command if word.startswith("stages."))
    if sys.platform == "linux" and is_stage and not shared_out:
        os.environ.update({name: value for name, value in SHARING.items() if name not in os.environ})
