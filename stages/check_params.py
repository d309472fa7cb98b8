"""Check the parameters, and that there are images, before DVC deletes or runs anything else."""

from singlefilter.pipeline.artifacts import Workspace
from singlefilter.pipeline.params import Params
from singlefilter.sources.load import check_source
from stages import run


def main(params: Params) -> None:
    check_source(params.dataset, params.chosen_dataset)
    if not params.chosen_arch.backbone.is_chain:
        from singlefilter.backbone.check import check_network  # and with it torch, which takes seconds

        check_network(params)
    with Workspace(params).replacing("params_checked") as path:
        path.write_text("params.yaml is valid\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
