"""Where: the classes in which trust breaks down, by predicted class without labels, by true class with them."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.grafana.source.page import Row, page
from deploy.grafana.source.panels import rows, spectrum
from deploy.grafana.source.queries import estimate, recorded


def where() -> Dashboard:
    return page(
        "trustserve-where",
        "Where",
        "In which classes trust breaks down: the trust spectrum (Wong et al., 2020), over time and now.",
        [_spectrum(), _predicted(), _true()],
    )


def _spectrum() -> Row:
    trust = spectrum(
        "Trust spectrum over time, by predicted class",
        "percentunit",
        "Mean trust of each predicted class over the last $window, the forty lowest; red 0, green 1. The table below"
        " has the intervals.",
        {"{{predicted}}": f"bottomk(40, {recorded('model_class:trust:mean')})"},
    )
    true = spectrum(
        "Trust spectrum over time, by true class",
        "percentunit",
        "Mean realised question-answer trust of each true class over the last $window, by the labels and their"
        " weights, the forty lowest; red 0, green 1. The table below has the intervals.",
        {"{{target}}": f"bottomk(40, {recorded('model_target:question_answer:mean')})"},
    )
    return Row("Over time", 12, [(12, trust), (12, true)])


def _predicted() -> Row:
    worst = rows(
        "Worst predicted classes",
        "percentunit",
        "The twenty predicted classes of lowest mean trust over the last $window, with 30 answers or more, without"
        " labels: mean trust and question-answer trust with 95 % intervals that are rather too wide.",
        {
            "mean trust": f"bottomk(20, {recorded('model_class:trust:mean')})",
            "trust, at least": recorded("model_class:trust:lower"),
            "trust, at most": recorded("model_class:trust:upper"),
            "question-answer trust": recorded("model_class:question_answer_estimate:mean"),
            "at least": recorded("model_class:question_answer_estimate:lower"),
            "at most": recorded("model_class:question_answer_estimate:upper"),
            **estimate("model_class:trust_rate", name="trusted", centre="ratio"),
            "answers": recorded("model_class:predictions:increase"),
        },
        by="predicted",
        sort_by="mean trust",
    )
    moved = rows(
        "What moved NetTrustScore within the day",
        "none",
        "What each predicted class gives to the label-free NetTrustScore of the last hour, less what it gave over the"
        " last day, the twenty that pull down most, with 95 % intervals that are rather too wide. Over all classes it"
        " adds up to the change exactly; a class counts by becoming rarer as well as by becoming worse. GET /monitor"
        " parts the two, against the reference.",
        {
            "contribution": "bottomk(20, "
            f"{recorded('model_class:net_trust_score_contribution:difference', window='1h')})",
            "at least": recorded("model_class:net_trust_score_contribution:lower", window="1h"),
            "at most": recorded("model_class:net_trust_score_contribution:upper", window="1h"),
        },
        by="predicted",
        sort_by="contribution",
    )
    return Row("By predicted class, without labels", 10, [(16, worst), (8, moved)])


def _true() -> Row:
    worst = rows(
        "Worst true classes",
        "percentunit",
        "The twenty true classes of lowest realised question-answer trust over the last $window, with 30 labels or"
        " more, each counted by its weight: the mean with its 95 % interval, rather too wide, and the share of right"
        " answers with Wilson's.",
        {
            "question-answer trust": f"bottomk(20, {recorded('model_target:question_answer:mean')})",
            "at least": recorded("model_target:question_answer:lower"),
            "at most": recorded("model_target:question_answer:upper"),
            **estimate("model_target:accuracy", name="accuracy", centre="ratio"),
            "labels": recorded("model_target:labelled:increase"),
        },
        by="target",
        sort_by="question-answer trust",
    )
    return Row("By true class, with labels", 9, [(24, worst)])
