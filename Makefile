# make demo    the embedded default: install, train, translate, show; minutes, no data to bring
# make test    every test but the long proofs
# make prove   the long proofs: hundreds of kills, and whatever else takes too long for every day
# make check   format, lint, types and the import table
# make docs    write docs/settings.md from the settings as they stand in the code
# make clean   remove the environment
#
# PYTHON=...    the interpreter to build .venv with (3.11 or newer)
# PIP_ARGS=...  further words for pip. On Linux without a GPU, this fetches the small build of PyTorch:
#               make demo PIP_ARGS='--extra-index-url https://download.pytorch.org/whl/cpu'

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.PHONY: demo test prove check docs clean

IS_NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3.11 python3 python; do \
	"$$name" -c '$(IS_NEW_ENOUGH)' 2>/dev/null && echo "$$name" && break; done)
BIN := .venv/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --constraint constraints.txt $(PIP_ARGS)
DEMO_ARGS ?=
PYTEST_ARGS ?= --numprocesses auto

demo: $(BIN)/.installed
	$(BIN)/regard demo $(DEMO_ARGS)
	@echo && echo "regard is installed in .venv; this brings it onto your path: . .venv/bin/activate"

test: $(BIN)/.installed-dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

prove: $(BIN)/.installed-dev
	$(BIN)/python -m pytest $(PYTEST_ARGS) -m prove

check: $(BIN)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet tests/test_boundaries.py

docs: $(BIN)/.installed
	$(BIN)/regard settings --markdown > docs/settings.md

clean:
	rm -rf .venv

# A stamp is touched when its install is whole, so a second call installs nothing.

$(BIN)/.installed: pyproject.toml constraints.txt
	@"$(PYTHON)" -c '$(IS_NEW_ENOUGH)' || { echo "regard needs Python 3.11 or newer; try: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	@echo "Installing PyTorch, then regard, into .venv (once; some minutes)."
	@$(PIP) torch
	@$(PIP) --editable '.[plot]'
	@touch $@

$(BIN)/.installed-dev: $(BIN)/.installed
	@echo "Installing what the tests and checks need."
	@$(PIP) --editable '.[dev]'
	@touch $@
