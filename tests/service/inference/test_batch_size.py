"""How many images run at once, by the time that they take."""

import pytest

from service.inference.batch_size import batch_in_time, largest_batch


@pytest.mark.parametrize(
    ("alone", "limit", "images"),
    [(0.001, 32, 32), (0.0625, 32, 4), (0.0625, 3, 3), (2.0, 32, 1), (1e-9, 1, 1)],
    ids=["fast", "slow", "slow-but-fewer-are-allowed", "one-takes-longer", "one-is-allowed"],
)
def test_batch_on_a_cpu_ends_within_a_quarter_of_a_second(alone, limit, images):
    assert batch_in_time(alone, limit) == images


class Gpu:
    """Does `units` images at once in a millisecond and has memory for `room`."""

    def __init__(self, units, room):
        self.now = 0.0
        self.units, self.room = units, room

    def run_blank(self, images):
        if images > self.room:
            raise MemoryError("out of memory")
        self.now += 0.001 * max(1.0, images / self.units)


@pytest.mark.parametrize(
    ("gpu", "limit", "largest"),
    [
        (Gpu(units=1000, room=1000), 48, 48),
        (Gpu(units=1000, room=20), 128, 16),
        (Gpu(units=4, room=1000), 128, 4),
        (Gpu(units=1, room=0), 128, 1),
    ],
    ids=["all-that-is-allowed", "all-that-fits", "all-that-pays", "none-fits"],
)
def test_batch_on_a_gpu_is_as_large_as(gpu, limit, largest):
    assert largest_batch(gpu, limit, clock=lambda: gpu.now) == largest
