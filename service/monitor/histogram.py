"""A Prometheus histogram that takes many values at once."""

import numpy as np
from numpy.typing import ArrayLike
from prometheus_client import Histogram


class BulkHistogram(Histogram):
    """The library's, which has no way to take more than one value at a time.

    A histogram there is a value for the sum and one for each bucket, in memory or in the file that workers share:
    either way each of them is added to once here, however many values come.
    """

    def observe_many(self, amounts: ArrayLike) -> None:
        """Takes values (N,): as `observe` of each."""
        values = np.asarray(amounts, float)
        bins = np.searchsorted(self._upper_bounds, values, side="left")
        self._sum.inc(float(values.sum()))
        # A value that is no number lies in a bin beyond the last bucket, and counts in none.
        for bucket, count in zip(self._buckets, np.bincount(bins, minlength=len(self._buckets)).tolist(), strict=False):
            if count:
                bucket.inc(count)
