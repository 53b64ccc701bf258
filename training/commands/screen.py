"""Where commands print: tables and sentences on the terminal, uncut in a log."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from training.report import tables
from training.shift.corruptions import TRAINED_KINDS, UNSEEN_KINDS

console = Console()
if not console.is_terminal:
    # In a log nobody wants columns cut at 80.
    console = Console(width=160)


def say(sentence: str) -> None:
    """One sentence, as it is."""
    console.print(sentence, highlight=False, soft_wrap=True)


def show_table(rows: tables.Rows, title: str) -> None:
    """A table, its first row the header."""
    console.print(tables.terminal_table(rows, title))


def show_results(results: Mapping[str, Any]) -> None:
    """Everything that an evaluation measured."""
    shown = {
        "clean test images": tables.clean_rows(results),
        "trained kinds of corruption, mean": tables.method_rows(results, TRAINED_KINDS),
        "unseen kinds of corruption, mean": tables.method_rows(results, UNSEEN_KINDS),
        "each kind": tables.kind_rows(results),
        "images of none of the classes, means": tables.other_rows(results),
        "summary": tables.summary_rows(results),
    }
    for title, rows in shown.items():
        show_table(rows, title)
