# `make demo` and `make test` need nothing but Python 3.11 or later; both work inside .venv.
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo
# Cores that run tests; the tests of a file stay on one, as they share what they train.
JOBS ?= 2
PYTHON ?=
CANDIDATES := $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14 python)

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-kernels lint bench docs docs-links wheel clean

help:
	@echo "make demo           install into .venv, train on the embedded data, test it (PYTHON=... picks a Python)"
	@echo "make test           install into .venv, run the tests that are quick (JOBS=2 cores)"
	@echo "make test-slow      the other tests"
	@echo "make test-kernels   the numerical tests under each kind of kernels that this processor has"
	@echo "make lint           format, lint and types"
	@echo "make bench          speed and memory as ratios, into benchmarks/"
	@echo "make docs           build the site into build/site, warnings are errors; runs the notebooks"
	@echo "make docs-links     ask the sites of others whether links to them still lead somewhere"
	@echo "make wheel          build the wheel and check what it holds"
	@echo "make clean          remove what these commands made"

demo: $(VENV)/.plots
	rm -rf $(DEMO)
	$(BIN)/hilmix fit -c configs/demo.yaml --run_dir $(DEMO)
	$(BIN)/hilmix test -c configs/demo.yaml --run_dir $(DEMO) --ckpt_path last

test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n $(JOBS) --dist loadfile

test-slow: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow

test-kernels: $(VENV)/.dev
	$(BIN)/python .ci/kernels.py

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python -m pip install -e '.[bench]'
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.run

docs: $(VENV)/.docs build/reports/.made
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build -E -W --keep-going -b html -c docs/site . build/site
	@echo "open build/site/index.html"

docs-links: $(VENV)/.docs build/reports/.made
	HILMIX_DOCS_NOTEBOOKS=off $(BIN)/sphinx-build -q -b linkcheck -c docs/site . build/links

build/reports/.made: $(VENV)/.docs docs/make_reports.py $(wildcard hilmix/report/*.py hilmix/report/pages/*)
	rm -rf build/reports
	OMP_NUM_THREADS=1 $(BIN)/python -m docs.make_reports build/reports
	@touch $@

wheel: $(VENV)/.dev
	rm -rf build dist
	$(BIN)/python -m build --wheel
	$(BIN)/python .ci/check_wheel.py dist/*.whl

clean:
	rm -rf $(VENV) $(DEMO) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The stamps keep set-up from being repeated until the requirements change.
$(VENV)/.created:
	@for python in $(CANDIDATES); do \
	    if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "Creating $(VENV) with $$($$python --version)"; \
	        $$python -m venv $(VENV) && touch $@ && exit 0; \
	        exit 1; \
	    fi; \
	done; \
	echo "hilmix needs Python 3.11 or later with its venv module; none of these is one: $(CANDIDATES)." >&2; \
	echo "Install it (on Debian or Ubuntu: apt install python3-venv) or name one: make PYTHON=/path/to/python3.12 ..." >&2; \
	exit 1

$(VENV)/.plots: $(VENV)/.created setup.cfg pyproject.toml
	$(BIN)/python -m pip install -e '.[plots]'
	@touch $@

$(VENV)/.docs: $(VENV)/.dev
	$(BIN)/python -m pip install -e '.[docs]'
	@touch $@

$(VENV)/.dev: $(VENV)/.created setup.cfg pyproject.toml
	$(BIN)/python -m pip install -e '.[dev]'
	@touch $@ $(VENV)/.plots
