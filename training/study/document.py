"""Puts measured tables into a document of prose, each part between its two markers, and the figures beside it."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.report.tables import markdown_table
from training.study.options import PartName
from training.study.table import StudyTable
from training.whole import write_whole


def write_part(document: Path, part: PartName, command: str, about: str, tables: Sequence[StudyTable]) -> None:
    """Replaces one part's tables in the document and its figures in the JSON file of the same name.

    Args:
        document: a document that is not there, or has no place for this part, gets one at its end.
        part: which.
        command: that makes it.
        about: how many trials of what.
        tables: in order.
    """
    document.parent.mkdir(parents=True, exist_ok=True)
    before = document.read_text() if document.is_file() else "# Results\n"
    text = replace_part(before, part, part_text(command, about, tables))
    write_whole(document, lambda path: path.write_text(text))
    numbers = document.with_suffix(".json")
    figures: dict[str, Any] = json.loads(numbers.read_text()) if numbers.is_file() else {}
    figures[part] = {"command": command, "about": about, "tables": [table.figures() for table in tables]}
    write_whole(numbers, lambda path: path.write_text(json.dumps(figures, indent=1) + "\n"))


def part_text(command: str, about: str, tables: Sequence[StudyTable]) -> str:
    """The part as Markdown: what made it, then each table under its title."""
    paragraphs = [f"`{command}`: {about}."]
    for table in tables:
        title = f"**{table.title}**" + (f" {table.note}" if table.note else "")
        paragraphs += [title, markdown_table(table.cells())]
    return "\n\n".join(paragraphs)


def replace_part(document: str, part: str, text: str) -> str:
    """The document with this text between the part's markers, all else as it was.

    >>> replace_part("one <!-- slopes --> old <!-- /slopes --> two", "slopes", "new")
    'one <!-- slopes -->\\n\\nnew\\n\\n<!-- /slopes --> two'
    """
    begin, end = f"<!-- {part} -->", f"<!-- /{part} -->"
    marked = f"{begin}\n\n{text}\n\n{end}"
    found = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not found.search(document):
        return f"{document.rstrip()}\n\n## {part.capitalize()}\n\n{marked}\n"
    return found.sub(lambda _: marked, document, count=1)
