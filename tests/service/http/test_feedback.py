"""POST /feedback: labels join the answers they are about, once; whatever else is sent costs nobody anything."""

import json
import time

import pytest

from service.journal.journal import open_journal
from service.journal.records import AnswerRecord, JournalAway
from tests.service.http.test_problems import assert_problem
from tests.service.test_metrics import MODEL, scrape
from tests.tiny import expected_answer, png, quadrants

IMAGE = quadrants(200, 50, 20, 120)  # trusted "up-left"
UNSURE = quadrants(90, 80, 70, 10)  # untrusted "up-left"
LINES = {"Content-Type": "application/x-ndjson"}
JSON = {"Content-Type": "application/json"}


def ask(client, image=IMAGE, **headers) -> str:
    """The request id of one answer."""
    return client.post("/predict", files={"image": png(image)}, headers=headers).json()["request_id"]


def put_answer(state, request_id: str, answered_at: float) -> None:
    """Leaves an answer in the journal of a service that is yet to start."""
    journal = open_journal(f"sqlite:///{state / 'journal.sqlite'}")
    journal.record(
        AnswerRecord(
            request_id=request_id,
            answered_at=answered_at,
            model="tiny",
            version="1.0.0",
            class_index=0,
            confidence=0.9,
            trust=0.8,
            threshold=0.6,
            trusted=True,
            question_answer_estimate=0.74,
            head_inputs=b"",
        )
    )
    journal.close()


def counted(client, name: str) -> dict[frozenset[str], float]:
    """Values of a name by its own labels' values, those of model and version left out."""
    found = {labels: value for (shown, labels), value in scrape(client).items() if shown == name}
    return {frozenset(value for key, value in labels if key not in MODEL): found[labels] for labels in found}


def outcomes(client) -> dict[str, float]:
    return {outcome: value for (outcome,), value in counted(client, "trust_feedback_total").items() if value}


def test_label_by_name_and_by_index_is_accepted(client):
    first, second = ask(client), ask(client)
    named = client.post("/feedback", json={"request_id": first, "label": "up-left"})
    indexed = client.post("/feedback", json={"request_id": second, "class_index": 2, "sampling_probability": 0.5})
    assert (named.status_code, named.json()) == (200, {"request_id": first, "outcome": "accepted"})
    assert (indexed.status_code, indexed.json()) == (200, {"request_id": second, "outcome": "accepted"})


def test_first_label_wins_an_equal_one_is_fine_and_a_contradicting_one_is_refused(serve):
    client = serve()
    name = ask(client)
    client.post("/feedback", json={"request_id": name, "label": "up-left"})
    again = client.post("/feedback", json={"request_id": name, "class_index": 0})
    assert (again.status_code, again.json()["outcome"]) == (200, "repeated")
    other = client.post("/feedback", json={"request_id": name, "label": "up-right"})
    assert_problem(other, 409, "label-contradicts", name, "up-left", "stays")
    assert outcomes(client) == {"accepted": 1, "repeated": 1, "contradicting": 1}
    # The repeated and the contradicting one change no figure.
    assert sum(counted(client, "trust_labelled_total").values()) == 1


def test_answer_that_nobody_gave_is_unknown(serve):
    client = serve()
    response = client.post("/feedback", json={"request_id": "never", "label": "up-left"})
    assert_problem(response, 404, "answer-unknown", "never")
    assert outcomes(client) == {"unknown": 1}


def test_label_past_the_retention_is_expired(serve, tmp_path):
    put_answer(tmp_path, "old", answered_at=time.time() - 1.5 * 86_400)
    client = serve(state=tmp_path, journal_days=1)
    response = client.post("/feedback", json={"request_id": "old", "label": "up-left"})
    assert_problem(response, 410, "answer-expired", "old", "TRUSTSERVE_JOURNAL_DAYS")
    assert outcomes(client) == {"expired": 1}


def test_clock_that_went_back_makes_no_negative_lag(serve, tmp_path):
    put_answer(tmp_path, "ahead", answered_at=time.time() + 3600)
    client = serve(state=tmp_path)
    assert client.post("/feedback", json={"request_id": "ahead", "label": "up-left"}).json()["outcome"] == "accepted"
    assert counted(client, "trust_label_lag_seconds_sum") == {frozenset(): 0}


