"""A training over several processes, the ranks: each takes its part of every batch, and all hold the same weights.

All ranks draw the same batches, so that 100 images stay 100 images however many share them. Batch-norm is over the
whole batch, and gradients are summed once a step. DistributedDataParallel sums them while they are computed, by hooks
at the nodes of the graph, which a step recorded for a GPU would keep alive, and it takes means over ranks, where parts
may be of unequal size: one sum after the gradients are there serves both devices.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn

from singlefilter.pipeline.errors import InputError
from singlefilter.pipeline.launcher import LAUNCHER, launched
from singlefilter.training.device import chosen_device


@contextmanager
def joined() -> Iterator[None]:
    """Join the processes that torchrun has started, if it has, for the time of the block."""
    if not launched():
        yield
        return
    distributed.init_process_group("nccl" if chosen_device().type == "cuda" else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def count() -> int:
    """Give the number of ranks, 1 for a process that runs alone."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Give the number of this rank, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def leads() -> bool:
    """Tell whether this is the rank that writes."""
    return rank() == 0


def part(*batch: Tensor) -> tuple[Tensor, ...]:
    """Give this rank's images of a batch.

    Args:
        *batch: What belongs to the images of a batch, each (B, …).

    Returns:
        Of each the rows of this rank, (n, …); n differs by at most 1 between ranks.

    Raises:
        InputError: There are fewer images than ranks.
    """
    if len(batch[0]) < count():
        raise InputError(
            f"{LAUNCHER}: starts {count()} processes; allowed are at most as many as a batch has images, "
            f"{len(batch[0])}"
        )
    return tuple(values.tensor_split(count())[rank()] for values in batch)


def add(values: Tensor) -> None:
    """Add the values of all ranks, in place, on all of them."""
    if count() > 1:
        distributed.all_reduce(values)


def add_gradients(weights: Iterable[Tensor]) -> None:
    """Add the gradients that the ranks' parts of a batch give, in place: all at once."""
    if count() > 1:
        gradients = [values.grad for values in weights if values.grad is not None]  # none of what is frozen or unused
        flat = torch.cat([gradient.flatten() for gradient in gradients])  # all of them, end to end
        distributed.all_reduce(flat)
        for gradient, summed in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(summed.view(gradient.shape))


def from_first(function: Callable[[], Any]) -> Any:
    """Call a function on the first rank alone, and give its result to all."""
    result = [function() if leads() else None]
    if count() > 1:
        distributed.broadcast_object_list(result)
    return result[0]


def send(tensors: Iterable[Tensor]) -> None:
    """Send tensors to the first rank."""
    for values in tensors:
        distributed.send(values, 0)


def receive(sender: int, shapes: Iterable[Sequence[int]], like: Iterable[Tensor]) -> list[Tensor]:
    """Receive on the first rank what another one sends.

    Args:
        sender: The other's number.
        shapes: Of the tensors that it sends, in their order.
        like: Tensors with their dtypes and device.
    """
    tensors = [template.new_empty(shape) for shape, template in zip(shapes, like, strict=True)]
    for values in tensors:
        distributed.recv(values, sender)
    return tensors


def synchronise(network: nn.Module) -> nn.Module:
    """Have the batch-norm layers of a network take their means and variances over all ranks, in place.

    On a GPU PyTorch's SyncBatchNorm does so, which refuses the processor.

    Args:
        network: On its device.

    Raises:
        InputError: On a processor, the network has batch-norm layers of another kind.
    """
    if count() == 1:
        return network
    if next(network.parameters()).device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for name, module in network.named_modules():
        shared = type(module) is nn.BatchNorm2d and module.affine and module.track_running_stats
        if shared and module.momentum is not None:
            module.__class__ = _BatchNormOverRanks  # with its state, as PyTorch's lazy modules become others
        elif isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise InputError(
                f"{LAUNCHER}: on a processor several processes share a batch only with nn.BatchNorm2d with weights, "
                f"running statistics and a momentum, and {name} is {module}; leave the launcher unset"
            )
    return network


class _BatchNormOverRanks(nn.BatchNorm2d):
    def forward(self, images: Tensor) -> Tensor:
        if not self.training:
            return super().forward(images)
        mean, variance, images_in_all = _moments(images)
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (images_in_all / (images_in_all - 1)), self.momentum)
        return _Normalise.apply(images, self.weight, self.bias, mean, variance, images_in_all, self.eps)


def _moments(images: Tensor) -> tuple[Tensor, Tensor, float]:
    """Give each channel's mean and variance over all ranks' images, float32 (C,), and how many values these are over.

    Variances are merged by the ranks' means, and not taken from sums of squares, which would cancel.
    """
    variance, mean = torch.var_mean(images.float(), (0, 2, 3), correction=0)
    values = images.numel() / images.shape[1]
    own = torch.stack([mean, variance, torch.full_like(mean, values)]).double()  # (3, C)
    parts = [torch.empty_like(own) for _ in range(count())]
    distributed.all_gather(parts, own)
    means, variances, counts = torch.stack(parts, 1)  # each (ranks, C)
    total = counts.sum(0)
    merged = (means * counts).sum(0) / total
    spread = ((variances + (means - merged) ** 2) * counts).sum(0) / total
    return merged.float(), spread.float(), total[0].item()


class _Normalise(torch.autograd.Function):
    """Batch-norm with the moments of all ranks, whose gradients go through those, too."""

    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        variance: Tensor,
        values: float,
        epsilon: float,
    ) -> Tensor:
        ctx.save_for_backward(images, weight, mean, (variance + epsilon).rsqrt())
        ctx.values = values
        return nn.functional.batch_norm(images, mean, variance, weight, bias, eps=epsilon)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weight, mean, scale = ctx.saved_tensors
        gradient_float = gradient.float()
        normalised = (images.float() - mean[:, None, None]) * scale[:, None, None]
        sums = torch.stack([gradient_float.sum((0, 2, 3)), (gradient_float * normalised).sum((0, 2, 3))])  # (2, C)
        of_bias, of_weight = sums.clone()  # of this rank: add_gradients adds the others'
        distributed.all_reduce(sums)
        mean_gradient, mean_product = (sums / ctx.values)[:, :, None, None]
        of_images = (weight * scale)[:, None, None] * (gradient_float - mean_gradient - normalised * mean_product)
        return of_images.to(images.dtype), of_weight, of_bias, None, None, None, None
