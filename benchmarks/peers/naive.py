"""FastAPI as in its tutorial: decode and run in the handler, onnxruntime with its defaults."""

from typing import Any

import numpy as np
from fastapi import FastAPI, UploadFile

from benchmarks.peers.pair import open_pair

app = FastAPI()
pair = open_pair()


@app.post("/predict")
def predict(image: UploadFile) -> dict[str, Any]:
    """Runs in a thread of FastAPI's pool."""
    pixels = pair.decode(image.file.read())
    return pair.answer(np.expand_dims(pixels, 0))[0]