def test_accepted_labels_are_counted_with_the_numbers_of_the_formulas(serve):
    client = serve(reward=2.0, penalty=3.0)
    right, wrong = expected_answer(IMAGE), expected_answer(UNSURE)
    client.post("/feedback", json={"request_id": ask(client), "label": "up-left", "sampling_probability": 0.5})
    client.post("/feedback", json={"request_id": ask(client, UNSURE), "label": "down-left"})
    realised = right.confidence**2, (1 - wrong.confidence) ** 3
    estimated = [a.trust * a.confidence**2 + (1 - a.trust) * (1 - a.confidence) ** 3 for a in (right, wrong)]
    assert counted(client, "trust_labelled_total") == {
        frozenset(["true", "trust"]): 1,
        frozenset(["false", "trust"]): 0,
        frozenset(["true", "untrust"]): 0,
        frozenset(["false", "untrust"]): 1,
    }
    weights = counted(client, "trust_labelled_weight_sum_total")
    assert (weights[frozenset(["true", "trust"])], weights[frozenset(["false", "untrust"])]) == (2, 1)
    for name, value in {
        "weighted_question_answer_sum": 2 * realised[0] + realised[1],
        "weighted_question_answer_estimate_sum": 2 * estimated[0] + estimated[1],
    }.items():
        assert counted(client, f"trust_labelled_{name}_total") == {frozenset(): pytest.approx(value, abs=1e-6)}
    assert counted(client, "trust_label_lag_seconds_count") == {frozenset(): 2}


@pytest.mark.parametrize("form", ["list", "lines"])
def test_of_several_labels_each_has_its_outcome_in_their_order_and_none_is_lost(serve, form):
    client = serve()
    first, second = ask(client), ask(client)
    sent = [
        {"request_id": first, "label": "up-left"},
        {"request_id": "never", "label": "up-left"},
        {"request_id": second, "label": "nowhere"},
        {"request_id": first, "label": "up-left"},
        {"request_id": first, "label": "up-right"},
        17,
        {"request_id": second, "class_index": 1},
    ]
    if form == "list":
        response = client.post("/feedback", json=sent)
    else:
        response = client.post("/feedback", content="\n".join(map(json.dumps, sent)) + "\n", headers=LINES)
    assert response.status_code == 200
    found = [item["outcome"] for item in response.json()]
    assert found == ["accepted", "unknown", "invalid", "repeated", "contradicting", "invalid", "accepted"]
    assert "'nowhere' is no class of the model; known are 'up-left'" in response.json()[2]["detail"]
    assert outcomes(client) == {"accepted": 2, "unknown": 1, "invalid": 2, "repeated": 1, "contradicting": 1}


def test_broken_line_costs_none_of_the_others(serve):
    client = serve()
    name = ask(client)
    lines = f'{{"request_id": "{name}", "label"\n\n{{"request_id": "{name}", "label": "up-left"}}'
    response = client.post("/feedback", content=lines, headers=LINES)
    assert [item["outcome"] for item in response.json()] == ["invalid", "accepted"]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"label": "up-left"}, ["request_id is missing"]),
        ({"request_id": "a"}, ["named twice or not at all"]),
        ({"request_id": "a", "label": "up-left", "class_index": 0}, ["named twice or not at all"]),
        ({"request_id": "a", "label": "Up-Left"}, ["'Up-Left'", "'up-left'"]),
        ({"request_id": "a", "class_index": 3}, ["class_index 3", "0 to 2"]),
        ({"request_id": "a", "class_index": -1}, ["class_index is -1"]),
        ({"request_id": "a", "class_index": 10**300}, ["class_index"]),
        ({"request_id": "a", "class_index": "1"}, ["class_index is '1'", "integer"]),
        ({"request_id": "a", "class_index": True}, ["class_index is True", "integer"]),
        ({"request_id": "a", "class_index": 1.0}, ["class_index is 1.0", "integer"]),
        ({"request_id": "a", "label": ["up-left"]}, ["label is ['up-left']", "string"]),
        ({"request_id": 7, "label": "up-left"}, ["request_id is 7", "string"]),
        ({"request_id": "a", "label": "up-left", "sampling_probability": 0}, ["sampling_probability is 0"]),
        ({"request_id": "a", "label": "up-left", "sampling_probability": 1.01}, ["sampling_probability is 1.01"]),
        ({"request_id": "a", "label": "up-left", "sampling_probability": 1e-300}, ["sampling_probability"]),
        ({"request_id": "a", "label": "up-left", "sampling_probability": "0.5"}, ["sampling_probability is '0.5'"]),
        ({"request_id": "a", "label": "up-left", "sampling": 0.5}, ["sampling is 0.5"]),
        ("up-left", ["'up-left'"]),
        (False, ["False"]),
    ],
)
def test_wrong_label_is_named_with_what_was_wanted(client, item, words):
    assert_problem(client.post("/feedback", json=item), 422, "label-invalid", *words)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_sampling_probability_that_is_no_number(client, number):
    body = f'{{"request_id": "a", "label": "up-left", "sampling_probability": {number}}}'
    assert_problem(client.post("/feedback", content=body, headers=JSON), 422, "label-invalid", "sampling_probability")


