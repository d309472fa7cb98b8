import pytest
import torch
from torch import nn

from singlefilter.pipeline.errors import InputError
from singlefilter.training import ranks


@pytest.mark.parametrize(("rank", "expected"), [(0, [0, 1, 2]), (1, [3, 4]), (2, [5, 6])])
def test_each_rank_has_its_part_of_all_that_belongs_to_an_image(monkeypatch, rank, expected):
    monkeypatch.setattr(ranks, "count", lambda: 3)
    monkeypatch.setattr(ranks, "rank", lambda: rank)
    index, shifts = ranks.part(torch.arange(7), torch.arange(14).view(7, 2))
    assert index.tolist() == expected
    assert shifts.tolist() == [[2 * image, 2 * image + 1] for image in expected]


def test_more_ranks_than_images_of_a_batch_are_refused(monkeypatch):
    monkeypatch.setattr(ranks, "count", lambda: 8)
    with pytest.raises(InputError, match="SINGLEFILTER_LAUNCHER: starts 8 processes; allowed are at most as many as"):
        ranks.part(torch.arange(7))


def test_moments_of_parts_merge_into_those_of_the_whole_though_means_are_large(monkeypatch):
    """Sums of squares would cancel: in float32 a variance of 1 beside a mean of 10,000 is lost."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(5, 2, 4, 4, generator=generator) + torch.tensor([1e4, -3.0])[:, None, None]
    parts = [images[:2], images[2:]]
    others = []

    def gather(found: list[torch.Tensor], own: torch.Tensor) -> None:
        others.append(own)
        for target, values in zip(found, others, strict=False):
            target.copy_(values)

    monkeypatch.setattr(ranks, "count", lambda: 2)
    monkeypatch.setattr(ranks.distributed, "all_gather", gather)
    ranks._moments(parts[0])
    mean, variance, values = ranks._moments(parts[1])
    expected = images.double()
    assert values == 5 * 4 * 4
    torch.testing.assert_close(mean.double(), expected.mean((0, 2, 3)), rtol=1e-6, atol=0)
    torch.testing.assert_close(variance.double(), expected.var((0, 2, 3), correction=0), rtol=1e-4, atol=0)


def test_what_is_frozen_or_unused_has_no_gradient_to_add(monkeypatch):
    used, frozen = torch.ones(3, requires_grad=True), torch.ones(2)
    (2 * used).sum().backward()
    monkeypatch.setattr(ranks, "count", lambda: 2)
    monkeypatch.setattr(ranks.distributed, "all_reduce", lambda values: values.mul_(2))
    ranks.add_gradients([used, frozen])
    assert used.grad.tolist() == [4, 4, 4] and frozen.grad is None


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm1d(4),
        nn.BatchNorm2d(4, affine=False),
        nn.BatchNorm2d(4, momentum=None),
        nn.BatchNorm2d(4, track_running_stats=False),
    ],
)
def test_batch_norms_that_ranks_cannot_share_are_refused(monkeypatch, layer):
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(layer))
    assert ranks.synchronise(network) is network
    monkeypatch.setattr(ranks, "count", lambda: 2)
    with pytest.raises(
        InputError, match=r"^SINGLEFILTER_LAUNCHER: on a processor .*, and 2\.0 is BatchNorm.d\(4, .*unset$"
    ):
        ranks.synchronise(network)
