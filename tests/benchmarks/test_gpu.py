"""The GPU benchmark goes through all its ways on a CPU, and claims no GPU."""

import json

import pytest

from benchmarks import gpu


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    file = tmp_path_factory.mktemp("results") / "cpu.json"
    # "eager": inductor would compile C++ for a minute.
    gpu.main(device="cpu", pair="tiny", batches=(1, 2), seconds=0.0, compile_backend="eager", output=file)
    return json.loads(file.read_text())


def test_every_way_and_work_is_measured(results):
    found = {(row["engine"], row["precision"], row["work"], row["batch"]) for row in results["rows"]}
    works = ("classifier", "oracle", "in turn", "parallel")
    engines = ("onnxruntime", "torch", "torch.compile")
    precisions = ("float32", "float16")
    assert found == {(e, p, w, b) for e in engines for p in precisions for w in works for b in (1, 2)}
    assert all(row["ms_per_image"] > 0 for row in results["rows"])


def test_figures_of_a_cpu_say_so(results):
    assert not results["about"]["is_gpu"]
    assert {row["where"] for row in results["rows"]} == {"CPUExecutionProvider", "cpu"}


def test_what_does_not_run_is_a_row_that_says_why():
    def fail(_):
        raise RuntimeError("no working CUDA here\nand more")

    (row,) = gpu.measure(gpu.Contender("onnxruntime", "float32", fail), [], (1,), 0.0)
    assert (row.ms_per_image, row.error) == (None, "RuntimeError: no working CUDA here")


def test_batch_that_does_not_fit_ends_its_kind_of_work():
    def run(images):
        if len(images) > 2:
            raise MemoryError("out of memory")

    contender = gpu.Contender("torch", "float32", lambda _: ("cuda", {"classifier": run, "oracle": run}))
    rows = list(gpu.measure(contender, [None] * 8, (1, 2, 4, 8), 0.0))
    assert [(row.work, row.batch, row.error) for row in rows] == [
        (work, batch, error)
        for work in ("classifier", "oracle")
        for batch, error in ((1, None), (2, None), (4, "MemoryError: out of memory"))
    ]
