"""Wrap a classifier one has."""

from typing import Annotated

from cyclopts import Parameter

from training.commands.screen import say, show_table
from training.report import tables
from training.report.page import PAGE
from training.wrap.options import WrapOptions
from training.wrap.preprocessing import PreprocessOptions
from training.wrap.wrapping import reduce_jpeg
from training.wrap.wrapping import wrap as wrap_classifier
from trust.manifest import REPORT

EXAMPLES = """
Examples:

`trustserve-train wrap classifier.onnx --data imagefolder:val/ --preprocess imagenet`

`trustserve-train wrap timm:resnet50 --weights resnet50.pt --data imagefolder:val/ --classes names.txt`

`trustserve-train wrap net.torchscript --data imagefolder:val/ --input-size 3 224 224 --preprocess how.toml`
"""

_SHOWN = Parameter(name="*", group="How an image becomes the classifier's input", negative_iterable="")


def wrap(
    classifier: str,
    *,
    options: Annotated[WrapOptions, Parameter(name="*")],
    how: Annotated[PreprocessOptions, _SHOWN] = PreprocessOptions(),  # noqa: B008
) -> None:
    """Wrap a classifier you have: a bundle with calibrated trust from the frozen model and labelled images.

    The classifier is not trained or changed. What it needs to be shown is read from its graph or from timm as far as
    they say; everything found or assumed is printed, and the answers are checked on the labelled images.

    Args:
        classifier: an .onnx file, a TorchScript file, or timm:NAME with --weights.
    """
    bundle, results = wrap_classifier(classifier, options, how, say)
    show_table(tables.clean_rows(results), "clean test images")
    show_table(tables.summary_rows(results), "summary")
    say(f"Bundle {bundle}. Serve it: make serve MODEL={bundle}")
    say(f"Report: {bundle / REPORT / PAGE}")
    if options.reduced_jpeg is not None:
        # Last: where it is refused, all else is there.
        say(reduce_jpeg(bundle, options, options.reduced_jpeg).statement)
