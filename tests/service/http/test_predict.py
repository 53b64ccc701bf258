"""POST /predict: every way to send an image, and the numbers that come back."""

import io

import numpy as np
import pytest
from PIL import Image

from service.schemas import Prediction
from tests.tiny import CLASSES, expected_answer, png, quadrants

IMAGE = quadrants(200, 50, 20, 120)


def encode(image: Image.Image, file_format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def test_answer_has_the_numbers_of_the_formulas(client):
    expected = expected_answer(IMAGE)
    response = client.post("/predict", files={"image": png(IMAGE)})
    assert response.status_code == 200
    answer = response.json()
    assert answer.pop("request_id") == response.headers["X-Request-ID"]
    assert answer == {
        "label": expected.label,
        "class_index": expected.class_index,
        "confidence": pytest.approx(expected.confidence, abs=1e-6),
        "trust_probability": pytest.approx(expected.trust, abs=1e-6),
        "decision": expected.decision,
        "threshold": 0.6,
        "model": {"name": "tiny", "version": "1.0.0"},
    }


@pytest.mark.parametrize("query", ["", "?probabilities=true"])
def test_answer_is_what_the_docs_say(client, query):
    text = client.post(f"/predict{query}", files={"image": png(IMAGE)}).text
    described = Prediction.model_validate_json(text, strict=True, extra="forbid")
    assert described.model_dump_json(exclude_none=True) == text


def test_answer_to_one_image_worked_out_by_hand(client):
    # Quadrant means .6 .2 0 .4: logits 4.8 1.6 0; confidence 1 / (1 + e^-3.2 + e^-4.8) = .95330;
    # log-odds 3.0161, half of it 1.5081, oracle logit 4 * .4 - 1 = .6, bias -.5: 1.6081, sigmoid .8331.
    answer = client.post("/predict", files={"image": png(quadrants(153, 51, 0, 102))}).json()
    assert (answer["label"], answer["decision"]) == ("up-left", "trust")
    assert answer["confidence"] == pytest.approx(0.95330, abs=1e-5)
    assert answer["trust_probability"] == pytest.approx(0.8331, abs=1e-4)


@pytest.mark.parametrize("image", [quadrants(90, 80, 70, 0), quadrants(250, 0, 0, 250)], ids=["untrust", "trust"])
def test_decision_is_trust_from_the_threshold_on(client, image):
    answer = client.post("/predict", files={"image": png(image)}).json()
    assert answer["decision"] == ("trust" if expected_answer(image).trust >= 0.6 else "untrust")


def test_operators_threshold_replaces_that_of_the_bundle(serve):
    trust = expected_answer(IMAGE).trust
    answers = [serve(threshold=at).post("/predict", files={"image": png(IMAGE)}).json() for at in (trust - 0.01, 1.0)]
    assert [answer["decision"] for answer in answers] == ["trust", "untrust"]
    assert answers[1]["threshold"] == 1.0


@pytest.mark.parametrize(("value", "shown"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_probabilities_of_all_classes_come_when_asked_for(client, value, shown):
    answer = client.post(f"/predict?probabilities={value}", files={"image": png(IMAGE)}).json()
    assert ("probabilities" in answer) == shown
    if shown:
        expected = dict(zip(CLASSES, expected_answer(IMAGE).probabilities, strict=True))
        assert answer["probabilities"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("media_type", ["image/png", "image/x-whatever", "IMAGE/PNG; charset=binary"])
def test_raw_body_is_answered_like_a_form(client, media_type):
    answer = client.post("/predict", content=png(IMAGE), headers={"Content-Type": media_type}).json()
    assert answer["trust_probability"] == pytest.approx(expected_answer(IMAGE).trust, abs=1e-6)


def test_other_fields_of_the_form_are_dropped(client):
    form = {"note": (None, "a note"), "image": ("a.png", png(IMAGE), "image/png"), "more": ("b", b"x" * 1000)}
    assert client.post("/predict", files=form).json()["label"] == expected_answer(IMAGE).label


GREY = Image.fromarray(IMAGE)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(encode(GREY, "PNG"), id="png-grey"),
        pytest.param(encode(GREY.convert("RGB"), "PNG"), id="png-rgb"),
        pytest.param(encode(GREY.convert("RGBA"), "PNG"), id="png-rgba"),
        pytest.param(encode(GREY.convert("LA"), "PNG"), id="png-grey-alpha"),
        pytest.param(encode(GREY.convert("P"), "PNG"), id="png-palette"),
        pytest.param(encode(Image.fromarray(IMAGE.astype(np.uint16) * 257), "PNG"), id="png-16-bit"),
        pytest.param(encode(GREY, "BMP"), id="bmp"),
        pytest.param(encode(GREY, "GIF"), id="gif"),
        pytest.param(encode(GREY, "GIF", save_all=True, append_images=[Image.new("L", (4, 4))]), id="gif-animated"),
        pytest.param(encode(GREY, "TIFF"), id="tiff"),
        pytest.param(encode(Image.fromarray(IMAGE.astype(np.uint16) * 257), "TIFF"), id="tiff-16-bit"),
        pytest.param(encode(GREY.convert("CMYK"), "TIFF"), id="tiff-cmyk"),
        pytest.param(encode(GREY.convert("RGB"), "WEBP", lossless=True), id="webp"),
        pytest.param(encode(GREY.resize((64, 64), Image.Resampling.NEAREST), "JPEG", quality=95), id="jpeg-grey"),
        pytest.param(
            encode(GREY.resize((64, 64), Image.Resampling.NEAREST).convert("RGB"), "JPEG", quality=95), id="jpeg-rgb"
        ),
        pytest.param(
            encode(GREY.resize((64, 64), Image.Resampling.NEAREST).convert("CMYK"), "JPEG", quality=95), id="jpeg-cmyk"
        ),
    ],
)
def test_every_format_and_mode_gives_the_same_answer(client, data):
    response = client.post("/predict", files={"image": data})
    assert response.status_code == 200, response.text
    # JPEG and the palette may shift a plain quadrant by a grey level or two.
    assert response.json()["trust_probability"] == pytest.approx(expected_answer(IMAGE).trust, abs=0.01)
    assert response.json()["label"] == expected_answer(IMAGE).label


def test_photo_taken_sideways_is_turned_upright(client):
    # Orientation 6: the camera was turned, the stored image must be rotated by 90 degrees clockwise to be upright.
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(Image.fromarray(np.rot90(IMAGE)), "PNG", exif=exif)
    answer = client.post("/predict", files={"image": data}).json()
    assert answer["trust_probability"] == pytest.approx(expected_answer(IMAGE).trust, abs=1e-6)
