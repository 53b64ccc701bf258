"""Every error: its status, its problem body, its request id."""

import gzip
import io
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

import service.inference.lane
from tests.tiny import png, quadrants

PNG = png(quadrants(200, 50, 20, 120))
FORM = {"Content-Type": "multipart/form-data; boundary=b"}


def assert_problem(response, status: int, kind: str, *words: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem.keys() == {"type", "title", "status", "detail", "request_id"}
    assert problem["type"] == (kind if kind == "about:blank" else f"urn:trustserve:problem:{kind}")
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["X-Request-ID"]
    for word in words:
        assert word in problem["detail"]


def test_no_body_at_all(client):
    assert_problem(client.post("/predict"), 400, "image-missing", "no body")


def test_empty_raw_body(client):
    response = client.post("/predict", content=b"", headers={"Content-Type": "image/png"})
    assert_problem(response, 400, "image-missing", "empty")


def test_empty_form(client):
    assert_problem(client.post("/predict", content=b"", headers=FORM), 400, "image-missing")
    assert_problem(client.post("/predict", content=b"--b--\r\n", headers=FORM), 400, "image-missing")


def test_empty_file_in_a_form(client):
    assert_problem(client.post("/predict", files={"image": b""}), 400, "image-missing", "empty")


def test_form_without_the_field_names_the_fields_it_has(client):
    assert_problem(client.post("/predict", files={"file": PNG}), 400, "image-missing", "`image`", "`file`")


def test_form_with_two_images(client):
    response = client.post("/predict", files=[("image", PNG), ("image", PNG)])
    assert_problem(response, 400, "upload-malformed", "twice")


def test_form_without_boundary(client):
    response = client.post("/predict", content=PNG, headers={"Content-Type": "multipart/form-data"})
    assert_problem(response, 400, "upload-malformed", "boundary")


def test_form_with_endless_boundary(client):
    headers = {"Content-Type": f"multipart/form-data; boundary={'b' * 5000}"}
    assert_problem(client.post("/predict", content=PNG, headers=headers), 400, "upload-malformed")


def test_form_that_is_no_form(client):
    assert_problem(client.post("/predict", content=PNG, headers=FORM), 400, "upload-malformed")


def test_form_that_breaks_off(client):
    whole = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + PNG + b"\r\n--b--\r\n"
    assert client.post("/predict", content=whole, headers=FORM).status_code == 200
    for length in (10, 60, 100, len(whole) - 12):
        assert_problem(client.post("/predict", content=whole[:length], headers=FORM), 400, "upload-malformed")


@pytest.mark.parametrize("data", [b"no image", b"%PDF-1.7", b"<svg/>", b"\0" * 100])
def test_what_is_no_image(client, data):
    assert_problem(client.post("/predict", files={"image": data}), 400, "image-unreadable", "JPEG, PNG")


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_truncated_image(client, file_format):
    file = io.BytesIO()
    Image.effect_noise((64, 64), 50).convert("RGB").save(file, file_format)
    data = file.getvalue()[: len(file.getvalue()) // 2]
    assert_problem(client.post("/predict", files={"image": data}), 400, "image-unreadable")


def test_unknown_value_of_probabilities(client):
    response = client.post("/predict?probabilities=maybe", files={"image": PNG})
    assert_problem(response, 400, "parameter-invalid", "'maybe'", "true or false")


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "multipart/mixed; boundary=b", ""])
def test_other_media_types(client, media_type):
    response = client.post("/predict", content=PNG, headers={"Content-Type": media_type})
    assert_problem(response, 415, "media-type-unsupported", "multipart/form-data", media_type.split(";")[0])
    assert response.headers["Accept"] == "multipart/form-data, image/*"


@pytest.mark.parametrize("as_form", [True, False], ids=["form", "raw"])
def test_file_over_the_limit(serve, as_form):
    client = serve(max_image_bytes=len(PNG))

    def post(data):
        if as_form:
            return client.post("/predict", files={"image": data})
        return client.post("/predict", content=data, headers={"Content-Type": "image/png"})

    assert post(PNG).status_code == 200
    assert_problem(post(PNG + b"\0"), 413, "image-too-large", f"limit is {len(PNG)}", "TRUSTSERVE_MAX_IMAGE_BYTES")
    assert_problem(post(bytes(200_000)), 413, "image-too-large")


def test_form_that_is_large_beside_the_image(serve):
    response = serve(max_image_bytes=1000).post("/predict", files={"image": PNG, "other": bytes(70_000)})
    assert_problem(response, 413, "image-too-large")


def test_upload_of_no_stated_length_over_the_limit(serve):
    def chunks():
        for _ in range(200):
            yield bytes(1000)

    client = serve(max_image_bytes=100_000)
    response = client.post("/predict", content=chunks(), headers={"Content-Type": "image/png"})
    assert_problem(response, 413, "image-too-large")


def test_image_of_too_many_pixels(serve):
    client = serve(max_image_pixels=15)
    response = client.post("/predict", files={"image": PNG})
    assert_problem(
        response, 413, "image-has-too-many-pixels", "4 x 4 = 16", "limit is 15", "TRUSTSERVE_MAX_IMAGE_PIXELS"
    )


def test_decompression_bomb_is_not_decoded(client):
    file = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")
    assert_problem(client.post("/predict", files={"image": file.getvalue()}), 413, "image-has-too-many-pixels")


