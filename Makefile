# make run     install into .venv and open the editor        make test       run all tests
# make check   style, types and import rules                 make test-fast  all but the slow ones
# make bench   time this machine                             make format     mend the style
# On a system without make see "Without make" in README.md.

PYTHON ?= python3
VENV ?= .venv
AVATAR ?=
TESTS ?=
# Without TESTS: as many processes as there are cores, up to four, for each takes two gigabytes.
WORKERS ?= -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PY := $(BIN)/python
PIP := $(PY) -m pip install --disable-pip-version-check -qq

# A range lets pip choose a build with CUDA libraries (gigabytes). Without an NVIDIA GPU this
# version is installed first; the range then accepts what is there.
CPU_TORCH ?= torch==2.13.0

.PHONY: run test test-fast check bench format clean
.DEFAULT_GOAL := run

run: $(VENV)/.installed
	@$(PY) main.py $(AVATAR)

test: $(VENV)/.installed-dev
	@.ci/with-display $(PY) -m pytest $(or $(TESTS),$(WORKERS))

test-fast: $(VENV)/.installed-dev
	@.ci/with-display $(PY) -m pytest -m "not slow" $(or $(TESTS),$(WORKERS))

check: $(VENV)/.installed-dev
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(BIN)/lint-imports

bench: $(VENV)/.installed
	@$(PY) main.py bench --json bench.json

format: $(VENV)/.installed-dev
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"Python 3.11 or newer is needed; name one with make PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV)

# Both stamps are older than pyproject.toml after a change of it, and then installation runs again.
$(VENV)/.installed: pyproject.toml | $(PY)
	@echo "Installing into $(VENV) (once; some minutes the first time)"
	@command -v nvidia-smi >/dev/null 2>&1 || $(PY) -c "import torch" 2>/dev/null || $(PIP) "$(CPU_TORCH)"
	@$(PIP) --editable .
	@echo "Compiling what draws (once; about a minute)"
	-@$(PY) main.py render demo --out $(VENV)/first.png >$(VENV)/first.log
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.installed
	@$(PIP) --editable ".[dev]"
	@touch $@
