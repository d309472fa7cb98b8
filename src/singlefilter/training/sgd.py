"""SGD with Nesterov momentum as both phases use it, and its state for a checkpoint (SI, Optimization)."""

from collections.abc import Iterable

import torch
from torch import Tensor

from singlefilter.pipeline.params import Rates


def nesterov(groups: Iterable[tuple[Iterable[Tensor], Rates]], device: torch.device) -> torch.optim.SGD:
    """Give SGD with Nesterov momentum and weight decay; its rates are tensors, so that a recorded step sees them."""
    return torch.optim.SGD(
        [
            {
                "params": list(weights),
                "lr": torch.tensor(rates.learning_rate, device=device),
                "momentum": rates.momentum,
                "weight_decay": rates.weight_decay,
                "nesterov": rates.momentum > 0,
            }
            for weights, rates in groups
        ],
        fused=True,
    )


def set_rates(optimiser: torch.optim.SGD, rates: Iterable[float]) -> None:
    """Set the learning rate of each group."""
    for group, rate in zip(optimiser.param_groups, rates, strict=True):
        group["lr"].fill_(rate)


def all_finite(weights: Iterable[Tensor]) -> bool:
    """Tell whether no weight is infinite or NaN: an epoch's last step can spoil them after its loss was taken."""
    return bool(torch.stack([values.isfinite().all() for values in weights]).all())


def optimiser_state(optimiser: torch.optim.SGD) -> dict[int, dict[str, Tensor]]:
    """Give the momentum of all weights, for a checkpoint."""
    return optimiser.state_dict()["state"]


def restore_optimiser(optimiser: torch.optim.SGD, state: dict[int, dict[str, Tensor]]) -> None:
    """Take the momentum of all weights from a checkpoint; the groups' settings stay."""
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
