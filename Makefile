# `make help` lists the targets. Variables may be given on the command line: make demo PYTHON=python3.12
.POSIX:
.SUFFIXES:
SHELL = /bin/sh

PYTHON = python3
VENV = .venv
WORKERS = 2
# An index of torch builds, asked in addition to the configured ones: PyTorch's own CPU index, say, or one for a CUDA version.
TORCH_INDEX =

PY = $(VENV)/bin/python
STAMP = $(VENV)/.installed
# One thread per process: two workers share two cores, and sums are taken in the same order everywhere.
PYTEST = OMP_NUM_THREADS=1 WANDB_MODE=offline $(PY) -m pytest

.PHONY: help setup demo configs test test-fast test-scatter lint format types bench clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## create .venv and install recmm with the tested versions; nothing to do when they are there

# Torch comes first and on its own, so that what follows keeps the build chosen here.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo 'recmm needs Python 3.11 or newer: make setup PYTHON=python3.11'; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || \
	    { rm -rf $(VENV); echo 'python3 -m venv failed; on Debian and Ubuntu: apt-get install python3-venv'; exit 1; }
	@set -e; \
	version=$$(sed -n 's/^torch==//p' constraints.txt); \
	pip="$(PY) -m pip install --disable-pip-version-check -c constraints.txt"; \
	if [ -n '$(TORCH_INDEX)' ]; then pip="$$pip --extra-index-url $(TORCH_INDEX)"; fi; \
	if $(PY) -c "from importlib.metadata import version; assert version('torch').split('+')[0] == '$$version'" 2>/dev/null; \
	then echo "torch $$version is there."; \
	elif nvidia-smi -L >/dev/null 2>&1; then $$pip "torch==$$version"; \
	elif $$pip "torch==$$version+cpu" 2>/dev/null; then :; \
	else \
	    if [ "$$(uname -s)" = Linux ]; then \
	        echo "No CPU build of torch $$version in the places that pip knows: taking the default build, on Linux with"; \
	        echo "several GB of CUDA libraries. To avoid them, stop here and run: make setup TORCH_INDEX=<PyTorch's CPU index>"; \
	    fi; \
	    $$pip "torch==$$version"; \
	fi
	$(PY) -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

demo: setup ## train I3-MRec on the embedded data with modalities missing (MTMT): under 2 minutes
	$(PY) train.py experiment=demo

configs: setup ## write the YAML files of conf/ that are generated from the methods' settings
	$(PY) -m recmm.experiment.config.generate

test: setup ## run the whole test suite with coverage (fails under 90 %)
	$(PYTEST) -n $(WORKERS) --dist worksteal --cov --cov-report=term --cov-fail-under=90

test-fast: setup ## run the tests of the working day: everything not marked slow
	$(PYTEST) -n $(WORKERS) --dist worksteal -m 'not slow'

test-scatter: setup ## build the extra [scatter] (minutes) and compare its path with the native one
	$(PY) -m pip install --disable-pip-version-check -c constraints.txt setuptools wheel ninja
	$(PY) -m pip install --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[scatter]'
	$(PYTEST) -m scatter

lint: setup ## check style and formatting
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: setup ## repair style and formatting in place
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

types: setup ## check types
	$(PY) -m mypy

bench: setup ## compare speed with a bare training loop
	$(PY) benchmarks/epoch.py

clean: ## remove caches and build output; records and .venv stay
	rm -rf build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find recmm tests benchmarks experiments -name __pycache__ -type d -prune -exec rm -rf {} +
