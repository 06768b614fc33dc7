# One task runner, a few verbs. A fresh machine needs Python 3.11 or later, make and git; the rest is installed into .venv.

PYTHON ?= python3
SOURCE ?= sample
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9

# Great Expectations, Prefect and pandas take seconds to import, and twice that when Python must compile them each time.
export UV_COMPILE_BYTECODE := 1
UV := $(BIN)/uv
COMPILE := $(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --custom-compile-command "make lock"
INSTALL := $(UV) pip install --quiet --python $(BIN)/python --require-hashes

.PHONY: install run test test-all test-fast lint format docs lock wheel sbom coverage bench crash model soak fuzz faults mutation security clean
.DEFAULT_GOAL := run

install: $(VENV)/.installed  ## Install the locked dependencies of a run into .venv

run: $(VENV)/.installed  ## The daily job once, on the simulated market unless SOURCE names another source; with FAULT, a demonstration of fault injection
	@$(if $(FAULT),$(BIN)/python -m market_rotation.flows.cli.demonstration "$(FAULT)",ROTATION_SOURCE=$(SOURCE) $(BIN)/rotation run $(if $(SESSION),--session $(SESSION)))

test: $(VENV)/.installed-dev  ## Tests of everything but servers, workers, browsers and campaigns, with fewer cases of the longest ones; under eight minutes on two cores
	@$(BIN)/python -m pytest -m "not long" $(ARGS)

test-all: $(VENV)/.installed-dev  ## All tests and all their cases; some forty minutes on two cores
	@$(BIN)/python -m pytest $(ARGS)

test-fast: $(VENV)/.installed-dev  ## A subset of all packages, without whole runs, browser or server; under two minutes on two cores
	@$(BIN)/python -m pytest -m "not slow and not long" $(ARGS)

lint: $(VENV)/.installed-dev  ## Style, types, and no registry host in any file
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/mypy --config-file tests/mypy.toml tests benchmarks docs
	@! grep -nE '(index-url|https?://)' requirements.lock requirements-dev.lock

format: $(VENV)/.installed-dev
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

wheel: $(VENV)/.uv  ## The wheel and the source distribution, in dist/
	@$(UV) build --quiet --out-dir dist

sbom: $(VENV)/.installed-dev  ## The bill of materials of a release, CycloneDX, checked against its schema: dist/sbom.json
	@mkdir -p dist
	@$(BIN)/python -W ignore -m cyclonedx_py requirements requirements.lock --pyproject pyproject.toml --of JSON --output-reproducible --validate -o dist/sbom.json

coverage: $(VENV)/.installed-dev  ## Tests as `make test` with line and branch coverage; fails under the floor in pyproject.toml
	@$(BIN)/python -m pytest -m "not long" --cov --cov-report=term:skip-covered $(ARGS)

bench: $(VENV)/.installed-dev  ## Measures the ratios of docs/performance.md and writes it; about half an hour, on a machine that does nothing else
	@PYTHONPATH=tests $(BIN)/python -m benchmarks

crash model soak fuzz faults mutation security: $(VENV)/.installed-dev  ## A campaign against the promises; its figures go to docs/reliability.md. SEED repeats one, SECONDS bounds it
	@PYTHONPATH=tests $(BIN)/python -m campaigns.$@ $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS))

docs: $(VENV)/.installed  ## The generated references: tables, expectations, settings, commands
	@$(BIN)/python docs/generate.py

# DuckDB apart: the lake's extensions, which tests need, are published for a version that has not all of its repairs.
lock: $(VENV)/.uv  ## Pin the newest allowed versions, with hashes and without naming the host they came from
	@$(COMPILE) --upgrade pyproject.toml -o requirements.lock
	@$(COMPILE) --no-emit-package duckdb pyproject.toml -c requirements.lock -o .released.lock
	@$(COMPILE) --upgrade --group dev -c .released.lock pyproject.toml -o requirements-dev.lock
	@rm .released.lock

clean:  ## Remove what make and the tests created, but not the warehouse
	rm -rf .venv .venv-* dist .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.uv:
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or later is needed; name one with make PYTHON=...")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

$(VENV)/.installed: requirements.lock pyproject.toml | $(VENV)/.uv
	@echo "Installing the locked dependencies"
	@$(INSTALL) -r requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	@echo "Installing what tests and lint need"
	@$(INSTALL) -r requirements-dev.lock
	@touch $@
