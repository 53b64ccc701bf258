"""What stays is spared by the collector, what is replaced is not."""

import gc
import weakref

import pytest

from service import garbage


class Cycle:
    """Nobody but the collector lets go of it."""

    def __init__(self):
        self.itself = self


@pytest.fixture(autouse=True)
def nothing_spared():
    """The collector as other tests want it."""
    thresholds = gc.get_threshold()
    gc.unfreeze()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_nothing_is_collected_while_imports_run_but_afterwards():
    with garbage.kept():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_what_imports_make_is_never_looked_through():
    with garbage.kept():
        made = weakref.ref(Cycle())
    garbage.settle()
    assert made() is not None
    assert garbage.is_settled()


def test_what_was_replaced_is_collected_though_it_was_spared():
    spared = Cycle()
    garbage.settle()
    seen = weakref.ref(spared)
    del spared
    garbage.settle_anew()
    assert seen() is None
    assert garbage.is_settled()


def test_what_requests_leave_is_collected_in_the_end():
    garbage.settle()
    left = weakref.ref(Cycle())
    kept = [Cycle() for _ in range(2 * garbage.OBJECTS)]
    assert left() is None
    assert len(kept) == 2 * garbage.OBJECTS
