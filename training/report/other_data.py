"""Trust on other data sets: images of none of the classes, where no answer is right."""

from training.report.content import OtherData, ReportContent
from training.report.section import Row, Section, Table, interval_cell, interval_numbers


def other_data_section(content: ReportContent) -> Section | None:
    """Mean trust on each; None where no such data was measured."""
    if not content.other_data:
        return None
    rows: list[Row] = [
        [data.name, f"{data.images:,}", interval_cell(data.mean_trust), interval_cell(data.mean_confidence)]
        for data in content.other_data
    ]
    return Section(
        "other-data",
        "On other data",
        ["Images of none of the classes: whatever is answered is wrong, so trust should be near zero."],
        tables=[Table("Mean trust on other data", ["data", "images", "mean trust", "mean confidence"], rows)],
        numbers={data.name: _numbers(data) for data in content.other_data},
    )


def _numbers(data: OtherData) -> dict[str, object]:
    return {
        "images": data.images,
        "mean_trust": interval_numbers(data.mean_trust),
        "mean_confidence": interval_numbers(data.mean_confidence),
    }
