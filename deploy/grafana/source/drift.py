"""Drift: whether trust, confidence, predicted classes and the images themselves have left the reference."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.grafana.source.page import Row, page
from deploy.grafana.source.panels import curve, rows
from deploy.grafana.source.queries import MODEL, estimate, of_instances, recorded, select


def drift() -> Dashboard:
    return page(
        "trustserve-drift",
        "Drift",
        "How far live answers and images are from the bundle's reference, against what chance alone explains.",
        [_alarms(), _distances(), _classes()],
    )


def _alarms() -> Row:
    level = curve(
        "Alarm levels",
        "none",
        "Each alarm's e-statistic as a power of ten, the largest of the instances. At the threshold it is raised; while"
        " all is as in the reference that happens once in 10^threshold answers at most.",
        {
            "{{alarm}}": f"max by (alarm) ({of_instances('trust_alarm_level')})",
            "threshold": f"max({of_instances('trust_alarm_threshold')})",
        },
    )
    active = curve(
        "Alarms active",
        "short",
        "Instances in which the alarm was raised and is not over.",
        {"{{alarm}}": f"sum by (alarm) ({of_instances('trust_alarm_active')})"},
        low=0,
    )
    novelty = curve(
        "Novelty of the images: mean p-value",
        "none",
        "How unusual images are, by the share of reference images that are at least as unusual: 0.5 in the mean where"
        " they are alike, lower where they are strange. By the classifier's features and image statistics, and by the"
        " pixels alone; each with a 95 % interval that is rather too wide.",
        {
            **estimate("model:novelty_p_value", 'score="novelty"', name="novelty"),
            **estimate("model:novelty_p_value", 'score="image_novelty"', name="pixels alone"),
            "as the reference": "vector(0.5)",
        },
        low=0,
    )
    return Row("Alarms and images", 9, [(8, level), (6, active), (10, novelty)])


def _distances() -> Row:
    largest = curve(
        "Kolmogorov-Smirnov distance",
        "none",
        "Largest difference between the cumulative shares of live answers and of reference images, on 20 bins, pooled"
        " over instances. Chance alone exceeds the threshold in one window of a hundred.",
        {
            "{{score}}": recorded("model_score:kolmogorov_smirnov:max"),
            "{{score}}, threshold": recorded("model_score:kolmogorov_smirnov:threshold"),
        },
        low=0,
    )
    moved = curve(
        "Wasserstein distance",
        "none",
        "How far trust and confidence have moved from the reference in the mean, on 20 bins, pooled over instances.",
        {"{{score}}": recorded("model_score:wasserstein:sum")},
        low=0,
    )
    by_instance = curve(
        "PSI, Jensen-Shannon, chi-square of each instance",
        "none",
        "Distances that need shares by bin, which no sum over instances gives, each with the threshold that chance"
        " alone exceeds in one window of a hundred, where there is one.",
        {
            "{{score}} {{statistic}} {{instance}}": of_instances("trust_drift"),
            "{{score}} {{statistic}} {{instance}}, threshold": of_instances("trust_drift_threshold"),
        },
        low=0,
    )
    return Row("Trust and confidence against the reference", 9, [(8, largest), (6, moved), (10, by_instance)])


def _classes() -> Row:
    reference_share = select("model_class:reference_share:max", MODEL)
    mix = rows(
        "Predicted classes against the reference",
        "percentunit",
        "Share of each class among the answers of the last $window, with Wilson's 95 % interval, and among those to the"
        " reference images; the twenty that differ most. A share that grows may be the world's doing or the model's.",
        {
            "difference": f"topk(20, abs({recorded('model_class:share:ratio')} - ignoring (window) {reference_share}))",
            **estimate("model_class:share", name="now", centre="ratio"),
            "reference": reference_share,
        },
        by="predicted",
        sort_by="difference",
        descending=True,
    )
    difference = recorded("model_score_le:cumulative_share:difference", 'score="trust"')
    threshold = recorded("model_score:kolmogorov_smirnov:threshold", 'score="trust"')
    shares = rows(
        "Cumulative shares of trust",
        "percentunit",
        "Share of answers with a trust of at most le, now and in the reference; the largest difference is the"
        " Kolmogorov-Smirnov distance. Chance alone brings any difference beyond the last column in one window of a"
        " hundred.",
        {
            "now": recorded("model_score_le:cumulative_share:ratio", 'score="trust"'),
            "reference": select("model_score_le:reference_cumulative_share:max", MODEL, 'score="trust"'),
            "difference": difference,
            "by chance, at most": f"0 * {difference} + ignoring (le) group_left () {threshold}",
        },
        by="le",
        sort_by="le",
    )
    return Row("Where it differs", 10, [(12, mix), (12, shares)])
