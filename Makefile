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
DEV_STAMP = $(VENV)/.installed-dev
DOCS_STAMP = $(VENV)/.installed-docs
# One thread per process: two workers share two cores, and sums are taken in the same order everywhere.
PYTEST = OMP_NUM_THREADS=1 WANDB_MODE=offline $(PY) -m pytest

# Every file is checked against the hashes of uv.lock, and nothing is built with packages that it does not name.
PIP = $(PY) -m pip install --disable-pip-version-check
UV_OR_PIP = if command -v uv >/dev/null; then set -- uv pip install --python $(PY); else set -- $(PIP); fi; \
	"$$@" --no-deps --no-build-isolation
LOCKED = $(UV_OR_PIP) --require-hashes

EXPORT = uv export --quiet --frozen --no-emit-project --no-annotate --no-header

.PHONY: help setup setup-dev demo configs docs wheel test test-fast test-scatter lint licences format types bench lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## create .venv and install recmm with what it needs to run; nothing to do when it is there

setup-dev: $(DEV_STAMP) ## the same, and the optional extras and tools that tests, lint and types need

# Torch comes first and on its own: its build depends on the machine.
$(STAMP): pyproject.toml requirements/build.txt requirements/torch.txt requirements/run.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo 'recmm needs Python 3.11 or newer: make setup PYTHON=python3.11'; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || \
	    { rm -rf $(VENV); echo 'python3 -m venv failed; on Debian and Ubuntu: apt-get install python3-venv'; exit 1; }
	@$(LOCKED) -r requirements/build.txt
	@set -e; \
	version=$$(sed -n 's/^torch==\([^ ]*\).*/\1/p' requirements/torch.txt); \
	index='$(TORCH_INDEX)'; \
	gpu() { nvidia-smi -L >/dev/null 2>&1; }; \
	if $(PY) -c "from importlib.metadata import version; assert version('torch').split('+')[0] == '$$version'" 2>/dev/null; \
	then echo "torch $$version is there."; \
	elif ! gpu && $(PIP) $${index:+--extra-index-url "$$index"} --no-deps "torch==$$version+cpu" 2>/dev/null; then :; \
	elif [ -n "$$index" ]; then $(PIP) --extra-index-url "$$index" "torch==$$version"; \
	else \
	    if [ "$$(uname -s)" = Linux ] && ! gpu; then \
	        echo "No CPU build of torch $$version in the places that pip knows: taking the default build, on Linux with"; \
	        echo "several GB of CUDA libraries. To avoid them, stop here and run: make setup TORCH_INDEX=<PyTorch's CPU index>"; \
	    fi; \
	    $(LOCKED) -r requirements/torch.txt; \
	fi
	@$(LOCKED) -r requirements/run.txt
	@$(UV_OR_PIP) -e .
	@touch $(STAMP)

$(DEV_STAMP): $(STAMP) requirements/dev.txt
	@$(LOCKED) -r requirements/dev.txt
	@touch $(DEV_STAMP)

$(DOCS_STAMP): $(STAMP) requirements/docs.txt
	@$(LOCKED) -r requirements/docs.txt
	@touch $(DOCS_STAMP)

demo: setup ## train I3-MRec on the embedded data with modalities missing (MTMT): under 2 minutes
	$(PY) train.py experiment=demo

configs: setup ## write the YAML files of conf/ that are generated from the methods' settings
	$(PY) -m recmm.experiment.config.generate

# MkDocs' theme announces the plans of its authors at every build; that is nothing of ours.
docs: $(DOCS_STAMP) ## build the documentation into build/site; warnings are errors
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet
	@echo 'build/site/index.html'

test: setup-dev ## run the whole test suite with coverage (fails under 95 %)
	$(PYTEST) -n $(WORKERS) --dist worksteal --cov --cov-report=term --cov-fail-under=95

test-fast: setup-dev ## run the tests of the working day: everything not marked slow
	$(PYTEST) -n $(WORKERS) --dist worksteal -m 'not slow'

test-scatter: setup-dev ## build the extra [scatter] (minutes) and compare its path with the native one
	@$(LOCKED) -r requirements/scatter.txt
	$(PYTEST) -m scatter

lint: setup-dev ## check style, formatting and that every licence is one of those that pyproject.toml allows
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	@$(PY) -m piplicenses >/dev/null

licences: setup-dev ## list the licence of every installed distribution
	@$(PY) -m piplicenses --allow-only '' --ignore-packages '' --with-urls

format: setup-dev ## repair style and formatting in place
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

types: setup-dev ## check types
	$(PY) -m mypy

bench: setup ## compare speed with a bare training loop
	$(PY) benchmarks/epoch.py

wheel: setup-dev ## build the wheel into dist/
	@$(PY) -m build --wheel --no-isolation

# torch.txt is torch's default build with its CUDA libraries. Each file holds what those before it do not.
lock: ## resolve uv.lock and write requirements/ from it; needs uv. make lock UPGRADE=--upgrade takes newer versions
	uv lock $(UPGRADE)
	@set -e; cd requirements; \
	write() { file=$$1; shift; { echo '# Written by `make lock` from uv.lock.'; $(EXPORT) "$$@"; } >$$file.new; mv $$file.new $$file; }; \
	but() { cat "$$@" | sed -n 's/^\([^ =]*\)==.*/--no-emit-package=\1/p'; }; \
	$(EXPORT) | grep -E '^(torch|triton|(cuda|nvidia)-[^=]*)==' >torch.names; \
	write build.txt --only-group build; \
	write run.txt $$(but build.txt torch.names); \
	write torch.txt $$(but build.txt run.txt); \
	write dev.txt --extra dev $$(but build.txt run.txt torch.txt); \
	write docs.txt --extra docs $$(but build.txt run.txt torch.txt); \
	write scatter.txt --extra scatter --group scatter $$(but build.txt run.txt torch.txt); \
	rm torch.names

clean: ## remove caches and build output; records and .venv stay
	rm -rf build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find recmm tests benchmarks experiments -name __pycache__ -type d -prune -exec rm -rf {} +
