# Everything a contributor runs. `make` alone lists the targets.

.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
# Dependency groups need pip 25.1; a fixed version makes every checkout install alike.
PIP_VERSION := 26.3
UV_VERSION := 0.13.9

# The newest Python that Airflow runs on and that can make a virtual environment.
PYTHON ?= $(shell for candidate in python3.13 python3.12 python3.11 python3.10 python3; do \
	$$candidate -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null \
	&& { echo $$candidate; break; }; done)

# What the local BitScale of 'demo' and 'airflow' speaks: v1.1.0, or workspace-key.
CONTRACT ?= v1.1.0

# What test-matrix tests on; as paths, if they are not on PATH.
PYTHONS ?= python3.10 python3.11 python3.12 python3.13
# Files and folders of tests that test-python, test-matrix and test-lowest keep to; empty: all.
TESTS ?=

# More than there are cores: most of what they do is wait.
IN_PARALLEL := --numprocesses 6 --dist worksteal
# One Airflow starts while the other one waits; tests of one file share theirs, and conftest.py sorts the files.
TWO_AIRFLOWS := --numprocesses 2 --dist loadfile --no-loadscope-reorder

# Another Airflow's settings must not reach into this one, nor this one's files into $HOME.
unexport $(filter AIRFLOW%,$(.VARIABLES))
export AIRFLOW_HOME := $(CURDIR)/$(VENV)/airflow

.PHONY: help demo airflow test test-fast soak test-system test-python test-matrix test-lowest test-next bench \
	docs release-check format lint types constraints clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
	|| sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1: \2/p' $(MAKEFILE_LIST)

demo: $(VENV)/ready ## a minute, no account: enrich a CSV with a real Airflow and a local BitScale
	@$(BIN)/python -m tests.tools.demo --contract $(CONTRACT)

airflow: $(VENV)/ready ## the same to click through; both also with CONTRACT=workspace-key
	@$(BIN)/python -m tests.tools.ui --contract $(CONTRACT)

test: $(VENV)/ready ## every promise once, system tests last: a quarter of an hour
	@$(BIN)/python -m pytest -m "not system and not slow" $(IN_PARALLEL)
	@$(BIN)/python -m pytest -m "system and not slow" $(TWO_AIRFLOWS)

test-fast: $(VENV)/ready ## while you edit: no scenarios, nothing that runs a DAG; under a minute
	@$(BIN)/python -m pytest -m "not system and not slow" --numprocesses 3 --dist worksteal \
		--ignore tests/airflow --ignore tests/scenarios --ignore tests/system

soak: $(VENV)/ready ## the slow tests that `make test` leaves out: sweeps, many kills, large tables
	@$(BIN)/python -m pytest -m "slow and not system" --numprocesses 2 --dist worksteal
	@$(BIN)/python -m pytest -m "slow and system" $(TWO_AIRFLOWS)

test-system: $(VENV)/ready ## only the tests that start Airflow's processes
	@$(BIN)/python -m pytest -m "system and not slow" $(TWO_AIRFLOWS)

test-matrix: ## all but the system tests, on each Python of PYTHONS, then on the lowest versions
	@for python in $(PYTHONS); do $(MAKE) --no-print-directory test-python PYTHON=$$python || failed="$$failed $$python"; done; \
	$(MAKE) --no-print-directory test-lowest PYTHON=$(firstword $(PYTHONS)) || failed="$$failed lowest"; \
	test -z "$$failed" || { echo "Failed on:$$failed" >&2; exit 1; }

test-python: ## the same on one: make test-python PYTHON=python3.12
	@$(require-python)
	@echo "Testing on $$($(PYTHON) --version)"
	@venv=$$(mktemp -d) && trap 'rm -rf "$$venv"' EXIT \
	&& $(PYTHON) -m venv "$$venv" && "$$venv/bin/pip" install --quiet --quiet uv==$(UV_VERSION) \
	&& "$$venv/bin/uv" pip install --quiet --python "$$venv/bin/python" --constraint constraints.txt --editable . --group dev \
	&& "$$venv/bin/python" -m pytest -m "not system and not slow" $(IN_PARALLEL) $(TESTS)