@pytest.mark.parametrize(
    "injected",
    [
        "",
        "a" * 65,
        "a b",
        "a\n",
        "a\0",
        "../../etc/passwd",
        "'; DROP TABLE answers; --",
        '{a="b"}',
        "<script>",
        "é",
        "%00",
    ],
)
def test_injection_in_the_request_id_goes_no_further(serve, injected):
    client = serve()
    response = client.post("/feedback", json={"request_id": injected, "label": "up-left"})
    assert_problem(response, 422, "label-invalid", "request_id")
    assert outcomes(client) == {"invalid": 1}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"no json", b"[{]", b'{"a": "\xff"}', b"[" * 100_000, b'{"a":' * 20_000, b"\0", b'"\\ud800"', b"{} {}"],
)
def test_body_that_is_no_json(client, body):
    assert_problem(client.post("/feedback", content=body, headers=JSON), 400, "feedback-malformed", "JSON")


@pytest.mark.parametrize(("body", "headers"), [(b"[]", JSON), (b"\n\n", LINES), (b"", LINES)])
def test_body_without_a_label(client, body, headers):
    assert_problem(client.post("/feedback", content=body, headers=headers), 400, "feedback-malformed")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_other_media_types(client, media_type):
    response = client.post("/feedback", content=b"{}", headers={"Content-Type": media_type})
    assert_problem(response, 415, "feedback-type-unsupported", "application/json")
    assert response.headers["Accept"] == "application/json, application/x-ndjson"


def test_hundred_thousand_labels_are_too_many_and_none_is_taken(serve):
    client = serve(max_feedback_bytes=10_000_000)
    name = ask(client)
    sent = [{"request_id": name, "label": "up-left"}] * 100_000
    assert_problem(client.post("/feedback", json=sent), 413, "too-many-labels", "100000", "limit is 1000")
    lines = "\n".join(map(json.dumps, sent))
    assert_problem(client.post("/feedback", content=lines, headers=LINES), 413, "too-many-labels", "100000")
    assert outcomes(client) == {}


def test_as_many_labels_as_allowed_are_taken(serve):
    client = serve(max_feedback_items=3)
    name = ask(client)
    response = client.post("/feedback", json=[{"request_id": name, "label": "up-left"}] * 3)
    assert [item["outcome"] for item in response.json()] == ["accepted", "repeated", "repeated"]


@pytest.mark.parametrize("stated", [True, False], ids=["of stated length", "of no stated length"])
def test_huge_body_is_turned_away_before_it_is_in_memory(serve, stated):
    client = serve(max_feedback_bytes=1000)

    def chunks():
        for _ in range(10_000):
            yield b" " * 1000

    body = b" " * 10_000_000 if stated else chunks()
    response = client.post("/feedback", content=body, headers=JSON)
    assert_problem(response, 413, "feedback-too-large", "limit is 1000", "TRUSTSERVE_MAX_FEEDBACK_BYTES")
    assert response.headers["Connection"] == "close"


def test_without_a_journal_there_is_nothing_to_join(serve):
    client = serve(journal="off")
    response = client.post("/feedback", json={"request_id": ask(client), "label": "up-left"})
    assert_problem(response, 501, "journal-off", "TRUSTSERVE_JOURNAL")


def test_database_that_is_away_takes_no_label_and_costs_no_answer(serve, monkeypatch):
    def away(*_):
        raise JournalAway("the journal's database does not answer")

    client = serve()
    monkeypatch.setattr("service.journal.journal.Journal.label", away)
    response = client.post("/feedback", json={"request_id": ask(client), "label": "up-left"})
    assert_problem(response, 503, "journal-unavailable", "send them again")
    assert response.headers["Retry-After"] == "5"
    assert outcomes(client) == {}


def test_errors_of_feedback_are_not_counted_as_errors_of_predict(serve):
    client = serve()
    client.post("/feedback", content=b"{", headers=JSON)
    assert not any("feedback" in key or "label" in key for key in counted(client, "trust_errors_total"))
    assert sum(counted(client, "trust_errors_total").values()) == 0


def test_journal_at_an_impossible_place_is_said_at_the_start(serve):
    response = serve(journal="postgresql://host:port/name").get("/readyz")
    assert_problem(response, 503, "not-ready", "TRUSTSERVE_JOURNAL")


def test_docs_show_every_outcome_of_feedback(client):
    operation = client.get("/openapi.json").json()["paths"]["/feedback"]["post"]
    assert operation["requestBody"]["content"].keys() == {"application/json", "application/x-ndjson"}
    responses = operation["responses"]
    assert responses.keys() == {"200", "400", "404", "409", "410", "413", "415", "422", "500", "501", "503"}
    for status in responses.keys() - {"200"}:
        examples = responses[status]["content"]["application/problem+json"]["examples"]
        assert {example["value"]["status"] for example in examples.values()} == {int(status)}
