"""Request ids that the service makes."""

import re
from itertools import islice

from service.http import request_id
from service.http.request_id import DRAWN_AT_ONCE, choose_id, is_request_id


def test_each_is_new_and_can_be_sent_back():
    ids = [choose_id("") for _ in range(3 * DRAWN_AT_ONCE)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[0-9a-f]{32}", each) and is_request_id(each) for each in ids)


def test_callers_own_is_kept_if_it_is_one():
    assert choose_id("order-17.a_b") == "order-17.a_b"
    assert re.fullmatch("[0-9a-f]{32}", choose_id("../order"))


def test_later_ones_come_after_earlier_ones(monkeypatch):
    seconds = iter([1_700_000_000.9, 1_700_000_001.1])
    monkeypatch.setattr(request_id.time, "time", lambda: next(seconds))
    ids = list(islice(request_id._random_ids(), 2 * DRAWN_AT_ONCE))
    assert max(ids[:DRAWN_AT_ONCE]) < min(ids[DRAWN_AT_ONCE:])
    # 1,700,000,000 = 0x6553f100
    assert ids[0].startswith("6553f100")
    assert len({each[8:] for each in ids}) == 2 * DRAWN_AT_ONCE
