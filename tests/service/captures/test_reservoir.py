"""Which images are kept: so many a cell, by their keys alone, within age and bytes, whatever the disk does."""

import io
import os
from itertools import count

import numpy as np
import pytest
from PIL import Image

from service.captures.folder import CaptureFolder
from service.captures.reservoir import Captures, Limits
from service.inference.answer import answer_batch
from service.inference.bundle import open_bundle
from service.monitor.metrics import Metrics
from tests.tiny import png, quadrants

TRUSTED, UNTRUSTED = quadrants(250, 0, 0, 250), quadrants(90, 80, 70, 0)
OTHER_CLASS = quadrants(0, 250, 0, 250)
LIMITS = {"per_cell": 2, "seconds": 3600, "bytes": 10**6, "pixels": 10**6}


class House:
    """A folder of captures that outlives the processes that write to it, a clock that stands, and given keys."""

    def __init__(self, bundle, folder):
        self.bundle, self.folder = bundle, folder
        self.metrics, self.now, self.ids = Metrics(1000, 256), 1_700_000_000.0, count(1)

    def run(self, *offers, **limits):
        """A process that is offered (image, key) after (image, key); gives back the ids kept in the end."""
        keys = iter([key for _, key in offers])
        captures = Captures(
            CaptureFolder(self.folder),
            Limits(**LIMITS | limits),
            self.metrics,
            clock=lambda: self.now,
            draw=lambda: next(keys),
        )
        with captures.running():
            for image, _ in offers:
                answer = answer_batch(self.bundle, self.bundle.manifest.threshold, [image[..., None]])[0]
                captures.offer(str(next(self.ids)), answer, self.bundle.manifest, png(image))
        return self.kept()

    def kept(self):
        return sorted(path.stem for path in self.folder.glob("*/*/*.png"))

    def listed(self):
        return sorted(kept.record.stem for kept in CaptureFolder(self.folder).kept())

    def dropped(self, reason):
        return self.metrics.shown.get_sample_value("trust_captures_dropped_total", {"reason": reason}) or 0.0


@pytest.fixture
def house(tiny_bundle, tmp_path):
    bundle = open_bundle(tiny_bundle)
    yield House(bundle, tmp_path / "captures")
    bundle.sessions.close()


@pytest.mark.parametrize("order", [(0.3, 0.1, 0.2, 0.4), (0.4, 0.3, 0.2, 0.1), (0.1, 0.2, 0.3, 0.4)])
def test_smallest_keys_are_kept_whatever_their_order(house, order):
    kept = house.run(*((TRUSTED, key) for key in order))
    assert {order[int(name) - 1] for name in kept} == {0.1, 0.2}


def test_each_class_and_decision_has_places_of_its_own(house):
    offers = [(TRUSTED, 0.1), (TRUSTED, 0.2), (UNTRUSTED, 0.9), (OTHER_CLASS, 0.9)]
    assert house.run(*offers) == ["1", "2", "3", "4"]
    assert {path.name for path in house.folder.glob("*/*")} == {"0-trust", "0-untrust", "1-trust"}
    assert house.metrics.shown.get_sample_value("trust_captures") == 4


def test_restart_goes_on_where_the_process_before_ended(house):
    house.run((TRUSTED, 0.1), (TRUSTED, 0.3))
    assert house.run((TRUSTED, 0.4), (TRUSTED, 0.2)) == ["1", "4"]


def test_restart_with_fewer_places_keeps_the_smallest_keys(house):
    house.run((TRUSTED, 0.3), (TRUSTED, 0.1))
    assert house.run(per_cell=1) == ["2"]


def test_every_answer_of_a_cell_has_the_same_chance(tiny_bundle, tmp_path):
    # 400 reservoirs of 2 out of 8 answers: each answer is in a quarter of them, within four standard deviations.
    draw, runs = np.random.default_rng(0), 400
    keys = draw.random((runs, 8))
    kept = np.sort(np.argsort(keys, axis=1)[:, :2], axis=1)
    house = House(open_bundle(tiny_bundle), tmp_path / "captures")
    for row in range(3):  # the rule of the sketch is what the service does ...
        house.folder, house.ids = tmp_path / str(row), count(0)
        assert house.run(*((TRUSTED, key) for key in keys[row])) == sorted(map(str, kept[row]))
    house.bundle.sessions.close()
    share = np.bincount(kept.ravel(), minlength=8) / runs  # ... and the rule is fair
    assert np.abs(share - 2 / 8).max() < 4 * (0.25 * 0.75 / runs) ** 0.5


def test_image_that_grew_too_old_leaves_its_place(house):
    house.run((TRUSTED, 0.1), (TRUSTED, 0.2))
    house.now += 3601
    assert house.run() == []
    assert house.run((TRUSTED, 0.9)) == ["3"]


