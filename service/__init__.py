"""Online: answers images over HTTP with a label, a trust probability and a decision. Never imports torch."""

import os

# Read when onnxruntime is first imported: without it, it reports to its makers how it is used.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
