"""Tables land between their markers, and nowhere else."""

import pytest

from benchmarks.serving.document import DOCUMENT, put

PARTS = ("machine", "servers", "targets", "connections", "profile", "image size", "model size", "replicas")


def test_part_is_replaced_and_all_else_stays(tmp_path):
    document = tmp_path / "performance.md"
    document.write_text("# One\n<!-- servers -->\nold\n<!-- /servers -->\nend\n")
    put(document, "servers", ["Text.", [["a", "b"], ["1", "2"]]])
    assert document.read_text() == (
        "# One\n<!-- servers -->\n\nText.\n\n| a | b |\n| --- | --: |\n| 1 | 2 |\n\n<!-- /servers -->\nend\n"
    )


def test_part_without_a_place_is_refused(tmp_path):
    (tmp_path / "performance.md").write_text("# One\n")
    with pytest.raises(ValueError, match="no place for 'servers'"):
        put(tmp_path / "performance.md", "servers", ["Text."])


@pytest.mark.parametrize("part", PARTS)
def test_document_has_a_place_for_every_part(part):
    assert f"<!-- {part} -->" in DOCUMENT.read_text()
    assert f"<!-- /{part} -->" in DOCUMENT.read_text()
