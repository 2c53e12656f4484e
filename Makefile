# Every target works on a fresh machine with Python 3.11-3.13 and make.
PYTHON ?= python3
SERVE := .venv
DEV := .venv-dev
PIP := -m pip --disable-pip-version-check --quiet
ENGINE ?= $(firstword $(foreach engine,docker podman buildah,$(shell command -v $(engine))) docker)
IMAGE_FLAGS ?=
BENCH ?=
IMAGE_VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' service/__init__.py)
REVISION = $(shell git rev-parse HEAD 2>/dev/null || echo unknown)

# onnxruntime sends telemetry unless this is set before it loads.
export ORT_DISABLE_TELEMETRY = 1

.DEFAULT_GOAL := help
.PHONY: help serve test lint format data train release image requirements clean bench

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

serve: $(SERVE)/installed ## serve the released model on http://127.0.0.1:8000
	@exec $(SERVE)/bin/digits serve

test: $(DEV)/installed ## run all tests
	$(DEV)/bin/python -m pytest

lint: $(DEV)/installed ## check style, types, security and dependencies
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy
	$(DEV)/bin/bandit --configfile pyproject.toml --quiet --recursive service training
	$(DEV)/bin/python .ci/audit.py

format: $(DEV)/installed ## put the code into its style
	$(DEV)/bin/ruff check --fix .
	$(DEV)/bin/ruff format .

data: $(DEV)/installed ## download MNIST into DIGITS_DATA_DIR (data/)
	$(DEV)/bin/python -m training data

train: $(DEV)/installed ## train the default network
	$(DEV)/bin/python -m training train

release: $(DEV)/installed ## put a run into models/: make release RUN=runs/<id> VERSION=1.2.0
	$(DEV)/bin/python -m training release $(RUN) --version $(VERSION)

image: ## build the container image, with docker, podman or buildah
	$(ENGINE) build $(if $(findstring docker,$(ENGINE)),,--format docker) --tag digits:$(IMAGE_VERSION) \
		--build-arg VERSION=$(IMAGE_VERSION) --build-arg REVISION=$(REVISION) $(IMAGE_FLAGS) .

requirements: $(DEV)/installed ## write requirements.txt: what the image installs, with hashes, as constraints.txt pins it
	$(DEV)/bin/uv pip compile pyproject.toml --constraint constraints.txt --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-header --no-emit-index-url --quiet --output-file requirements.txt

# The picture needs the right to look into another process (py-spy); without it the document does without, or keeps the last.
bench: $(DEV)/installed ## measure beside other servers, write docs/performance.md: 19 minutes, needs wrk; BENCH=--full: all loads
	$(DEV)/bin/python -m benchmarks.compare $(BENCH)
	-$(DEV)/bin/python -m benchmarks.profile
	$(DEV)/bin/python -m benchmarks.report

clean: ## remove what the targets made, but no data and no run
	rm -rf $(SERVE) $(DEV) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis

# The service alone: no TensorFlow.
$(SERVE)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(SERVE)
	$(SERVE)/bin/python $(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(DEV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/python $(PIP) install --constraint constraints.txt --editable '.[training,dev]'
	@touch $@
