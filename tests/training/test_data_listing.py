"""A CSV of path,label is read as it is written, and what is wrong in it is named by line."""

import numpy as np
import pytest
from PIL import Image

from training.data.sources import load_dataset, open_labelled
from trust.preprocess import Preprocess

SPEC = Preprocess(input_size=(3, 8, 8), mean=(0.5,) * 3, std=(0.25,) * 3)


@pytest.fixture
def write(tmp_path):
    """Writes 40 images, the red of number n being n, and a CSV of the given lines."""
    (tmp_path / "images").mkdir()
    for number in range(40):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / "images" / f"{number}.png")

    def listing(*lines):
        (tmp_path / "set.csv").write_text("\n".join(lines))
        return f"csv:{tmp_path / 'set.csv'}"

    return listing


def rows(numbers, split=""):
    return [f"images/{n}.png,{'odd' if n % 2 else 'even'}{split}" for n in numbers]


def test_paths_are_relative_to_the_file_and_classes_the_sorted_labels(write, tmp_path):
    dataset = load_dataset(write("path,label", *rows(range(40))), SPEC, 0, tmp_path / "cache")
    assert (dataset.name, dataset.classes) == ("set", ("even", "odd"))
    assert (dataset.train.pixels(slice(None))[:, 0, 0, 0] % 2 == dataset.train.targets).all()


def test_classes_file_beside_it_gives_the_order(write, tmp_path):
    (tmp_path / "classes.txt").write_text("odd\neven\n")
    dataset = load_dataset(write("path,label", *rows(range(40))), SPEC, 0, tmp_path / "cache")
    assert dataset.classes == ("odd", "even")
    assert (dataset.train.pixels(slice(None))[:, 0, 0, 0] % 2 == 1 - dataset.train.targets).all()


def test_split_column_says_what_is_for_test(write, tmp_path):
    source = write("path,label,split", *rows(range(35), ",train"), *rows(range(35, 40), ",test"))
    dataset = load_dataset(source, SPEC, 0, tmp_path / "cache")
    assert dataset.test.pixels(slice(None))[:, 0, 0, 0].tolist() == [35, 36, 37, 38, 39]
    assert open_labelled(source, SPEC, tmp_path / "cache").images.targets.tolist() == [1, 0, 1, 0, 1]


def test_byte_order_mark_of_a_spreadsheet_is_no_part_of_the_header(write, tmp_path):
    found = open_labelled(write("\ufeffpath,label", *rows(range(3))), SPEC, tmp_path / "cache")
    assert np.asarray(found.images.targets).tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["file,label", "a.png,b"], "set.csv has no column path; wanted the header path,label"),
        (["path,label"], "set.csv lists no image"),
        (["path,label", "a.png,"], "set.csv line 2 lacks a path or a label"),
        (["path,label", "a.png,x", "a.png,y"], "set.csv line 3 lists a.png for the second time"),
        (["path,label,split", "a.png,x,dev"], "set.csv line 2 has split 'dev'; wanted train or test"),
        (["path,label", *rows(range(0, 40, 2))], "set has 1 class .*; wanted at least 2"),
        (["path,label,split", *rows(range(40), ",test")], "images to test with and none to learn from"),
    ],
)
def test_what_is_wrong_is_named(lines, message, write, tmp_path):
    with pytest.raises(ValueError, match=message):
        load_dataset(write(*lines), SPEC, 0, tmp_path / "cache")


def test_labels_that_are_no_classes_are_named(write, tmp_path):
    (tmp_path / "classes.txt").write_text("odd\n")
    with pytest.raises(ValueError, match=r"labels that are not in .*classes.txt: even"):
        load_dataset(write("path,label", *rows(range(40))), SPEC, 0, tmp_path / "cache")
