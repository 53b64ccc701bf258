"""The report says what is so: numbers by hand, bold only where it is earned; and nothing breaks on what is missing."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from tests.training.report_example import PROMISE, by_hand, everything, many, shift_of
from training.bootstrap import Interval, bootstrap, bootstrap_paired
from training.metrics.ranking import auroc
from training.report.content import Method
from training.report.drawing import drawing, to_svg
from training.report.page import measure_content, write_report
from training.report.verdict import verdict

SECTIONS = ["methods", "risk_coverage", "decisions", "reliability", "class_trust", "conventions"]
OPTIONAL = ["worst_classes", "shift", "other_data", "losses"]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Writes a report and gives its page and its numbers."""
    folder = tmp_path_factory.mktemp("written") / "report"

    def write(content, resamples=20):
        write_report(folder, content, resamples)
        page = (folder / "index.html").read_text(encoding="utf-8")
        return page, json.loads((folder / "report.json").read_text(), parse_constant=pytest.fail)

    return write


@pytest.fixture(scope="module")
def hand(written):
    """Page and numbers of the report that is small enough to compute."""
    return written(by_hand())


@pytest.fixture(scope="module")
def whole(written):
    """Page and numbers of the report with every part."""
    return written(everything())


def test_measures_are_those_computed_by_hand(hand):
    page, numbers = hand
    trust = numbers["methods"]["trust"]
    assert trust["auroc"]["value"] == 3 / 4  # of four pairs only .3 against .8 is the wrong way round
    assert trust["fpr_at_95_tpr"]["value"] == 1 / 2  # at .3, where both right answers are in, so is one wrong one
    assert trust["brier_score"]["value"] == pytest.approx((0.1**2 + 0.8**2 + 0.7**2 + 0.2**2) / 4)
    assert (trust["tpr"]["value"], trust["tnr"]["value"]) == (1 / 2, 1 / 2)
    # Right at .9 and .3, wrong at .8 and .2: means .1 apart, both variances .09.
    assert trust["mean_kl"]["value"] == pytest.approx(0.1**2 / 0.09 / 2, abs=1e-6)
    assert trust["bhattacharyya"]["value"] == pytest.approx(0.1**2 / (4 * 2 * 0.09), abs=1e-6)
    assert "75.0" in page
    assert f"{(0.1**2 + 0.8**2 + 0.7**2 + 0.2**2) / 4:.4f}" in page


def test_decisions_are_counted_at_the_threshold(hand):
    page, numbers = hand
    assert numbers["decisions"]["counts"] == {"TP": 1, "FN": 1, "FP": 1, "TN": 1}
    assert "1 FP (25.0 %)" in page


def test_risk_follows_coverage(hand):
    curve = hand[1]["risk_coverage"]["trust"]
    risk = dict(zip(curve["coverage"], curve["risk"], strict=True))
    assert risk == pytest.approx({0.25: 0, 0.5: 1 / 2, 0.75: 1 / 3, 1.0: 1 / 2}, abs=1e-6)


def test_difference_in_risk_is_that_of_the_two_curves(hand):
    at_half = hand[1]["risk_coverage"]["difference"]["0.5"]
    assert at_half["difference"] == 0  # one of two is wrong for both


def test_net_trust_score_true_and_estimated(hand):
    page, numbers = hand
    found = numbers["class_trust"]
    assert found["net_trust_score"]["value"] == pytest.approx((0.9 + 0.2 + 0.6 + 0.5) / 4)
    expected = [0.9 * 0.9 + 0.1 * 0.1, 0.8 * 0.8 + 0.2 * 0.2, 0.3 * 0.6 + 0.7 * 0.4, 0.2 * 0.5 + 0.8 * 0.5]
    assert found["net_trust_score_estimate"]["value"] == pytest.approx(sum(expected) / 4)
    assert "is 0.550 (" in page
    assert "from trust: 0.615 (" in page


def test_spectrum_is_by_target_and_its_estimate_by_predicted_class(hand):
    classes = {row["name"]: row for row in hand[1]["class_trust"]["classes"]}
    assert classes["a"]["spectrum"] == pytest.approx((0.9 + 0.5) / 2)
    assert classes["b"]["spectrum"] == pytest.approx((0.2 + 0.6) / 2)
    assert classes["b"]["standard_error"] == pytest.approx(0.2)  # standard deviation .2 sqrt(2), over sqrt(2)
    assert classes["b"]["estimated_spectrum_by_predicted"] == pytest.approx(0.3 * 0.6 + 0.7 * 0.4)


