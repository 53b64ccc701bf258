"""TorchScript as an ONNX graph, by the exporter that understands it.

torch's newer exporter takes modules of Python code only. The one from before reads TorchScript as it is, control flow
included; whether it says the same is checked here, on random images and with another number of them.
"""

import io
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import ModelProto

from training.wrap.preprocessing import Layout

_OPSET = 17
_TOLERANCE = 1e-3
"""Largest difference of an output, relative to the largest output."""


def export_torchscript(module: torch.jit.ScriptModule, input_size: tuple[int, int, int], layout: Layout) -> ModelProto:
    """The graph of a loaded module, `input` (N, ...) float to `output`.

    Raises:
        ValueError: the module does not take such images, gives more than one tensor, or has no ONNX graph that says
            the same.
    """
    channels, height, width = input_size
    shape = (channels, height, width) if layout == "nchw" else (height, width, channels)
    drawn = torch.Generator().manual_seed(0)
    images = torch.rand(3, *shape, generator=drawn)
    wanted = _run(module, images)
    model = _export(module, images[:2])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    try:
        found = session.run(None, {"input": images.numpy()})[0]
    except Exception as error:
        raise ValueError(f"the TorchScript module has its number of images built in: {error}; trace it anew") from error
    difference = float(np.abs(found - wanted).max()) / max(float(np.abs(wanted).max()), 1e-12)
    if not difference <= _TOLERANCE:
        raise ValueError(
            f"the ONNX graph made of the TorchScript module answers differently: by {difference:.2g} of its largest "
            "output; export it from the Python module with torch.onnx.export"
        )
    return model


@torch.inference_mode()
def _run(module: torch.jit.ScriptModule, images: torch.Tensor) -> np.ndarray:
    try:
        output = module(images)
    except RuntimeError as error:
        last = str(error).strip().splitlines()[-1]
        raise ValueError(
            f"the TorchScript module does not take float images {tuple(images.shape)}: {last}; see --input-size and "
            "--layout"
        ) from error
    if not isinstance(output, torch.Tensor):
        raise ValueError(f"the TorchScript module gives {type(output).__name__}, not one tensor of scores (N, K)")
    return output.float().numpy()


def _export(module: torch.jit.ScriptModule, images: torch.Tensor) -> ModelProto:
    file = io.BytesIO()
    try:
        # It warns that it is the older one, which is why it is asked.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                (images,),
                file,  # type: ignore[arg-type]  # the older exporter takes it
                dynamo=False,
                input_names=["input"],
                output_names=["output"],
                dynamic_axes={"input": {0: "N"}, "output": {0: "N"}},
                opset_version=_OPSET,
            )
    except Exception as error:
        first = str(error).strip().splitlines()[0]
        raise ValueError(
            f"the TorchScript module has no ONNX graph ({first}); export the Python module with torch.onnx.export"
        ) from error
    return onnx.load_from_string(file.getvalue())
