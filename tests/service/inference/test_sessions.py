"""Both networks on one batch: the same outputs whichever way they run."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from service.inference.execution import Execution, available_cores, execution_of
from service.inference.network import Network
from service.inference.providers import CPU, CUDA, HostMemory, wanted_providers
from service.inference.sessions import open_sessions
from service.settings import Settings
from tests.tiny import expected_answer, quadrants
from trust.manifest import BundleError, read_manifest

IMAGES = np.random.default_rng(0).integers(0, 256, (9, 4, 4, 1), np.uint8)


@pytest.fixture
def open_tiny(tiny_bundle):
    """Opens the tiny bundle's sessions; they close when the test ends."""
    opened = []

    def start(**wanted):
        pair = open_sessions(tiny_bundle, read_manifest(tiny_bundle), Execution(**wanted))
        opened.append(pair)
        return pair

    yield start
    for pair in opened:
        pair.close()


def open_classifier(bundle):
    path = bundle / "classifier.onnx"
    return Network(path, path.read_bytes(), ["logits", "novelty"], Execution(device="cpu"), threads=1)


def check_outputs(outputs):
    """Those of IMAGES, by hand."""
    assert outputs.keys() == {"logits", "probabilities", "novelty", "oracle_logit"}
    expected = [expected_answer(image[..., 0]).probabilities for image in IMAGES]
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-6)
    np.testing.assert_allclose(outputs["novelty"], IMAGES.mean(axis=(1, 2, 3)) / 255, atol=1e-6)
    dark = 4 * IMAGES[:, 2:, 2:].mean(axis=(1, 2, 3)) / 255
    np.testing.assert_allclose(outputs["oracle_logit"], dark - 1, atol=1e-6)


@pytest.mark.parametrize("networks", ["auto", "parallel", "in_turn"])
def test_outputs_do_not_depend_on_how_the_networks_run(open_tiny, networks):
    check_outputs(open_tiny(networks=networks).run(IMAGES))


def test_list_of_images_runs_as_the_array_of_them(open_tiny):
    check_outputs(open_tiny().run(list(IMAGES)))


def test_more_images_than_the_largest_batch_run_in_parts(open_tiny):
    check_outputs(open_tiny(max_batch=4).run(list(IMAGES)))


def test_batch_of_none_has_outputs_of_no_rows(open_tiny):
    assert open_tiny().run(IMAGES[:0])["logits"].shape == (0, 3)


def test_answers_outlive_the_next_batch(open_tiny):
    pair = open_tiny()
    first = pair.run(list(IMAGES))
    pair.run(list(255 - IMAGES))
    check_outputs(first)


def test_binding_gives_what_a_plain_run_gives_in_batches_of_any_size(tiny_bundle):
    network = open_classifier(tiny_bundle)
    for images in (IMAGES, IMAGES[:1], 255 - IMAGES, IMAGES[:4]):
        bound, plain = network.run_bound(images), network.run_unbound(images)
        assert bound.keys() == plain.keys() == {"logits", "novelty"}
        for name, values in plain.items():
            np.testing.assert_array_equal(bound[name], values)


def test_bound_outputs_outlive_the_next_batch(tiny_bundle):
    network = open_classifier(tiny_bundle)
    first = network.run_bound(IMAGES)["logits"]
    kept = first.copy()
    network.run_bound(255 - IMAGES)
    np.testing.assert_array_equal(first, kept)


def test_failing_classifier_waits_for_the_oracle_and_raises(open_tiny, monkeypatch):
    pair = open_tiny(networks="parallel")

    def fail(_):
        raise RuntimeError("no more memory")

    monkeypatch.setattr(pair._classifier, "run", fail)
    with pytest.raises(RuntimeError, match="no more memory"):
        pair.run(list(IMAGES))
    monkeypatch.undo()
    check_outputs(pair.run(list(IMAGES)))


def hold_oracle(pair, monkeypatch):
    """The oracle reads no images before the event that this gives back."""
    let_go = threading.Event()
    oracle = pair._oracle.run

    def run(images):
        assert let_go.wait(10)
        return oracle(images)

    monkeypatch.setattr(pair._oracle, "run", run)
    return let_go


