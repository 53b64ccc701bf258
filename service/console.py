"""What `trustserve predict` and `trustserve inspect` print."""

import json
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.inference.bundle import Bundle
from service.local import FileAnswer
from trust.manifest import Manifest, Threshold


def answer_line(row: FileAnswer, manifest: Manifest) -> str:
    """One file's answer as a line of JSON."""
    if row.answer is None:
        return json.dumps({"file": str(row.file), "error": row.error})
    answer = row.answer
    return json.dumps(
        {
            "file": str(row.file),
            "label": manifest.classes[answer.class_index],
            "class_index": answer.class_index,
            "confidence": answer.confidence,
            "trust_probability": answer.trust,
            "decision": "trust" if answer.trusted else "untrust",
        }
    )


def answer_table(rows: Iterable[FileAnswer], manifest: Manifest, threshold: Threshold) -> Table:
    """The files' answers for people."""
    limit = f"{threshold.value:g}" if threshold.by_class is None else "the threshold of its class"
    table = Table(caption=f"{manifest.name} {manifest.version}, trusted from {limit} on", caption_justify="left")
    for name in ("file", "label"):
        table.add_column(name, overflow="fold")
    for name in ("confidence", "trust"):
        table.add_column(name, justify="right")
    table.add_column("decision")
    for row in rows:
        if row.answer is None:
            table.add_row(Text(str(row.file)), Text(row.error or "", "red"), "", "", Text("error", "red"))
            continue
        decision = Text("trust", "green") if row.answer.trusted else Text("untrust", "yellow")
        label = Text(manifest.classes[row.answer.class_index])
        confidence, trust = f"{row.answer.confidence:.4f}", f"{row.answer.trust:.4f}"
        table.add_row(Text(str(row.file)), label, confidence, trust, decision)
    return table


def print_inspection(console: Console, bundle: Bundle, differences: dict[str, float]) -> None:
    """Manifest, checks and golden replay of a bundle."""
    manifest = bundle.manifest
    channels, height, width = manifest.preprocess.input_size
    reference, threshold, reduced = manifest.reference, manifest.threshold, manifest.preprocess.reduced_jpeg
    facts = Table.grid(padding=(0, 2))
    for name, value in {
        "bundle": f"{manifest.name} {manifest.version} ({bundle.path})",
        "description": manifest.description,
        "classes": f"{len(manifest.classes)}: {', '.join(manifest.classes[:12])}"
        + (", ..." if len(manifest.classes) > 12 else ""),
        "input": f"{width} x {height}, {'grey' if channels == 1 else 'RGB'}, {manifest.preprocess.interpolation}, "
        f"crop_pct {manifest.preprocess.crop_pct:g}"
        + (f", JPEG files reduced to {reduced.margin:g} times that or more" if reduced else ""),
        "classifier": f"{', '.join(manifest.classifier_outputs)} ({bundle.sessions.providers['classifier']})",
        "oracle": f"{', '.join(manifest.oracle_outputs)} ({bundle.sessions.providers['oracle']})"
        if manifest.oracle_outputs
        else "no network of its own",
        "execution": bundle.sessions.statement,
        "trust head": ", ".join(manifest.trust_head.inputs)
        + (", novelty gate" if manifest.trust_head.gate else "")
        + (", calibrated" if manifest.trust_head.calibration else ""),
        "threshold": f"{threshold.value:g}: {threshold.statement}",
        "gate": manifest.gate.statement if manifest.gate else "not asked",
        "reference": f"{reference.images} images, accuracy {reference.accuracy:.4f}, NetTrustScore "
        f"{reference.net_trust_score:.4f}, mean trust {reference.mean_trust:.4f}",
        "files": f"{len(manifest.files)} match their SHA-256",
    }.items():
        facts.add_row(Text(name, "bold"), Text(value))
    console.print(facts)
    replay = Table(
        title="golden replay",
        title_justify="left",
        caption=f"allowed: {manifest.golden_tolerance:g}",
        caption_justify="left",
    )
    replay.add_column("output")
    replay.add_column("largest difference", justify="right")
    for name, difference in differences.items():
        style = "green" if difference <= manifest.golden_tolerance else "red"
        replay.add_row(name, Text(f"{difference:.2g}", style))
    console.print(replay)