test-lowest: ## all but the system tests, on the lowest versions that pyproject.toml declares
	@$(require-python)
	@lowest=$$(mktemp -d) && trap 'rm -rf "$$lowest"' EXIT \
	&& $(PYTHON) -m venv "$$lowest" && "$$lowest/bin/pip" install --quiet --quiet uv==$(UV_VERSION) \
	&& "$$lowest/bin/uv" pip install --quiet --python "$$lowest/bin/python" --resolution lowest-direct --editable '.[redis]' \
	&& "$$lowest/bin/uv" pip install --quiet --python "$$lowest/bin/python" pytest pytest-mock pytest-timeout pytest-xdist psutil \
	&& "$$lowest/bin/python" -m pytest -m "not system and not slow" $(IN_PARALLEL) $(TESTS) \
		--ignore tests/system --ignore tests/benchmarks --ignore tests/docs --ignore tests/packaging

test-next: ## the system tests, on the newest pre-release of Airflow that pip finds
	@$(require-python)
	@next=$$(mktemp -d) && trap 'rm -rf "$$next"' EXIT \
	&& $(PYTHON) -m venv "$$next" && "$$next/bin/pip" install --quiet --quiet pip==$(PIP_VERSION) \
	&& version=$$("$$next/bin/pip" index versions --pre apache-airflow 2>/dev/null | sed -n '1s/.*(\(.*[a-z].*\))/\1/p') \
	&& if test -z "$$version"; then echo "There is no pre-release of Airflow after its newest release: nothing to test"; \
	else echo "Testing on Airflow $$version" \
	&& "$$next/bin/pip" install --quiet --quiet --editable . --group dev "apache-airflow==$$version" \
	&& "$$next/bin/python" -m pytest -m "system and not slow" $(TWO_AIRFLOWS); fi

bench: $(VENV)/ready-bench ## measure this provider beside its peers
	@$(BIN)/python -m tests.benchmarks

docs: $(VENV)/ready ## build the documentation into build/docs; a warning is an error
	@$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "Built build/docs/index.html"

release-check: $(VENV)/ready ## is all true that must be before a release
	@$(BIN)/python -m tests.tools.release_check

format: $(VENV)/ready ## sort imports and format, as lint wants it
	@$(BIN)/ruff check --quiet --select I --fix .
	@$(BIN)/ruff format --quiet .

lint: $(VENV)/ready ## ruff, rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/ready ## mypy, strict
	@$(BIN)/mypy

constraints: ## resolve constraints.txt again, for Python 3.10 to 3.13; UPGRADE=--upgrade for newer versions
	@$(require-python)
	@tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT \
	&& $(PYTHON) -m venv "$$tools" && "$$tools/bin/pip" install --quiet --quiet uv==$(UV_VERSION) \
	&& cp constraints.txt "$$tools/resolved" \
	&& "$$tools/bin/uv" pip compile --quiet --universal $(UPGRADE) --python-version 3.10 \
		--no-header --no-annotate --group dev --group bench --output-file "$$tools/resolved" pyproject.toml \
	&& { echo "# What 'make constraints' resolved from pyproject.toml; do not edit by hand."; \
		cat "$$tools/resolved"; } > constraints.txt

clean: ## remove the environment and every cache
	@rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/ready: pyproject.toml constraints.txt
	@$(require-python)
	@echo "Building $(VENV) with $$($(PYTHON) --version) (once, a minute or two)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --quiet pip==$(PIP_VERSION)
	@$(BIN)/python -m pip install --quiet --quiet --constraint constraints.txt --editable . --group dev
	@touch $@

$(VENV)/ready-bench: $(VENV)/ready
	@$(BIN)/python -m pip install --quiet --quiet --constraint constraints.txt --group bench
	@touch $@

define require-python
test -n "$(PYTHON)" || { echo "Needs Python 3.10 or newer with its venv module (Debian: apt-get install python3-venv)." >&2; exit 1; }
endef