def test_class_without_images_is_said_to_have_none(hand):
    page, numbers = hand
    empty = numbers["class_trust"]["classes"][2]
    assert (empty["test_images"], empty["spectrum"], empty["density"]) == (0, None, None)
    assert "1 of 3 classes have no test image" in page


def test_reliability_bins_hold_every_answer(hand):
    bins = hand[1]["reliability"]["As served"]["bins"]
    filled = {index: (b["count"], b["accuracy"]) for index, b in enumerate(bins) if b["count"]}
    assert filled == {3: (1, 0.0), 4: (1, 1.0), 12: (1, 0.0), 13: (1, 1.0)}  # .2, .3, .8, .9 in fifteenths


def test_best_is_bold_with_its_equals_and_nothing_else():
    content = many()
    twin = Method("twin", content.trust, threshold=0.5)
    leaders = measure_content(replace(content, methods=(*content.methods, twin)), resamples=200).leaders
    assert leaders["auroc"] == leaders["aurc"] == leaders["brier_score"] == {"trust", "twin"}


def test_intervals_are_those_of_the_bootstrap_and_bold_agrees_with_the_paired_one():
    content = many()
    table = measure_content(content, resamples=100)
    trust, softmax = content.trust, content.method("softmax").score
    assert table.intervals["softmax"]["auroc"] == bootstrap({"a": auroc}, softmax, content.correct, 100)["a"]
    paired = bootstrap_paired({"a": auroc}, trust, softmax, content.correct, 100)["a"]
    assert ("softmax" in table.leaders["auroc"]) == (paired.low <= 0)


def test_leader_stands_in_bold_on_the_page(whole):
    page, numbers = whole
    assert numbers["methods"]["trust"]["auroc"]["bold"]
    value = 100 * numbers["methods"]["trust"]["auroc"]["value"]
    assert f"<td><strong>{value:.1f}</strong>" in page


def test_nothing_is_bold_where_all_are_as_good():
    content = many()
    methods = tuple(Method(name, content.trust, threshold=0.5) for name in ("trust", "softmax"))
    leaders = measure_content(replace(content, methods=methods), resamples=50).leaders
    assert set(leaders.values()) == {frozenset()}


def test_separability_changes_with_the_scale_and_is_never_bold(whole):
    for method in whole[1]["methods"].values():
        assert not method["mean_kl"]["bold"]
        assert not method["bhattacharyya"]["bold"]


def test_tpr_and_tnr_trade_and_are_never_bold():
    leaders = measure_content(many(), resamples=50).leaders
    assert leaders["tpr"] == leaders["tnr"] == frozenset()


def test_score_that_is_no_probability_has_no_calibration_error():
    content = many()
    logit = Method("logit", 5 * content.trust - 9, probability=False)
    rows = measure_content(replace(content, methods=(*content.methods, logit)), resamples=20).intervals
    assert np.isnan(rows["logit"]["ece"].value)
    assert np.isnan(rows["logit"]["tpr"].value)
    assert rows["logit"]["auroc"] == rows["trust"]["auroc"]


def test_measures_brought_along_are_not_measured_again(written):
    content = by_hand()
    table = measure_content(content, resamples=20)
    marked = {**table.intervals["trust"], "auroc": Interval(0.1234, 0.1, 0.2, left_out=0)}
    table = replace(table, intervals={**table.intervals, "trust": marked})
    numbers = written(replace(content, measures=table))[1]
    assert numbers["methods"]["trust"]["auroc"]["value"] == 0.1234


def test_missing_parts_are_left_out(hand):
    page, numbers = hand
    assert set(SECTIONS) <= numbers.keys()
    assert not set(OPTIONAL) & numbers.keys()
    assert "After calibration" not in page


def test_every_part_is_there_where_it_was_measured(whole):
    numbers = whole[1]
    assert {*SECTIONS, *OPTIONAL} <= numbers.keys()
    assert numbers["losses"]["oracle"]["seed 1"] == [1.1, 0.7]
    assert list(numbers["reliability"]) == ["Before calibration", "After calibration"]


