"""Forms taken apart, against what two other libraries put together and take apart."""

import email
import email.policy

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ImageMissing, UploadMalformed
from service.http.multipart import boundary_of, image_of_form

HEAD = b'Content-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'


def form(*parts: bytes, boundary: bytes = b"b") -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"


@given(image=st.binary(min_size=1), other=st.binary(), name=st.text(), filename=st.text(), first=st.booleans())
def test_image_comes_out_as_a_client_library_put_it_in(image, other, name, filename, first):
    fields = [("image", (filename or "a", image)), ("not-" + name, ("b", other))]
    request = httpx.Request("POST", "http://x", files=fields if first else fields[::-1])
    assert image_of_form(request.read(), boundary_of(request.headers["Content-Type"])) == image


@given(content=st.binary(min_size=1).filter(lambda content: b"\n--b" not in content and b"\r" not in content))
def test_image_is_what_the_standard_library_reads(content):
    body = form(b"Content-Disposition: form-data; name=other\r\n\r\nx", HEAD + content)
    message = email.message_from_bytes(
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        + body.replace(b"image/png", b"application/octet-stream"),
        policy=email.policy.HTTP,
    )
    read = {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}
    assert image_of_form(body, b"b") == content
    assert read["image"].get_payload(decode=True).rstrip(b"\n") == content.rstrip(b"\n")


@pytest.mark.parametrize(
    "body",
    [
        b"to be passed over\r\n" + form(HEAD + b"pixels"),
        form(HEAD + b"pixels") + b"what comes after the end",
        form(b"\r\nno headers at all", HEAD + b"pixels"),
        form(b"content-disposition:form-data;NAME=image\r\n\r\npixels"),
        form(b'X: name="other"\r\nContent-Disposition: form-data; filename="name=other"; name="image"\r\n\r\npixels'),
        form(HEAD + b"pixels").replace(b"--b\r\n", b"--b \t\r\n"),
    ],
    ids=["preamble", "epilogue", "part without headers", "token", "other headers", "padding"],
)
def test_what_the_standard_allows(body):
    assert image_of_form(body, b"b") == b"pixels"


@pytest.mark.parametrize("content", [b"--", b"\r\n--", b"\r\n-b\r\n--c--\r\n", b"\r\n\r\n", b"b--\r\n", b"-b--"])
def test_content_that_looks_like_a_boundary_and_is_none(content):
    assert image_of_form(form(HEAD + content), b"b") == content


@pytest.mark.parametrize("length", range(len(form(HEAD + b"pixels")) - len("--\r\n")))
def test_form_that_breaks_off_anywhere(length):
    with pytest.raises((UploadMalformed, ImageMissing)):
        image_of_form(form(HEAD + b"pixels")[:length], b"b")


def test_boundary_without_end_of_line():
    with pytest.raises(UploadMalformed, match="end of its line"):
        image_of_form(form(HEAD + b"pixels\r\n--bb"), b"b")


def test_headers_without_end():
    with pytest.raises(UploadMalformed, match="longer than 8192 bytes"):
        image_of_form(b"--b\r\nX: " + b"y" * 100_000 + form(HEAD + b"pixels"), b"b")


def test_name_with_quotes_is_another_name():
    with pytest.raises(ImageMissing, match='`im"age`'):
        image_of_form(form(b'Content-Disposition: form-data; name="im\\"age"\r\n\r\nx'), b"b")


@pytest.mark.parametrize("part", [HEAD + b"", HEAD[:-2]], ids=["no bytes", "not even an empty line after the headers"])
def test_empty_image(part):
    with pytest.raises(ImageMissing, match="is empty"):
        image_of_form(form(part), b"b")


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('multipart/form-data; charset="boundary=x"; boundary="a b"', b"a b"),
        ("multipart/form-data;BOUNDARY = abc ; charset=utf-8", b"abc"),
    ],
)
def test_boundary(content_type, boundary):
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize("boundary", ["", ";boundary=", ';boundary=""', f";boundary={'b' * 71}"])
def test_boundary_that_is_none(boundary):
    with pytest.raises(UploadMalformed, match="boundary"):
        boundary_of("multipart/form-data" + boundary)
