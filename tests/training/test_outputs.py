"""Frozen outputs are computed once, taken whole or not at all, and never held in memory."""

import multiprocessing
import os
import signal
import time
import tracemalloc

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from training.outputs import OutputKey, OutputStore, module_fingerprint, numpy_network, onnx_fingerprint

KEY = OutputKey(model="m", data="d")
PIXELS = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)


class Counting:
    """Gives each image's first pixel and its double, and counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, pixels):
        self.calls += 1
        first = pixels[:, 0, 0, 0].astype(np.float32)
        return {"value": first, "logits": np.stack([first, 2 * first], 1)}


def batches(pixels=PIXELS, size=4):
    for start in range(0, len(pixels), size):
        yield pixels[start : start + size]


def test_outputs_come_back_by_name_in_the_order_of_the_images(tmp_path):
    found = OutputStore(tmp_path).get(KEY, batches(), 10, Counting())
    assert found["value"].tolist() == list(range(10))
    assert found["logits"].tolist() == [[n, 2 * n] for n in range(10)]
    assert all(isinstance(output, np.memmap) and output.dtype == np.float32 for output in found.values())


def test_second_get_does_not_call_the_model(tmp_path):
    network = Counting()
    first = OutputStore(tmp_path).get(KEY, batches(), 10, network)
    assert network.calls == 3
    again = OutputStore(tmp_path).get(KEY, batches(), 10, network)
    assert network.calls == 3
    assert {name: output.tolist() for name, output in again.items()} == {n: o.tolist() for n, o in first.items()}


@pytest.mark.parametrize(
    "other",
    [OutputKey("other", "d"), OutputKey("m", "other"), OutputKey("m", "d", "fog severity 3")],
    ids=["model", "images", "condition"],
)
def test_other_model_images_or_condition_are_computed_anew(other, tmp_path):
    network = Counting()
    OutputStore(tmp_path).get(KEY, batches(), 10, network)
    OutputStore(tmp_path).get(other, batches(), 10, network)
    assert network.calls == 6


def test_interrupted_pass_leaves_nothing_that_is_taken_for_outputs(tmp_path):
    def until_it_breaks():
        yield PIXELS[:4]
        raise KeyboardInterrupt

    network = Counting()
    with pytest.raises(KeyboardInterrupt):
        OutputStore(tmp_path).get(KEY, until_it_breaks(), 10, network)
    assert OutputStore(tmp_path).get(KEY, batches(), 10, network)["value"].tolist() == list(range(10))


def _get_and_hang(folder, started):
    def hanging():
        yield PIXELS[:4]
        started.set()
        time.sleep(60)

    OutputStore(folder).get(KEY, hanging(), 10, Counting())


def test_killed_process_leaves_nothing_and_holds_nobody_up(tmp_path):
    context = multiprocessing.get_context("fork")
    started = context.Event()
    process = context.Process(target=_get_and_hang, args=(tmp_path, started))
    process.start()
    assert started.wait(30)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert OutputStore(tmp_path).get(KEY, batches(), 10, Counting())["value"].tolist() == list(range(10))
    assert not list(tmp_path.glob("*.partial"))


def _get_and_log(folder, log, wait):
    def slowly():
        wait.wait(30)
        with log.open("a") as file:
            file.write("computed\n")
        yield PIXELS

    assert OutputStore(folder).get(KEY, slowly(), 10, Counting())["value"].tolist() == list(range(10))


def test_two_processes_compute_once(tmp_path):
    context = multiprocessing.get_context("fork")
    together = context.Event()
    arguments = (tmp_path / "store", tmp_path / "log", together)
    processes = [context.Process(target=_get_and_log, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    together.set()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert (tmp_path / "log").read_text() == "computed\n"


def test_memory_is_that_of_a_batch_whatever_the_number_of_images(tmp_path):
    def network(pixels):
        return {"features": np.ones((len(pixels), 768), np.float32)}

    def peak(rows):
        many = (np.zeros((500, 1, 1, 1), np.uint8) for _ in range(rows // 500))
        tracemalloc.start()
        OutputStore(tmp_path).get(OutputKey("m", str(rows)), many, rows, network)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    batch = 500 * 768 * 4
    peak(500)  # what is imported at first use is no memory of the outputs
    assert peak(40_000) < 3 * batch
    assert _resident_growth(tmp_path, network) < 20 * batch


def _resident_growth(folder, network):
    """By how many bytes this process grows while it writes 40,000 x 768 float32, 123 MB."""
    psutil = pytest.importorskip("psutil")
    process = psutil.Process()
    before, peak = process.memory_info().rss, 0

    def watched(pixels):
        nonlocal peak
        peak = max(peak, process.memory_info().rss)
        return network(pixels)

    many = (np.zeros((500, 1, 1, 1), np.uint8) for _ in range(80))
    OutputStore(folder).get(OutputKey("m", "resident"), many, 40_000, watched)
    return peak - before


def test_wrong_number_of_images_is_refused_and_not_kept(tmp_path):
    with pytest.raises(ValueError, match="10 images came for outputs of 11 rows"):
        OutputStore(tmp_path).get(KEY, batches(), 11, Counting())
    assert not (tmp_path / KEY.digest()).exists()


def test_output_without_a_row_an_image_is_refused(tmp_path):
    with pytest.raises(ValueError, match="output 'mean' has 1 rows for 4 images"):
        OutputStore(tmp_path).get(KEY, batches(), 10, lambda _: {"mean": np.zeros(1, np.float32)})


def test_torch_network_gives_numpy_outputs_of_images_between_0_and_1():
    network = numpy_network(lambda images: {"peak": images.amax((1, 2, 3))}, torch.device("cpu"))
    assert network(np.array([0, 255], np.uint8).reshape(2, 1, 1, 1))["peak"].tolist() == [0.0, 1.0]


def test_module_fingerprint_is_of_weights_and_architecture():
    def linear(weight, **more):
        module = nn.Linear(2, 1, **more)
        nn.init.constant_(module.weight, weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
        return module

    assert module_fingerprint(linear(1.0)) == module_fingerprint(linear(1.0))
    others = [linear(2.0), linear(1.0, bias=False), linear(1.0).bfloat16(), nn.Sequential(linear(1.0), nn.ReLU())]
    assert len({module_fingerprint(module) for module in (linear(1.0), *others)}) == 5


def test_onnx_fingerprint_is_of_the_graph_and_the_weights_beside_it(tmp_path):
    def write(weight):
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node("Identity", ["w"], ["out"])],
            "one weight",
            [],
            [onnx.helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, [1])],
            [onnx.numpy_helper.from_array(np.array([weight], np.float32), "w")],
        )
        (tmp_path / "weights").unlink(missing_ok=True)
        onnx.save(
            onnx.helper.make_model(graph),
            tmp_path / "model.onnx",
            save_as_external_data=True,
            location="weights",
            size_threshold=0,
        )
        return onnx_fingerprint(tmp_path / "model.onnx")

    assert write(1.0) == write(1.0) != write(2.0)
