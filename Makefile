# Each target sets up what it needs by itself, under .venvs/.
PYTHON ?= python3
PORT   ?= 8000
HOST   ?= 127.0.0.1
MODEL  ?= fashion-mnist
ARGS   ?=

# A name means a folder under models/; anything with a slash is a path.
MODEL_PATH := $(if $(findstring /,$(MODEL)),$(MODEL),models/$(MODEL))
# onnxruntime and onnxruntime-gpu exclude each other: one environment each, the GPU's where a driver answers.
SERVICE    := $(shell nvidia-smi >/dev/null 2>&1 && echo gpu || echo service)
INSTALL     = bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: serve demo-drift train wrap report results test packages bench soak audit dashboards lint types lock clean
.DELETE_ON_ERROR:

serve: .venvs/$(SERVICE)/.ready
	@exec .venvs/$(SERVICE)/bin/trustserve serve --host $(HOST) --port $(PORT) --model $(MODEL_PATH) $(ARGS)

demo-drift: .venvs/$(SERVICE)/.ready
	@.ci/system-packages prometheus dataset-fashion-mnist || echo "no Prometheus, or few images: the demo does with what there is"
	@.venvs/$(SERVICE)/bin/python -m demo.drift $(ARGS)

train: .venvs/dev/.ready
	@[ "$(ARGS)" ] || .ci/system-packages dataset-fashion-mnist || echo "torchvision will download the images instead"
	@.venvs/dev/bin/trustserve-train all $(ARGS)

wrap: .venvs/dev/.ready
	@.venvs/dev/bin/trustserve-train wrap $(ARGS)

report: .venvs/dev/.ready
	@.venvs/dev/bin/trustserve-train evaluate $(MODEL_PATH) $(ARGS)

results: .venvs/dev/.ready
	@[ "$(ARGS)" ] || .ci/system-packages dataset-fashion-mnist || echo "torchvision will download the images instead"
	@.venvs/dev/bin/trustserve-train study $(ARGS)

# Two processes, a file at a time in the order of the files, a thread each. Then, with the machine to themselves, the
# tests that measure; 5: there are none.
test: export OMP_NUM_THREADS = 1
test: .venvs/dev/.ready packages
	@.venvs/dev/bin/pytest $(or $(ARGS),-n 2 --dist loadfile --no-loadscope-reorder -m "not serial")
	@$(if $(ARGS),,.venvs/dev/bin/pytest -m serial $(wildcard tests/reliability) || [ $$? = 5 ])

# What the tests run that is no Python package.
packages:
	@.ci/system-packages prometheus prometheus-alertmanager postgresql nginx faketime dataset-fashion-mnist chromium chromium-driver

# With ARGS a part of the servers' race, such as --quick; without, all that is measured.
bench: .venvs/dev/.ready .venvs/bench-litserve/.ready .venvs/bench-bentoml/.ready
	@.ci/system-packages wrk
	@.venvs/dev/bin/python -m benchmarks.serving $(ARGS)
ifeq ($(ARGS),)
	@.venvs/dev/bin/python -m benchmarks.serving.profile
	@.venvs/dev/bin/python -m benchmarks.serving.growth
	@.venvs/dev/bin/python -m benchmarks.monitoring
	@.venvs/dev/bin/python -m benchmarks.alarm
	@.venvs/dev/bin/python -m benchmarks.input_drift
endif

# Half an hour; ARGS=5 for five minutes. Then a minute of ten times too much. Figures go into docs/reliability.md.
soak: .venvs/dev/.ready
	@.venvs/dev/bin/python -m benchmarks.soak $(ARGS)
	@.venvs/dev/bin/python -m benchmarks.overload

# Known vulnerabilities of what is locked, as PyPI has them, and the licences of what serves. Strict: a package that the
# service does not know is no package without vulnerabilities.
audit: .venvs/dev/.ready .venvs/$(SERVICE)/.ready
	@.venvs/dev/bin/pip-licenses --python .venvs/$(SERVICE)/bin/python --order license
	@said=$$(.venvs/dev/bin/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip \
	  --progress-spinner off 2>&1) && echo "$$said" || { echo "$$said" | tail -40; \
	  echo "$$said" | grep -q '^Found' && exit 1; \
	  echo "audit: PyPI's vulnerability service did not answer for every package: NOTHING IS KNOWN"; exit 2; }

# The dashboards under deploy/grafana/dashboards/, from deploy/grafana/source/.
dashboards: .venvs/dev/.ready
	@.venvs/dev/bin/python -m deploy.grafana.source.write

lint: .venvs/dev/.ready
	@.venvs/dev/bin/ruff check .
	@.venvs/dev/bin/ruff format --check .

types: .venvs/dev/.ready
	@.venvs/dev/bin/mypy

# Writes down what the environment holds; torch brings its own CUDA packages of the matching versions. The GPU's
# onnxruntime is not in it and keeps its pin.
lock: .venvs/dev/.ready
	@{ .venvs/dev/bin/pip freeze --exclude-editable | grep -ivE '^(nvidia|cuda|triton)'; \
	   grep '^onnxruntime-gpu==' constraints.txt; } > constraints.new && mv constraints.new constraints.txt

clean:
	rm -rf .venvs runs build *.egg-info

# A peer's own packages, beside what the networks are run with.
.venvs/bench-%/.ready: benchmarks/peers/%.txt
	@echo "setting up .venvs/bench-$* (once) ..."
	@$(PYTHON) -m venv .venvs/bench-$*
	@.venvs/bench-$*/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

.venvs/%/.ready: pyproject.toml constraints.txt
	@echo "setting up .venvs/$* (once) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python >= 3.11 wanted; give another with PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venvs/$* || { echo "this Python cannot make environments; on Debian: apt-get install python3-venv"; exit 1; }
	@.venvs/$*/$(INSTALL) '.[$*]'
	@touch $@