def test_next_batch_may_begin_when_the_classifier_is_done_and_the_oracle_is_not(open_tiny, monkeypatch):
    pair = open_tiny(networks="parallel")
    assert pair.overlaps
    classified = hold_oracle(pair, monkeypatch)
    check_outputs(pair.run(list(IMAGES), classified.set))


def test_images_of_a_batch_stay_until_the_oracle_has_read_them(open_tiny, monkeypatch):
    pair = open_tiny(networks="parallel")
    overtaken = hold_oracle(pair, monkeypatch)
    with ThreadPoolExecutor(2) as threads:
        begun = threading.Event()
        first = threads.submit(pair.run, list(IMAGES), begun.set)
        assert begun.wait(10)
        second = threads.submit(pair.run, list(255 - IMAGES), overtaken.set)
        check_outputs(first.result())
        second.result()


def test_what_was_chosen_is_said_in_one_sentence(open_tiny):
    assert open_tiny(networks="in_turn", threads=2, max_batch=1).statement == (
        "classifier and oracle run one after the other with 2 CPU threads each in batches of up to 1: "
        "no other way was left open"
    )


def test_measured_choice_says_how_many_ways_were_compared(open_tiny):
    assert "in batches of up to 1: the fastest of 2 ways, timed in" in open_tiny(threads=1, max_batch=1).statement


@pytest.mark.parametrize(
    ("networks", "seconds", "largest"),
    [("in_turn", 0.1, 2), ("auto", 0.1, 2), ("auto", 0.2, 1), ("auto", 0.001, 9)],
    ids=["nothing-to-compare", "compared", "too-slow-to-compare", "fast"],
)
def test_slow_networks_run_so_many_images_at_once_as_they_answer_in_a_quarter_of_a_second(
    tiny_bundle, networks, seconds, largest
):
    # Whatever is timed takes this long.
    clock = itertools.count(step=seconds).__next__
    execution = Execution(device="cpu", threads=1, networks=networks, max_batch=9)
    pair = open_sessions(tiny_bundle, read_manifest(tiny_bundle), execution, clock)
    assert pair.largest_batch == largest
    check_outputs(pair.run(list(IMAGES)))
    pair.close()


def test_workers_share_the_cores():
    assert execution_of(Settings(workers=1)).cores == available_cores()
    assert execution_of(Settings(workers=available_cores())).cores == 1
    assert execution_of(Settings(workers=10 * available_cores())).cores == 1


def test_settings_reach_the_execution(tmp_path):
    settings = Settings(session_threads=3, networks="parallel", max_batch=7, device="cpu", state=tmp_path)
    found = execution_of(settings)
    assert (found.threads, found.networks, found.max_batch, found.device) == (3, "parallel", 7, "cpu")
    assert found.engines == tmp_path / "tensorrt"


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_gpu_that_is_wanted_but_not_there(tiny_bundle, device):
    with pytest.raises(BundleError, match=f"device is {device}, but onnxruntime has no working"):
        open_sessions(tiny_bundle, read_manifest(tiny_bundle), Execution(device=device))


def test_tensorrt_keeps_its_engines_and_falls_back_to_cuda(tmp_path, monkeypatch):
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["TensorrtExecutionProvider", CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    wanted = Execution(device="tensorrt", half_precision=True, engines=tmp_path / "engines")
    (tensorrt, options), (cuda, _), cpu = wanted_providers(wanted)
    assert (tensorrt, cuda, cpu) == ("TensorrtExecutionProvider", CUDA, CPU)
    assert options["trt_fp16_enable"] == "True"
    assert options["trt_engine_cache_path"] == str(tmp_path / "engines")
    assert (tmp_path / "engines").is_dir()


def test_memory_is_ordinary_where_no_gpu_reads_it():
    memory = HostMemory((2, 4, 4, 1), CPU)
    assert (memory.pixels.shape, memory.pixels.dtype, memory.page_locked) == ((2, 4, 4, 1), np.uint8, False)
    memory.close()


def test_memory_is_ordinary_where_the_cuda_runtime_is_missing():
    memory = HostMemory((2, 4, 4, 1), CUDA)
    assert not memory.page_locked
    memory.close()


def test_plain_picture_is_certain(open_tiny):
    assert open_tiny().run([quadrants(255, 0, 0, 255)[..., None]])["logits"].argmax() == 0
