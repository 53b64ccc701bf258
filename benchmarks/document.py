"""Figures into a document, between the two comments of their name: measured ones are never typed."""

import re
from pathlib import Path


def fill(document: Path, name: str, text: str) -> None:
    """Prints a text and puts it between `<!-- name -->` and `<!-- /name -->`.

    Raises:
        ValueError: the document has no such place.
    """
    print(text)
    place = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- /{re.escape(name)} -->)", re.DOTALL)
    old = document.read_text()
    if not place.search(old):
        raise ValueError(f"{document} has no place for {name}: wanted <!-- {name} --> and <!-- /{name} -->")
    document.write_text(place.sub(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", old))
