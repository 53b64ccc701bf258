"""Whatever is sent, the answer is an answer or a problem of the caller's, never of the service's."""

import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

# Pillow warns of each odd tag.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
MODES = {"JPEG": "CMYK", "PNG": "LA", "WEBP": "RGBA", "BMP": "RGB", "GIF": "P", "TIFF": "I;16"}

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def real_image(file_format: str) -> bytes:
    image = Image.effect_noise((9, 7), 80)
    mode = MODES[file_format]
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {} if file_format in ("BMP", "GIF") else {"exif": exif}
    (image.convert("I").convert(mode) if mode == "I;16" else image.convert(mode)).save(file, file_format, **options)
    return file.getvalue()


IMAGES = {file_format: real_image(file_format) for file_format in FORMATS}


@st.composite
def broken_images(draw, file_format):
    """A real image with some bytes flipped, perhaps cut short."""
    data = bytearray(IMAGES[file_format])
    for _ in range(draw(st.integers(1, 8))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(1, len(data)))]) if draw(st.booleans()) else bytes(data)


def assert_answer_or_problem(response) -> None:
    if response.status_code == 200:
        assert 0 <= response.json()["trust_probability"] <= 1
        return
    assert 400 <= response.status_code < 500, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == response.status_code


@quick
@given(data=st.binary(max_size=300))
def test_any_bytes_as_raw_body(client, data):
    assert_answer_or_problem(client.post("/predict", content=data, headers={"Content-Type": "image/png"}))


@quick
@given(data=st.binary(max_size=300), boundary=st.sampled_from(["b", "-", "x" * 70]), head=st.booleans())
def test_any_bytes_as_form(client, data, boundary, head):
    start = f'--{boundary}\r\nContent-Disposition: form-data; name="image"\r\n\r\n'.encode() if head else b""
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    assert_answer_or_problem(client.post("/predict", content=start + data, headers=headers))


@quick
@given(media_type=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60))
def test_any_content_type(client, media_type):
    headers = {b"Content-Type": media_type.strip().encode("latin-1")}
    assert_answer_or_problem(client.post("/predict", content=b"x", headers=headers))


@pytest.mark.parametrize("file_format", FORMATS)
@quick
@given(data=st.data())
def test_real_images_with_broken_bytes(client, file_format, data):
    assert_answer_or_problem(client.post("/predict", files={"image": data.draw(broken_images(file_format))}))


KINDS = st.sampled_from(["application/json", "application/x-ndjson", "application/json; charset=utf-16"])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
LABELS = st.fixed_dictionaries(
    {},
    optional={
        "request_id": JSON_VALUES,
        "label": JSON_VALUES,
        "class_index": JSON_VALUES,
        "sampling_probability": JSON_VALUES,
    },
)


def assert_outcomes_or_problem(response) -> None:
    if response.status_code == 200:
        return
    assert 400 <= response.status_code < 500, response.text
    assert response.json()["status"] == response.status_code


@quick
@given(data=st.binary(max_size=300), media_type=KINDS)
def test_any_bytes_as_feedback(client, data, media_type):
    assert_outcomes_or_problem(client.post("/feedback", content=data, headers={"Content-Type": media_type}))


@quick
@given(sent=LABELS | st.lists(LABELS | JSON_VALUES, max_size=5) | JSON_VALUES)
def test_any_json_as_feedback(client, sent):
    headers = {"Content-Type": "application/json"}
    assert_outcomes_or_problem(client.post("/feedback", content=json.dumps(sent), headers=headers))


@quick
@given(window=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_text_as_window(client, window):
    response = client.get("/monitor", params={"window": window})
    assert response.status_code in (200, 400), response.text
