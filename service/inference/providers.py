"""onnxruntime's execution providers: what each device asks of them, and memory that a GPU reads directly."""

import ctypes
import sys
from typing import Any

import numpy as np
import onnxruntime

from service.inference.execution import Device, Execution
from trust.manifest import BundleError
from trust.preprocess import Pixels

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"

_NEEDED: dict[Device, tuple[str, str]] = {"cuda": (CUDA, "CUDA"), "tensorrt": (TENSORRT, "TensorRT")}


def wanted_providers(execution: Execution) -> list[Any]:
    """The providers of a session, the first one first, each with its options."""
    available = onnxruntime.get_available_providers()
    # Listed only means compiled in: whether it works, the session says afterwards.
    if execution.device == "cpu" or CUDA not in available:
        return [CPU]
    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()
    # The default measures every convolution anew for each batch size it has not seen.
    cuda = (CUDA, {"cudnn_conv_algo_search": "HEURISTIC"})
    if execution.device != "tensorrt" or TENSORRT not in available:
        return [cuda, CPU]
    return [(TENSORRT, _tensorrt_options(execution)), cuda, CPU]


def check_provider(provider: str, device: Device) -> None:
    """Accepts where a session runs.

    Raises:
        BundleError: a GPU is demanded, and the session does not run there.
    """
    needed, name = _NEEDED.get(device, (provider, ""))
    if provider != needed:
        libraries = "" if device == "cuda" else " and TensorRT's libraries (pip install tensorrt)"
        raise BundleError(
            f"device is {device}, but onnxruntime has no working {name} here; install trustserve[gpu]{libraries} on a "
            "machine with an NVIDIA driver, or choose --device auto"
        )


class HostMemory:
    """Pixels (N, H, W, C) uint8 in memory that a GPU reads directly: page-locked, where there is a CUDA runtime.

    CUDA copies from any other memory through a buffer of its own, and waits for it.
    """

    def __init__(self, shape: tuple[int, ...], provider: str) -> None:
        self.pixels: Pixels = np.zeros(shape, np.uint8)
        self._cuda = None if provider == CPU else _cuda_runtime()
        self.page_locked = bool(
            self._cuda and self._cuda.cudaHostRegister(self._address, ctypes.c_size_t(self.pixels.nbytes), 0) == 0
        )

    def close(self) -> None:
        """Gives the page lock back; the memory stays usable."""
        if self._cuda and self.page_locked:
            self._cuda.cudaHostUnregister(self._address)
            self.page_locked = False

    @property
    def _address(self) -> ctypes.c_void_p:
        return ctypes.c_void_p(self.pixels.ctypes.data)


def _tensorrt_options(execution: Execution) -> dict[str, str]:
    options = {"trt_fp16_enable": str(execution.half_precision)}
    if execution.engines is not None:
        execution.engines.mkdir(parents=True, exist_ok=True)
        options |= {
            "trt_engine_cache_enable": "True",
            "trt_engine_cache_path": str(execution.engines),
            "trt_timing_cache_enable": "True",
            "trt_timing_cache_path": str(execution.engines),
        }
    return options


def _cuda_runtime() -> ctypes.CDLL | None:
    """The library that onnxruntime itself loaded."""
    major = str(getattr(onnxruntime, "cuda_version", "") or "").partition(".")[0]
    name = f"cudart64_{major}.dll" if sys.platform == "win32" else f"libcudart.so.{major}"
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None
