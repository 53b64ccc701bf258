"""trustserve-train: the command line of the laboratory; each command is a function under `training.commands`."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.config import Toml

from training.bundle.graphs import ExportError
from training.bundle.half import PrecisionLost
from training.bundle.reduced_jpeg import ReductionRefused
from training.commands import bundle, run, shift, study, wrap
from training.commands.screen import console
from training.run import MissingStep
from trust.manifest import BundleError

app = App(
    name="trustserve-train",
    help="Train an oracle beside a frozen classifier, measure both, export the pair as a bundle.",
)
COMMANDS: dict[str, Callable[..., None]] = {
    "wrap": wrap.wrap,
    "all": run.everything,
    "classifier": run.classifier,
    "folds": run.folds,
    "oracle": run.oracle,
    "calibrate": run.calibrate_heads,
    "evaluate": run.evaluate,
    "export": run.export,
    "compare": bundle.compare,
    "threshold": bundle.threshold,
    "recalibrate": bundle.recalibrate,
    "half": bundle.half,
    "reduced-jpeg": bundle.reduced_jpeg,
    "image-reference": bundle.image_reference,
    "shift-study": shift.shift_study,
    "study": study.study,
}
EXAMPLES = {"wrap": wrap.EXAMPLES, "evaluate": run.EXAMPLES, "study": study.EXAMPLES}
for name, command in COMMANDS.items():
    app.command(command, name=name, help_epilogue=EXAMPLES.get(name))


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)], config: Path | None = None
) -> Any:
    """Train an oracle beside a frozen classifier, measure both, export the pair as a bundle.

    Args:
        config: TOML file of options, such as those in configs/; an option of the command line goes before it.
    """
    app.config = () if config is None else (Toml(config, must_exist=True, use_commands_as_keys=False),)
    return app(tokens)


def main() -> None:
    """Entry point: an error the user can mend is one sentence and exit status 1."""
    try:
        app.meta()
    except (
        ValueError,
        FileNotFoundError,
        MissingStep,
        ExportError,
        PrecisionLost,
        ReductionRefused,
        BundleError,
    ) as error:
        console.print(f"[red]error:[/red] {error}", soft_wrap=True, highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
