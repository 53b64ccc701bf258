"""What the oracle may meet while it learns and is calibrated, and the same with one thing changed."""

from dataclasses import dataclass, replace

from training.oracle.recipes import OracleRecipe
from training.shift.corruptions import NAMELESS_SHARES
from training.shift.splits import KindSplit


@dataclass(frozen=True)
class Mix:
    """One training mix: chains of named kinds, of nameless transforms, and images of no class."""

    name: str
    named: bool = True
    nameless: tuple[str, ...] = NAMELESS_SHARES
    outliers: bool = True

    def of(self, recipe: OracleRecipe, split: KindSplit) -> OracleRecipe:
        """The recipe with this mix, of the split's trained kinds; one that knows no corruption stays as it is."""
        if not recipe.kinds:
            return recipe
        kinds = (*(split.trained if self.named else ()), *self.nameless)
        return replace(recipe, kinds=kinds, outlier_share=recipe.outlier_share if self.outliers else 0.0)


DEFAULT = Mix("default")
_PROTOTYPE = ("random_convolution", "mixup", "cutmix", "patch_shuffle", "spectrum_gain")
MIXES = {
    mix.name: mix
    for mix in (
        DEFAULT,
        Mix("no-outliers", outliers=False),
        Mix("named-alone", nameless=()),
        Mix("nameless-alone", named=False),
        # Each of the first five transforms as often as a named kind, no image of no class: what was tried first.
        Mix("prototype", nameless=_PROTOTYPE, outliers=False),
    )
}


def mix_of(name: str) -> Mix:
    """A mix by name.

    Raises:
        ValueError: unknown name; it lists the known ones.
    """
    if name not in MIXES:
        raise ValueError(f"training mix {name!r} is unknown; wanted one of {', '.join(MIXES)}")
    return MIXES[name]