def test_strip_of_fifty_million_pixels_needs_no_gigabytes(client):
    file = io.BytesIO()
    Image.new("L", (49_000_000, 1)).save(file, "PNG", compress_level=1)
    assert client.post("/predict", files={"image": file.getvalue()}).status_code == 200


def test_unknown_path(client):
    assert_problem(client.get("/nothing"), 404, "about:blank", "/nothing")
    assert_problem(client.post("/predict/", files={"image": PNG}), 404, "about:blank")


def test_method_that_is_not_allowed(client):
    response = client.get("/predict")
    assert_problem(response, 405, "about:blank", "GET", "POST")
    assert response.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    ("where", "status", "kind"),
    [
        ("service.http.predict.read_image", 500, "internal"),
        ("service.inference.lane.answer_batch", 503, "inference-failed"),
    ],
)
def test_anything_unexpected_is_logged_and_not_shown(serve, monkeypatch, caplog, where, status, kind):
    def fail(*_):
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(where, fail)
    response = serve().post("/predict", files={"image": PNG}, headers={"X-Request-ID": "mine"})
    assert_problem(response, status, kind, "log")
    assert "secret" not in response.text
    assert "mine" in caplog.text
    assert "RuntimeError: the secret of the house" in caplog.text


def test_compressed_body(client):
    headers = {"Content-Type": "image/png", "Content-Encoding": "gzip"}
    response = client.post("/predict", content=gzip.compress(PNG), headers=headers)
    assert_problem(response, 415, "encoding-unsupported", "gzip")


@pytest.mark.parametrize("sent", ["soon", "0", "-1", "nan", "inf"])
def test_timeout_that_is_none(client, sent):
    response = client.post("/predict", files={"image": PNG}, headers={"X-Request-Timeout": sent})
    assert_problem(response, 400, "parameter-invalid", "X-Request-Timeout", repr(sent))


def test_images_in_flight_over_the_limit_of_bytes(serve):
    response = serve(max_queue_bytes=len(PNG)).post("/predict", files={"image": PNG})
    assert_problem(response, 503, "overloaded", f"limit is {len(PNG)}")
    assert response.headers["Retry-After"] == "1"


@pytest.fixture
def held(monkeypatch):
    """Holds back every batch until it is set."""
    may_run = threading.Event()
    answer_batch = service.inference.lane.answer_batch

    def held_back(*arguments):
        assert may_run.wait(20)
        return answer_batch(*arguments)

    monkeypatch.setattr(service.inference.lane, "answer_batch", held_back)
    yield may_run
    may_run.set()


def test_full_queue_turns_images_away(serve, held):
    client = serve(max_queue=2)
    with ThreadPoolExecutor(2) as callers:
        waiting = [callers.submit(client.post, "/predict", files={"image": PNG}) for _ in range(2)]
        while "trust_queue_length 2.0" not in client.get("/metrics").text:
            pass
        response = client.post("/predict", files={"image": PNG})
        assert_problem(response, 503, "overloaded", "2 images are waiting")
        assert response.headers["Retry-After"] == "1"
        held.set()
        assert [each.result().status_code for each in waiting] == [200, 200]
    assert client.post("/predict", files={"image": PNG}).status_code == 200


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize(("limit", "header"), [(0.1, {}), (10.0, {"X-Request-Timeout": "0.1"})])
def test_answer_that_is_not_there_in_time(serve, limit, header):
    response = serve(deadline_seconds=limit).post("/predict", files={"image": PNG}, headers=header)
    assert_problem(response, 504, "deadline-exceeded", "0.1 s")


@pytest.mark.usefixtures("held")
def test_callers_may_not_ask_for_more_time(serve):
    header = {"X-Request-Timeout": "1000"}
    response = serve(deadline_seconds=0.1).post("/predict", files={"image": PNG}, headers=header)
    assert_problem(response, 504, "deadline-exceeded", "0.1 s")


def test_batch_that_hangs_makes_the_service_not_ready_until_it_ends(serve, held):
    client = serve(hang_seconds=0.2)
    assert_problem(client.post("/predict", files={"image": PNG}), 503, "inference-failed", "hangs")
    assert_problem(client.get("/readyz"), 503, "not-ready", "0.2 s")
    assert_problem(client.post("/predict", files={"image": PNG}), 503, "not-ready", "0.2 s")
    assert client.get("/healthz").status_code == 200
    held.set()
    while client.get("/readyz").status_code != 200:
        pass
    assert client.post("/predict", files={"image": PNG}).status_code == 200


@pytest.mark.parametrize("path", ["/readyz", "/model", "/predict"])
def test_bundle_that_cannot_be_opened(serve, tmp_path, path):
    client = serve(model=tmp_path / "nowhere")
    response = client.post(path, files={"image": PNG}) if path == "/predict" else client.get(path)
    assert_problem(response, 503, "not-ready", "no bundle at", "manifest.json not found")
    assert client.get("/healthz").status_code == 200


def test_docs_show_every_error_of_predict(client):
    responses = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["responses"]
    assert responses.keys() == {"200", "400", "408", "413", "415", "500", "502", "503", "504"}
    for status in responses.keys() - {"200"}:
        examples = responses[status]["content"]["application/problem+json"]["examples"]
        assert {example["value"]["status"] for example in examples.values()} == {int(status)}
