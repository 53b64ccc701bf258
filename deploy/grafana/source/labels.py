"""Labels: what feedback says, how far it bears out trust, and how much of it there is."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.grafana.source.page import Row, page
from deploy.grafana.source.panels import curve, number
from deploy.grafana.source.queries import MODEL, estimate, recorded, reference, select


def labels() -> Dashboard:
    return page(
        "trustserve-labels",
        "Labels",
        "What labels say of the answers, and whether trust and the threshold's promise hold.",
        [_realised(), _promises(), _labels()],
    )


def _realised() -> Row:
    moving = curve(
        "NetTrustScore: from label-free to realised",
        "none",
        "The prediction-powered estimate corrects the label-free one by the labels that came in within the last"
        " $window; realised is of the labelled answers alone. Each label is weighted by how rarely such answers are"
        " chosen for one, so that both hold under selective review. 95 % intervals.",
        {
            **estimate("model:net_trust_score_prediction_powered", name="prediction-powered"),
            **estimate("model:net_trust_score_estimate", name="label-free"),
            **estimate("model:net_trust_score_labelled", name="realised"),
            "reference": reference("net_trust_score"),
        },
    )
    now = number(
        "NetTrustScore, prediction-powered",
        "none",
        "The estimate over the last $window with its 95 % interval; from 30 labels and 100 answers on.",
        estimate("model:net_trust_score_prediction_powered"),
    )
    accuracy = curve(
        "Accuracy: realised and expected",
        "percentunit",
        "Share of right ones, by the labels and their weights, with Wilson's 95 % interval for their effective number,"
        " and mean trust of all answers, which is what accuracy was expected to be.",
        {
            **estimate("model:accuracy", name="realised", centre="ratio"),
            **estimate("model:trust", name="expected"),
            "reference": reference("accuracy"),
        },
    )
    return Row("Realised", 9, [(11, moving), (4, now), (9, accuracy)])


def _promises() -> Row:
    risk = curve(
        "Risk among trusted answers, against the promise",
        "percentunit",
        "Share of wrong ones among trusted answers, by the labels and their weights, with Wilson's 95 % interval for"
        " their effective number. Where the lower end lies above the promise, the threshold does not keep it.",
        {
            **estimate("model:risk", name="risk", centre="ratio"),
            "promised": select("model:promise:max", MODEL, 'statistic="risk"'),
        },
        low=0,
    )
    gap = curve(
        "Calibration gap",
        "percentunit",
        "Mean of correct less trust, by the labels and their weights, with a 95 % interval that is rather too wide."
        " Below 0 trust promises too much, above 0 too little.",
        {**estimate("model:calibration_gap", name="gap"), "none": "vector(0)"},
    )
    confidence = curve(
        "Confidence of right and of wrong answers",
        "percentunit",
        "Mean confidence of the classifier where the label bears it out and where it does not, by the labels and their"
        " weights, with 95 % intervals. A model that is as sure when wrong as when right cannot be trusted by its"
        " confidence.",
        {
            **estimate("model_correct:confidence", 'correct="true"', name="right"),
            **estimate("model_correct:confidence", 'correct="false"', name="wrong"),
        },
    )
    return Row("Do trust and threshold hold", 9, [(8, risk), (8, gap), (8, confidence)])


def _labels() -> Row:
    sent = curve(
        "Labels by outcome",
        "short",
        "Labels sent within the last $window. Contradicting: another label came first; unknown: no such request;"
        " expired: the answer is past the journal's retention; invalid: no such class.",
        {"{{outcome}}": recorded("model_outcome:feedback:increase")},
        low=0,
    )
    coverage = curve(
        "Label coverage",
        "percentunit",
        "Labels that came in within the last $window, per answer given in it. Labels of older answers count too.",
        {"labels per answer": recorded("model:label_coverage:ratio")},
        low=0,
    )
    worth = curve(
        "Labels, and what they are worth",
        "short",
        "Labels that came in within the last $window, and how many of equal weight would say as much (Kish's effective"
        " number): the more unequal the sampling probabilities, the fewer. Below 30 labels no figure is shown.",
        {
            "labels": recorded("model:labelled:increase"),
            "effective": recorded("model:labelled:effective"),
            "effective, trusted": recorded("model:trusted_labelled:effective"),
        },
        low=0,
    )
    lag = curve(
        "Label lag",
        "s",
        "Time from an answer to its label, of the labels of the last $window: what is known from labels is that old.",
        {
            "median": recorded("model:label_lag_seconds:median"),
            "90 %": recorded("model:label_lag_seconds:p90"),
        },
        low=0,
    )
    return Row("How many labels, how late", 8, [(6, sent), (6, worth), (6, coverage), (6, lag)])
