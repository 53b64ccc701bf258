"""Is the classifier shown what it was trained on? A wrong scale or class order answers as fast, and like a coin.

Where accuracy is poor, or where preprocessing was assumed, the usual suspects are tried on a few labelled images: other
ranges of the pixels, BGR, and another order of the classes. The one that fits best is named; nothing is changed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from training.data.dataset import Targets
from training.wrap.frozen import open_session
from training.wrap.preprocessing import PRESETS, ChannelOrder, InputSpec, PreprocessOptions, decide_input
from training.wrap.source import Source
from training.wrap.standard import run_scores
from training.wrap.surgery import take_pixels
from trust.preprocess import Pixels

CLEARLY = 0.1
"""A gain in accuracy that no assumption is worth."""
_IMAGES_A_CLASS = 20
"""With fewer, an order of the classes fits by chance."""


@dataclass(frozen=True)
class Trial:
    """Another way to show the images or read the scores, and how well it fits."""

    flags: str
    accuracy: float


def check_fit(
    source: Source, spec: InputSpec, output: str, pixels: Pixels, targets: Targets, names: tuple[str, ...]
) -> tuple[str, ...]:
    """Warnings about preprocessing and class order, best none.

    Args:
        source, spec, output: the classifier, and how it is shown the images.
        pixels, targets: some labelled images, (n, H, W, C) uint8 and (n,).
        names: of the classes.

    Raises:
        ValueError: another preprocessing or class order fits far better, or the answers are no better than one and
            the same for all.
    """
    predicted = _predict(source, spec, output, pixels)
    accuracy = float((predicted == targets).mean())
    chance = float(np.bincount(targets).max() / len(targets))
    noise = 3 * float(np.sqrt(max(accuracy * (1 - accuracy), 1 / len(targets)) / len(targets)))
    if accuracy > (1 + chance) / 2 and not spec.assumed:
        return ()
    trials = [Trial(flags, _accuracy(source, other, output, pixels, targets)) for flags, other in _others(spec)]
    trials += _class_orders(predicted, targets, names)
    best = max(trials, key=lambda trial: trial.accuracy)
    said = f"accuracy is {accuracy:.1%} on {len(targets)} labelled images (always the same answer: {chance:.1%})"
    if best.accuracy > accuracy + max(CLEARLY, noise):
        raise ValueError(f"{said}, but {best.accuracy:.1%} with {best.flags}; give that if it is right")
    if accuracy <= chance + noise:
        tried = ", ".join(trial.flags for trial in trials)
        raise ValueError(f"{said}: preprocessing or class order is wrong, or the data; none of these helps: {tried}")
    if best.accuracy > accuracy + noise:
        return (f"{said}, {best.accuracy:.1%} with {best.flags}",)
    return ()


def _accuracy(source: Source, spec: InputSpec, output: str, pixels: Pixels, targets: Targets) -> float:
    return float((_predict(source, spec, output, pixels) == targets).mean())


def _predict(source: Source, spec: InputSpec, output: str, pixels: Pixels) -> NDArray[np.intp]:
    return run_scores(open_session(take_pixels(source.model, spec)), output, pixels).argmax(1)


def _others(spec: InputSpec) -> Iterator[tuple[str, InputSpec]]:
    """The same pixels in other ranges and orders, each with the flags that say so."""
    size = spec.preprocess.input_size
    own = {"mean": spec.preprocess.mean, "std": spec.preprocess.std}
    yield from _swapped("", spec)
    for name, preset in PRESETS.items():
        if name == "imagenet" and size[0] == 1:
            continue
        other = decide_input(PreprocessOptions(**preset, input_size=size), size, spec.layout, plain=False)
        numbers = {"mean": other.preprocess.mean, "std": other.preprocess.std}
        if numbers != own:
            tried = replace(spec, preprocess=spec.preprocess.model_copy(update=numbers))
            yield f"--preprocess {name}", tried
            yield from _swapped(f"--preprocess {name} ", tried)


def _swapped(flags: str, spec: InputSpec) -> Iterator[tuple[str, InputSpec]]:
    """The other order of the channels; each number stays with the channel's place, as it would with the flag."""
    if spec.preprocess.input_size[0] == 3:
        order: ChannelOrder = "rgb" if spec.channel_order == "bgr" else "bgr"
        numbers = {"mean": spec.preprocess.mean[::-1], "std": spec.preprocess.std[::-1]}
        preprocess = spec.preprocess.model_copy(update=numbers)
        yield f"{flags}--channel-order {order}", replace(spec, preprocess=preprocess, channel_order=order)


def _class_orders(predicted: NDArray[np.intp], targets: Targets, names: tuple[str, ...]) -> Iterator[Trial]:
    """The order of the classes under which most answers would be right (an assignment problem)."""
    if len(targets) < _IMAGES_A_CLASS * len(names):
        return
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (predicted, targets), 1)
    scores, classes = linear_sum_assignment(counts, maximize=True)
    if (scores != classes).any():
        order = ", ".join(names[index] for index in classes)
        yield Trial(
            f"--classes FILE with the names in this order: {order}", float(counts[scores, classes].sum() / len(targets))
        )
