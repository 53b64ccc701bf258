"""The shift study's figures as tables: lists of rows, headings first."""

from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

from training.report.tables import markdown_table
from training.shift.mixes import DEFAULT
from training.shift.other_data import OTHER_DATA
from training.shift.splits import RANDOM, UNSEEN_FAMILIES, kind_split
from training.shift.study import summarise_study
from training.study.document import replace_part
from training.whole import write_whole

Rows = list[list[str]]

_PER_SPLIT = {
    "gain": ("unseen gain of trust", 1),
    "NTS error": ("unseen net trust score error of trust", 3),
    "of softmax": ("unseen net trust score error of softmax", 3),
    "worst": ("worst net trust score error of trust", 3),
    "clean gain": ("clean gain of trust", 2),
    "clean ECE": ("clean ece of trust", 4),
    "other data": ("mean on other data of trust", 3),
    "of softmax there": ("mean on other data of softmax", 3),
}
_PER_SCORE = {
    "gain": ("unseen gain of {}", 1),
    "NTS error": ("unseen net trust score error of {}", 3),
    "clean gain": ("clean gain of {}", 2),
    "clean ECE": ("clean ece of {}", 4),
    "other data": ("mean on other data of {}", 3),
}
_PER_MIX = {name: _PER_SPLIT[name] for name in ("gain", "NTS error", "worst", "clean gain", "clean ECE", "other data")}
_CLASS_HEAD = {
    "classifier": "accuracy",
    "class head": "accuracy of the class head",
    "AUROC softmax": "auroc of softmax",
    "AUROC class head": "auroc of the class head's own answers",
}


def study_tables(study: dict[str, Any]) -> dict[str, Rows]:
    """Every table by its title; figures are mean ± SD over the cells of a group, gains in AUROC points.

    That of the training mixes only where another one than the default was measured.
    """
    tables = {
        "unseen kinds at severities 3 to 5, clean images and other data": _split_rows(study),
        "the trust head with one thing changed": _score_rows(study),
        "mean trust on other data": _other_data_rows(study),
        "attacks": _attack_rows(study),
        "the class head as a classifier": _class_head_rows(study),
        "each unseen kind": _kind_rows(study),
    }
    if study["mixes"]:
        tables["the training mix with one thing changed"] = _mix_rows(study)
    return tables


def write_tables(study: dict[str, Any], document: Path) -> None:
    """Puts every table between the markers of its title in a document of prose."""
    text = document.read_text()
    for title, rows in study_tables(study).items():
        text = replace_part(text, title, markdown_table(rows))
    write_whole(document, lambda path: path.write_text(text))


def _split_rows(study: dict[str, Any]) -> Rows:
    return [
        ["splits", "cells", *_PER_SPLIT],
        *(
            [
                group,
                str(figures["clean accuracy"]["cells"]),
                *(_shown(figures[name], d) for name, d in _PER_SPLIT.values()),
            ]
            for group, figures in study["summary"].items()
        ),
    ]


def _score_rows(study: dict[str, Any]) -> Rows:
    rows = [["splits", "score", *_PER_SCORE]]
    for group in _groups(study):
        figures = study["summary"][group]
        scores = [name.removeprefix("unseen gain of ") for name in figures if name.startswith("unseen gain of ")]
        for score in scores:
            shown = (_shown(figures[name.format(score)], digits) for name, digits in _PER_SCORE.values())
            rows.append([group, score, *shown])
    return rows


def _mix_rows(study: dict[str, Any]) -> Rows:
    """Each mix and the default one on the cells that this mix was measured on, of which no others are shown."""
    rows = [["splits", "training mix", "cells", *_PER_MIX]]
    measured = {split for cells in study["mixes"].values() for split in cells}
    mixes = {DEFAULT.name: {cell: study["cells"][cell] for cell in study["cells"] if cell in measured}}
    for mix, cells in {**mixes, **study["mixes"]}.items():
        for group, figures in summarise_study(cells).items():
            if group in _groups(study):
                shown = (_shown(figures[name], digits) for name, digits in _PER_MIX.values())
                rows.append([group, mix, str(figures["clean accuracy"]["cells"]), *shown])
    return [rows[0], *sorted(rows[1:], key=lambda row: _groups(study).index(row[0]))]


def _other_data_rows(study: dict[str, Any]) -> Rows:
    scores = ("softmax", "class head", "trust", "trust calibrated with outliers")
    rows = [["splits", "score", *OTHER_DATA]]
    for group in _groups(study):
        figures = study["summary"][group]
        rows += [
            [group, score, *(_shown(figures[f"mean on {kind} of {score}"], 2) for kind in OTHER_DATA)]
            for score in scores
        ]
    return rows


def _attack_rows(study: dict[str, Any]) -> Rows:
    rows = [["splits", "attack", "accuracy", "AUROC softmax", "AUROC trust", "mean softmax", "mean trust"]]
    for group in _groups(study):
        figures = study["summary"][group]
        for attack in (
            name.removesuffix(" accuracy") for name in figures if name.endswith(" accuracy") and ":" in name
        ):
            names = [
                f"{attack} accuracy",
                *(f"{attack} {of} of {s}" for of in ("auroc", "mean") for s in ("softmax", "trust")),
            ]
            rows.append([group, attack, *(_shown(figures[name], 1 if "auroc" in name else 3) for name in names)])
    return rows


def _class_head_rows(study: dict[str, Any]) -> Rows:
    rows = [["splits", "images", *_CLASS_HEAD]]
    for group in _groups(study):
        for images in ("clean", "unseen"):
            found = (study["summary"][group][f"{images} {name}"] for name in _CLASS_HEAD.values())
            rows.append(
                [
                    group,
                    images,
                    *(_shown(each, 1 if "AUROC" in name else 3) for name, each in zip(_CLASS_HEAD, found, strict=True)),
                ]
            )
    return rows


def _kind_rows(study: dict[str, Any]) -> Rows:
    """Each kind over the cells in which it is unseen; the error keeps its sign."""
    found: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    names = {split.name for split in (*RANDOM, *UNSEEN_FAMILIES)}
    for cell, conditions in study["cells"].items():
        split = cell.split("/")[0]
        if split not in names:
            continue
        for condition, f in conditions.items():
            kind = condition.split(":")[0]
            if kind in kind_split(split).unseen:
                estimated = (f["softmax net trust score"], f["trust net trust score"])
                errors = (estimate - f["net trust score"] for estimate in estimated)
                scores = (100 * f["softmax auroc"], 100 * f["trust auroc"])
                found[kind].append((f["accuracy"], f["class head accuracy"], *scores, *errors))
    heads = [
        "kind",
        "cells x severities",
        "classifier",
        "class head",
        "AUROC softmax",
        "AUROC trust",
        "NTS error softmax",
        "trust",
    ]
    rows = [heads]
    for kind, figures in found.items():
        accuracy, own, *rest = (fmean(column) for column in zip(*figures, strict=True))
        shown = [f"{accuracy:.2f}", f"{own:.2f}", *(f"{x:.1f}" for x in rest[:2]), *(f"{x:+.3f}" for x in rest[2:])]
        rows.append([kind, str(len(figures)), *shown])
    return rows


def _groups(study: dict[str, Any]) -> list[str]:
    """The groups that hold several splits, as far as any of theirs was measured; or all, where none was."""
    return [group for group in ("random splits", "unseen families") if group in study["summary"]] or list(
        study["summary"]
    )


def _shown(figure: dict[str, float], digits: int) -> str:
    return f"{figure['mean']:.{digits}f} ± {figure['sd']:.{digits}f}"
