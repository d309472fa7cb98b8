import numpy as np
import pytest
import torch

from singlefilter.training.batches import Batches

CPU = torch.device("cpu")


def drawn(batches: Batches, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An epoch's images (steps, B), flips (steps, B) and shifts (steps, B, 2)."""
    batches.start(epoch)
    steps = [batches.next() for _ in range(batches.steps)]
    images, flips, shifts = (torch.stack(parts).numpy() for parts in zip(*steps, strict=True))
    return images, flips, shifts


@pytest.mark.parametrize("count, size, steps", [(100, 10, 10), (103, 10, 11), (109, 10, 11), (7, 7, 1), (8, 7, 2)])
def test_epoch_shows_every_image_once_in_full_batches_and_fills_the_last_from_its_start(count, size, steps):
    batches = Batches(count, size, seed=0, device=CPU)
    assert batches.steps == steps
    images, _, _ = drawn(batches, epoch=3)
    assert images.shape == (steps, size)
    order = images.ravel()
    assert sorted(order[:count]) == list(range(count))
    assert list(order[count:]) == list(order[: steps * size - count])


def test_fewer_images_than_a_batch_are_repeated_in_turn():
    images, _, _ = drawn(Batches(3, 8, seed=0, device=CPU), epoch=0)
    order = images[0]
    assert sorted(order[:3]) == [0, 1, 2]
    assert list(order) == [*order[:3], *order[:3], *order[:2]]


def test_order_is_shuffled_and_another_one_each_epoch_and_seed():
    batches = Batches(50, 10, seed=0, device=CPU)
    orders = [drawn(batches, epoch)[0].tolist() for epoch in range(4)]
    orders += [drawn(Batches(50, 10, seed=1, device=CPU), 0)[0].tolist(), np.arange(50).reshape(5, 10).tolist()]
    assert all(one != other for place, one in enumerate(orders) for other in orders[:place])


def test_flips_and_shifts_are_others_each_epoch():
    batches = Batches(50, 10, seed=0, device=CPU, translation=4, flip=True)
    _, flips, shifts = drawn(batches, 0)
    _, later_flips, later_shifts = drawn(batches, 1)
    assert (flips != later_flips).any()
    assert (shifts != later_shifts).any()


def test_epoch_is_the_same_whatever_was_drawn_before():
    one = Batches(53, 10, seed=7, device=CPU, translation=4, flip=True)
    for epoch in range(5):
        expected = drawn(one, epoch)
    other = Batches(53, 10, seed=7, device=CPU, translation=4, flip=True)
    other.start(1)
    other.next()
    for part, same in zip(drawn(other, 4), expected, strict=True):
        assert np.array_equal(part, same)


def test_half_of_the_images_are_flipped():
    _, flips, _ = drawn(Batches(10_000, 100, seed=0, device=CPU, flip=True), epoch=0)
    assert flips.mean() == pytest.approx(0.5, abs=0.02)  # four standard deviations


def test_no_image_is_flipped_unless_asked():
    _, flips, _ = drawn(Batches(10_000, 100, seed=0, device=CPU, translation=4), epoch=0)
    assert not flips.any()


def test_shifts_are_uniform_from_minus_4_to_4_on_both_axes():
    count = 81 * 400
    _, _, shifts = drawn(Batches(count, 100, seed=0, device=CPU, translation=4, flip=True), epoch=0)
    pairs, numbers = np.unique(shifts.reshape(-1, 2), axis=0, return_counts=True)
    assert pairs.tolist() == [[down, right] for down in range(-4, 5) for right in range(-4, 5)]
    assert numbers == pytest.approx(np.full(81, 400), abs=100)  # five standard deviations


def test_flips_and_shifts_are_independent():
    _, flips, shifts = drawn(Batches(10_000, 100, seed=0, device=CPU, translation=4, flip=True), epoch=0)
    columns = np.column_stack([flips.ravel(), shifts.reshape(-1, 2)]).astype(float)
    assert np.corrcoef(columns, rowvar=False) == pytest.approx(np.eye(3), abs=0.05)


def test_no_translation_gives_no_shift():
    _, _, shifts = drawn(Batches(500, 100, seed=0, device=CPU), epoch=0)
    assert not shifts.any()


def test_draws_have_the_types_that_indexing_needs():
    batches = Batches(20, 5, seed=0, device=CPU, translation=4, flip=True)
    batches.start(0)
    images, flips, shifts = batches.next()
    assert (images.dtype, flips.dtype, shifts.dtype) == (torch.int64, torch.bool, torch.int64)
    assert (images.shape, flips.shape, shifts.shape) == ((5,), (5,), (5, 2))


def test_a_batch_stays_what_it_was_when_the_next_one_is_drawn():
    batches = Batches(20, 5, seed=0, device=CPU)
    batches.start(0)
    first = batches.next()[0]
    before = first.clone()
    batches.next()
    batches.start(1)
    assert torch.equal(first, before)
