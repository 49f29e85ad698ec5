# make setup | run | check | test | bench | docs | lock
# Each target makes the virtual environment it needs from a bare Python 3.11 (PYTHON=python3.12 chooses another).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.rota-setup
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Bytecode is worth keeping: without it each of a thousand processes of the tests compiles Rota anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup run check test types all-tests soak bench docs lock clean

setup: $(STAMP)

$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Rota needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --require-virtualenv -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# See it work: a daemon on a scratch instance with two example jobs; Ctrl-C leaves nothing behind.
run: $(STAMP)
	@$(BIN)/rota demo

# The developer's minute.
check: $(STAMP)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	@$(MAKE) --no-print-directory types
	$(BIN)/pytest -q -n auto -m "not slow" tests/unit tests/contract tests/engine tests/storage tests/usecases tests/api

# Everything but the long forms (make soak), installing what it needs. Types are checked while the tests run.
test: $(STAMP)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	@$(MAKE) --no-print-directory -j 2 types all-tests

types:
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

all-tests:
	$(BIN)/pytest -q -n auto --dist worksteal -m "not slow"

# The long forms.
soak: $(STAMP)
	$(BIN)/pytest -q -n auto --dist worksteal -m "slow" --timeout 3600

# The generated parts of the pages under docs/.
docs: $(STAMP)
	$(BIN)/python docs/generate.py

bench: $(STAMP)
	$(BIN)/python -m bench $(BENCH)

# requirements.lock: exact versions with hashes, for every platform a wheel exists for.
lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --group dev --extra bench --output-file requirements.lock pyproject.toml
	rm -rf $(VENV)-lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis
