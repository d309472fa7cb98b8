"""Check the parameters, and that there are images, before DVC deletes or runs anything else."""

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path

from singlefilter.data.dataset import check_held_out
from singlefilter.pipeline.artifacts import Workspace
from singlefilter.pipeline.params import Params
from singlefilter.sources.load import check_source
from stages import run

NETWORKS = Path("networks")
NO_CODE = re.compile(r"(^|/)(__pycache__|\.[^/]*)(/|$)|~$|^README\.md$")  # as .dvcignore has it


def main(params: Params) -> None:
    counts = check_source(params.dataset, params.chosen_dataset)
    if counts:
        check_held_out(params.validation.images, counts.training_images)
    if counts and not params.chosen_arch.backbone.is_chain:
        from singlefilter.backbone.check import check_network  # and with it torch, which takes seconds

        check_network(params, counts.labels)
    files = Workspace(params)
    files.write_text("module_code", module_code(params.chosen_arch.backbone.module))
    files.write_text("params_checked", "params.yaml is valid\n")
    print(f"valid: {params.heading}")


def module_code(module: str | None) -> str:
    """List the files of networks/, with their checksums, if the network is a module of these.

    The other stages depend on this list instead of on the folder, so that a new module there runs nothing again for
    networks that are none.
    """
    if module is None:
        return "the network is no module of networks/\n"
    names = sorted(path.relative_to(NETWORKS).as_posix() for path in NETWORKS.rglob("*") if path.is_file())
    code = {name: (NETWORKS / name).read_bytes() for name in names if not NO_CODE.search(name)}
    return "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in code.items())


def touch_parameters() -> None:
    """Date the parameters' files anew.

    `dvc exp run -S` restores a file and writes a value into it within the same second: if the length is the same, Git
    takes it for unchanged, and `git checkout` would not take a refused value back.
    """
    for name in ("params.yaml", "catalog.yaml"):
        with suppress(OSError):
            os.utime(name)


if __name__ == "__main__":
    touch_parameters()
    run(main)
