"""Offline: trains an oracle beside a frozen classifier, measures both, exports the pair as one bundle."""

import os

# Read when onnxruntime is first imported: without it, it reports to its makers how it is used.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
