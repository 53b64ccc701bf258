"""How fast images are answered, as the inference threads saw it last: what a queue is worth in seconds."""

MEMORY_IMAGES = 200
"""About so many of the last images count,"""
LEAST_WEIGHT = 0.1
"""or the last ten batches where those are fewer."""


class Pace:
    """Exponentially weighted mean of the seconds that an image takes; written by one thread at a time, read by another.

    >>> pace = Pace()
    >>> pace.seconds_for(100)    # nothing is known yet, and nothing is promised
    0.0
    >>> pace.answered(images=4, seconds=0.02)
    >>> round(pace.seconds_for(100), 6)
    0.5
    """

    def __init__(self) -> None:
        self._seconds: float | None = None

    def answered(self, images: int, seconds: float) -> None:
        """Counts one batch."""
        if self._seconds is None:
            self._seconds = seconds / images
        else:
            # At least a tenth: one slow batch, such as the first on a GPU, must not be held against the next hundred.
            weight = min(1.0, max(LEAST_WEIGHT, images / MEMORY_IMAGES))
            self._seconds += weight * (seconds / images - self._seconds)

    def seconds_for(self, images: int) -> float:
        """How long so many images will take."""
        return images * (self._seconds or 0.0)
