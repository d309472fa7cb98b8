"""Print the seconds of training steps of this process, or of the ranks that torchrun has started."""

import sys

import torch

from singlefilter.training import ranks
from tests.benchmarks.harness import params_of, seconds_of
from tests.benchmarks.synthetic import random_split
from tests.benchmarks.training_step import OurTraining


def main(arch: str, side: int, steps: int, repeats: int) -> None:
    params = params_of(arch)
    row = params.chosen_dataset.model_copy(update={"image_size": side})
    params = params.model_copy(update={"datasets": params.datasets | {"cifar10": row}, "precision": "float32"})
    split = random_split(steps * params.chosen_arch.backbone.batch_size, seed=0, side=side)
    with ranks.joined():
        ours = OurTraining(split, params, torch.device("cpu"))
        ours.epoch()
        seconds = [seconds_of(ours.epoch) / steps for _ in range(repeats)]
        if ranks.leads():
            print(*seconds)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
