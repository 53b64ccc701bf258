"""How images are received: in time, within the limits of one request and of all together."""

import asyncio

import pytest

from service.errors import ClientGone, ImageTooLarge, Overloaded, UploadTooSlow
from service.http.admission import Admission
from service.http.upload import UploadLimits, read_image

RAW = {b"content-type": b"image/png", b"transfer-encoding": b"chunked"}


def receive_of(*chunks: bytes, then: str = "the end"):
    """An ASGI receive that gives these chunks, then the end of the body, a hang-up, or nothing ever."""
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    if then == "the end":
        messages.append({"type": "http.request", "body": b"", "more_body": False})
    elif then == "a hang-up":
        messages.append({"type": "http.disconnect"})

    async def receive():
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    return receive


def read(receive, seconds=5.0):
    async def main():
        with Admission(10, 10**6).seat() as seat:
            return await read_image(RAW, receive, UploadLimits(bytes=100, seconds=seconds), seat)

    return asyncio.run(main())


def test_chunks_make_one_image():
    assert read(receive_of(b"ab", b"", b"cd")) == b"abcd"


def test_upload_that_stops_on_its_way():
    with pytest.raises(UploadTooSlow, match=r"0\.05 s"):
        read(receive_of(b"ab", then="silence"), seconds=0.05)


def test_caller_who_hangs_up():
    with pytest.raises(ClientGone):
        read(receive_of(b"ab", then="a hang-up"))


def test_no_more_than_the_limit_is_taken_in():
    with pytest.raises(ImageTooLarge):
        read(receive_of(b"a" * 60, b"b" * 41, then="silence"))
    assert len(read(receive_of(b"a" * 60, b"b" * 40))) == 100


def test_bytes_of_all_requests_count_together_and_are_given_back():
    admission = Admission(10, max_bytes=150)

    async def main():
        with admission.seat() as first, admission.seat() as second:
            first.take(100)
            second.take(50)
            with pytest.raises(Overloaded, match="150 bytes of images are in flight, limit is 150"):
                second.take(1)
        assert admission.bytes == 0
        with admission.seat() as third:
            third.take(150)

    asyncio.run(main())


def test_uploads_that_still_come_take_no_place_of_those_that_wait():
    admission = Admission(max_waiting=1, max_bytes=1000)
    with admission.seat() as slow, admission.seat() as quick:
        quick.wait()
        with pytest.raises(Overloaded, match="1 images are waiting"):
            slow.wait()
        with pytest.raises(Overloaded):
            admission.seat()
    assert admission.waiting == 0
