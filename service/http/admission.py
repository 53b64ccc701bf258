"""How much may be in flight at once: so many images, so many bytes. Beyond, a request is turned away at once."""

from types import TracebackType
from typing import Self

from service.errors import Overloaded


class Admission:
    """Counts what is in flight; used on the event loop alone.

    An upload that still comes takes its bytes, but no place among those that wait: slow callers keep nobody out.

    Args:
        max_waiting: most images that are whole and wait for their answer.
        max_bytes: most bytes of images that come or wait, together.
    """

    def __init__(self, max_waiting: int, max_bytes: int) -> None:
        self._max_waiting, self._max_bytes = max_waiting, max_bytes
        self.waiting = self.bytes = 0

    def seat(self) -> "Seat":
        """For one request, to be entered and left.

        Raises:
            Overloaded: it would wait in vain; nothing of it needs to be read.
        """
        self.check_waiting()
        return Seat(self)

    def check_waiting(self) -> None:
        """Raises:
        Overloaded: as many images wait as may.
        """
        if self.waiting >= self._max_waiting:
            raise Overloaded(f"{self.waiting} images are waiting, limit is {self._max_waiting}; try again shortly")

    def check_bytes(self, count: int) -> None:
        """Raises:
        Overloaded: there is no room for so many more bytes.
        """
        if self.bytes + count > self._max_bytes:
            raise Overloaded(
                f"{self.bytes} bytes of images are in flight, limit is {self._max_bytes}; try again shortly"
            )


class Seat:
    """What one request takes; all of it is given back when the block ends."""

    __slots__ = ("_admission", "_bytes", "_waits")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._bytes, self._waits = 0, False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leave()

    def take(self, count: int) -> None:
        """Counts bytes that came.

        Raises:
            Overloaded: there is no room for them.
        """
        self._admission.check_bytes(count)
        self._admission.bytes += count
        self._bytes += count

    def wait(self) -> None:
        """Counts the image, which is whole now, among those that wait.

        Raises:
            Overloaded: as many wait as may.
        """
        self._admission.check_waiting()
        self._admission.waiting += 1
        self._waits = True

    def leave(self) -> None:
        """Gives back what was taken."""
        self._admission.bytes -= self._bytes
        self._admission.waiting -= self._waits
        self._bytes, self._waits = 0, False