@pytest.mark.filterwarnings("error")
def test_classifier_without_a_mistake_has_nothing_to_rank(written):
    content = by_hand(predicted=np.array([0, 1, 1, 0]), images=np.zeros((4, 8, 8, 3), np.uint8).__getitem__)
    page, numbers = written(content)
    assert numbers["methods"]["trust"]["auroc"] == {
        "value": None,
        "low": None,
        "high": None,
        "left_out": 20,
        "bold": False,
    }
    assert "No answer to a test image was wrong" in page
    assert (
        "not to tell right from wrong answers on clean images, which these cannot show"
        in numbers["verdict"]["sentence"]
    )


@pytest.mark.filterwarnings("error")
def test_threshold_that_trusts_nothing_has_no_risk(written):
    page, numbers = written(by_hand(threshold=PROMISE.model_copy(update={"value": 1.0})))
    assert numbers["decisions"]["counts"] == {"TP": 0, "FN": 2, "FP": 0, "TN": 2}
    assert "nan" not in re.sub(r"data:[^\"]*", "", page)


def test_served_score_may_be_the_baseline_itself(written):
    numbers = written(by_hand(served="softmax"))[1]
    assert numbers["served"] == numbers["baseline"] == "softmax"
    assert "difference" not in numbers["risk_coverage"]


def test_thousand_classes_show_the_least_and_the_most_trusted(written):
    page, numbers = written(many(count=3000, classes=1000))
    spectrum = page[page.index('id="plot-spectrum"') : page.index('id="plot-density"')]
    assert len(numbers["class_trust"]["classes"]) == 1000
    assert spectrum.count('<th scope="row">') == 30
    assert len(page) < 2_000_000


def test_worst_classes_show_the_mistakes_trusted_most(written):
    content = by_hand(
        predicted=np.array([1, 0, 0, 2]),  # both of class b are wrong, with trust .8 and .3
        images=np.arange(4 * 8 * 8, dtype=np.uint8).reshape(4, 8, 8, 1).__getitem__,
    )
    page, numbers = written(content)
    assert [row["test_image"] for row in numbers["worst_classes"]["b"]] == [1, 2]
    assert numbers["worst_classes"]["b"][0] == {
        "test_image": 1,
        "predicted": "a",
        "target": "b",
        "confidence": 0.8,
        "trust": 0.8,
    }
    assert page.count('<img src="data:image/png;base64,') == 4


def test_names_are_text_never_markup(written):
    page = written(by_hand(classes=("<b>a</b>", "b & <script>", "c of $1 and $2")))[0]
    assert "<script" not in page
    assert "<b>a" not in page


def test_same_content_gives_the_same_files(written, whole):
    assert written(everything()) == whole


def test_verdict_names_what_fails_and_counts_what_holds():
    rows = (
        shift_of("clean", "clean"),
        shift_of("fog"),
        shift_of("zoom_blur", auroc=0.7),  # ranks badly
        shift_of("rain", error=-0.06),  # estimate too far off
    )
    content = replace(many(), shift=rows)
    found = verdict(content, measure_content(content, resamples=20))
    assert "under 1 of 3 kinds of shift" in found.relied
    assert "under zoom blur, rain and shift of a kind that nobody measured" in found.refused
    assert "to keep mistakes among trusted answers to 2 %" in found.relied


def test_verdict_promises_nothing_where_the_threshold_does_not():
    content = many(threshold=PROMISE.model_copy(update={"risk": None}))
    found = verdict(content, measure_content(content, resamples=20))
    assert "to keep an error rate" in found.refused
    assert "under shift, which was not measured" in found.refused


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"confidence": np.ones(3)}, "confidence has 3 answers, target has 4"),
        ({"served": "oracle"}, "served is 'oracle', which is none of the methods"),
        ({"methods": (Method("trust", np.arange(4.0)), Method("softmax", np.ones(4)))}, "'trust' is not in"),
    ],
    ids=["lengths differ", "no such method", "trust is no probability"],
)
def test_content_that_does_not_fit_is_refused(changed, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        by_hand(**changed)


def test_alternative_text_of_a_plot_is_escaped():
    with drawing() as (figure, _):
        svg = to_svg(figure, "plot", 'a "quoted" <name>')
    assert 'aria-label="a &#34;quoted&#34; &lt;name&gt;"' in svg
