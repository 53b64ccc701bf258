# The service alone: onnxruntime, no torch.
#
#   docker build -t trustserve:dev .
#   docker build -t trustserve:dev-gpu --build-arg EXTRA=gpu .
#
# The base is Debian with Python 3.11. To pin it to the byte, name its digest:
#   --build-arg BASE=docker.io/library/python:3.11-slim@sha256:...    (docker buildx imagetools inspect python:3.11-slim)
# The GPU variant needs no other base: CUDA and cuDNN come as Python packages, the driver from the host's NVIDIA
# Container Toolkit. A base that brings CUDA itself will do too, as long as it has `python` 3.11 or newer with venv.
ARG BASE=docker.io/library/python:3.11-slim

FROM ${BASE} AS build
ARG EXTRA=service
RUN python -m venv /opt/trustserve
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY trust trust
COPY service service
# Without training/ its command would only fail. pip compiles all modules: nothing is left to write at run time.
RUN /opt/trustserve/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt ".[${EXTRA}]" \
    && rm /opt/trustserve/bin/trustserve-train

FROM ${BASE}
LABEL org.opencontainers.image.title="trustserve" \
      org.opencontainers.image.description="Image classification with a calibrated probability that each answer is right" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/trustserve/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    TRUSTSERVE_HOST=0.0.0.0 \
    TRUSTSERVE_MODEL=/app/models/fashion-mnist
# Without it onnxruntime reports to Microsoft how it is used.
ENV ORT_DISABLE_TELEMETRY=1
WORKDIR /app
COPY --from=build /opt/trustserve /opt/trustserve
COPY deploy/healthcheck.py ./
# Windows, alarms and journal; a new volume mounted here takes over its owner.
RUN mkdir state && chown 10001:10001 state
# Another bundle: mount it and name its folder in TRUSTSERVE_MODEL.
COPY models/fashion-mnist models/fashion-mnist
# A number, so that Kubernetes sees that it is not root.
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 CMD ["python", "/app/healthcheck.py"]
ENTRYPOINT ["trustserve"]
CMD ["serve"]
