"""Trust now: how far the model can be trusted, how sure that is, whether it changed, and where; read in ten seconds."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.grafana.source.page import Row, page
from deploy.grafana.source.panels import bins, curve, density, listing, number, rows
from deploy.grafana.source.queries import MODEL, estimate, recorded, reference, select

FELL = {float("-inf"): "red", -0.1: "orange", -0.05: "green"}
FIRING = 'ALERTS{alertstate="firing", job="$job"}'


def trust_now() -> Dashboard:
    return page(
        "trustserve-now",
        "Trust now",
        "How far the answers can be trusted now, how sure that is, whether it changed, and where.",
        [_at_a_glance(), _where(), _over_time(), _in_depth()],
    )


def _at_a_glance() -> Row:
    how_far = number(
        "How far: NetTrustScore",
        "none",
        "Mean question-answer trust (Wong et al., 2020) of the last $window, with its 95 % interval. With 30 labels or"
        " more in the window it is the prediction-powered estimate, which labels correct; without, it rests on trust"
        " alone and knows nothing of errors that trust does not see.",
        estimate("model:net_trust_score"),
    )
    changed = number(
        "Did it change: mean trust less the reference's",
        "percentunit",
        "Mean trust, which is the expected accuracy, less that of the bundle's reference images, with its 95 %"
        " interval. Orange from -5, red from -10 percentage points on; alerts ask the upper end.",
        estimate("model:trust_change", name="change"),
        FELL,
    )
    sure = number(
        "How sure: what it rests on",
        "short",
        "Answers and labels of the last $window. Below 100 answers nothing is shown, below 30"
        " labels they are not used.",
        {
            "answers": recorded("model:predictions:increase"),
            "labels": recorded("model:labelled:increase"),
        },
    )
    alerts = number(
        "Alerts firing",
        "short",
        "Alerts of this service that fire now; the table below names them.",
        {"firing": f"count({FIRING}) or vector(0)"},
        {float("-inf"): "green", 1: "red"},
    )
    return Row("At a glance", 7, [(8, how_far), (7, changed), (5, sure), (4, alerts)])


def _where() -> Row:
    worst = rows(
        "Where: least trusted classes",
        "percentunit",
        "The five predicted classes of lowest mean trust over the last $window, with 30 answers or more, and the 95 %"
        " interval of that mean, which is rather too wide. More of them: the dashboard Where.",
        {
            "mean trust": f"bottomk(5, {recorded('model_class:trust:mean')})",
            "at least": recorded("model_class:trust:lower"),
            "at most": recorded("model_class:trust:upper"),
            "answers": recorded("model_class:predictions:increase"),
        },
        by="predicted",
        sort_by="mean trust",
    )
    firing = listing(
        "What fires",
        "none",
        "Each alert that fires; docs/runbooks.md says what it means, what to look at and what to do.",
        FIRING,
        {"alertname": "alert", "severity": "severity", "model": "model", "version": "version", "alarm": "alarm"},
    )
    return Row("Where", 7, [(12, worst), (12, firing)])


def _over_time() -> Row:
    score = curve(
        "NetTrustScore over time",
        "none",
        "The estimate with its 95 % interval, the label-free one that uses no labels, and the reference's.",
        {
            **estimate("model:net_trust_score"),
            **estimate("model:net_trust_score_estimate", name="label-free"),
            "reference": reference("net_trust_score_estimate"),
        },
    )
    trust = curve(
        "Mean trust and trust rate over time",
        "percentunit",
        "Mean trust is the expected accuracy; the trust rate is the share of answers at or above the threshold, the"
        " coverage. Each with its 95 % interval and the reference's.",
        {
            **estimate("model:trust", name="mean trust"),
            **estimate("model:trust_rate", name="trust rate", centre="ratio"),
            "reference mean trust": reference("mean_trust"),
            "reference trust rate": reference("trust_rate"),
        },
    )
    return Row("Over time", 9, [(12, score), (12, trust)])


def _in_depth() -> Row:
    trust_bins = select("trust_probability_bucket", MODEL, 'le!="+Inf"')
    over_time = density(
        "Trust density over time",
        "short",
        "Answers in each of 20 bins of trust. A cloud that sinks, or one that splits in two, is worth a look.",
        {"{{le}}": f"sum by (le) (increase({trust_bins}[$__rate_interval]))"},
    )
    now = bins(
        "Trust density of the last $window",
        "short",
        "Answers in each of 20 bins of trust over the last $window; a bin is named by its upper end.",
        {"{{le}}": recorded("model_score_le:answers:increase", 'score="trust"', 'le!="+Inf"')},
    )
    confidence = curve(
        "Expected confidence of trusted and of untrusted answers",
        "percentunit",
        "Mean confidence of the classifier where trust is at or above the threshold, and where it is below, with 95 %"
        " intervals that are rather too wide. Untrusted answers of high confidence are those the oracle adds most to.",
        {
            **estimate("model_decision:confidence", 'decision="trust"', name="trusted"),
            **estimate("model_decision:confidence", 'decision="untrust"', name="untrusted"),
        },
    )
    return Row("In depth", 9, [(9, over_time), (6, now), (9, confidence)])