def test_image_from_the_future_goes_when_the_clock_was_set_back(house):
    house.run((TRUSTED, 0.1))
    house.now -= 3601
    assert house.run() == []


def test_bytes_are_kept_to_by_the_cell_that_has_most(house):
    house.run((TRUSTED, 0.1), (TRUSTED, 0.2), (OTHER_CLASS, 0.9))
    size = sum(path.stat().st_size for path in house.folder.glob("*/*/*"))
    assert house.run(bytes=size - 1) == ["1", "3"]


def test_no_limit_of_bytes_is_passed_while_images_come(house):
    house.run((TRUSTED, 0.5), (OTHER_CLASS, 0.5))
    size = sum(path.stat().st_size for path in house.folder.glob("*/*/*"))
    house.run((TRUSTED, 0.4), (OTHER_CLASS, 0.4), (UNTRUSTED, 0.4), bytes=size + 10)
    assert sum(path.stat().st_size for path in house.folder.glob("*/*/*")) <= size + 10


def test_image_larger_than_all_the_bytes_is_counted(house):
    assert house.run((TRUSTED, 0.1), bytes=20) == []
    assert house.dropped("too_large") == 1


def test_id_that_is_sent_twice_stands_for_the_first_image(house):
    house.ids = iter(["same", "same"])
    assert house.run((TRUSTED, 0.5), (OTHER_CLASS, 0.1)) == ["same"]
    assert [path.parent.name for path in house.folder.glob("*/*/*.png")] == ["0-trust"]


def test_disk_that_refuses_is_counted_survived_and_logged_once(house, caplog):
    house.folder.write_text("a file where the folder should be")
    assert house.run((TRUSTED, 0.1), (TRUSTED, 0.2), (TRUSTED, 0.3)) == []
    assert house.dropped("disk") == 3
    assert caplog.text.count("an image could not be captured") == 1
    house.folder.unlink()
    assert house.run((TRUSTED, 0.4)) == ["4"]


def test_full_disk_is_counted_and_survived(house):
    house.run((TRUSTED, 0.5))
    cell = next(house.folder.glob("*/*"))
    (cell / f"2.json.{os.getpid()}.partial").symlink_to("/dev/full")  # opens, and has no room for a byte
    assert house.run((TRUSTED, 0.1)) == ["1", "2"]
    assert house.dropped("disk") == 1
    assert house.listed() == ["1"]  # without its record the image is no capture
    assert house.run((TRUSTED, 0.2)) == ["1", "2", "3"]
    assert house.listed() == ["1", "3"]


def test_more_images_than_the_queue_holds_are_counted_and_wait_for_nothing(house):
    answer = answer_batch(house.bundle, house.bundle.manifest.threshold, [TRUSTED[..., None]])[0]
    captures = Captures(CaptureFolder(house.folder), Limits(**LIMITS), house.metrics)  # not running: nothing drains
    for number in range(20):
        captures.offer(str(number), answer, house.bundle.manifest, png(TRUSTED))
    assert house.dropped("queue_full") == 4


def test_what_a_killed_process_left_half_written_is_taken_away(house):
    house.run((TRUSTED, 0.1))
    cell = next(house.folder.glob("*/*"))
    for name in ("half.png", "half.json.1.partial"):
        (cell / name).write_bytes(b"half")
    house.now = (cell / "half.png").stat().st_mtime + 61
    house.run(seconds=1e12)
    assert sorted(path.name for path in cell.iterdir()) == ["1.json", "1.png"]


def test_record_that_cannot_be_read_makes_room_first(house):
    house.run((TRUSTED, 0.1), (TRUSTED, 0.2))
    next(house.folder.glob("*/*/1.json")).write_text("{")
    assert house.run((TRUSTED, 0.9)) == ["2", "3"]


def test_pixels_survive_and_nothing_else_of_the_file(house):
    exif = Image.Exif()
    exif[0x010E] = "taken at home"  # ImageDescription
    exif[0x0112] = 6  # the camera was turned
    file = io.BytesIO()
    Image.fromarray(np.rot90(TRUSTED)).save(file, "PNG", exif=exif, dpi=(300, 300))
    answer = answer_batch(house.bundle, house.bundle.manifest.threshold, [TRUSTED[..., None]])[0]
    captures = Captures(CaptureFolder(house.folder), Limits(**LIMITS), house.metrics)
    with captures.running():
        captures.offer("a", answer, house.bundle.manifest, file.getvalue())
    kept = Image.open(next(house.folder.glob("*/*/a.png")))
    np.testing.assert_array_equal(np.asarray(kept), TRUSTED)
    assert kept.info == {}
    assert not kept.getexif()


def test_files_are_for_the_services_user_alone(house):
    house.run((TRUSTED, 0.1))
    cell = next(house.folder.glob("*/*"))
    assert cell.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in cell.iterdir())
