# make demo         set everything up, train PPO from scratch, compare it with IMP and other sellers
# make test         set everything up, run the fast tests
# make test-all     run all tests
# make test-heavy   run the tests that `make test` leaves out
# make test-bounds  run the fuzz tests with kernels that check every index
# make fuzz         run the fuzz tests for about an hour, of files and with the same kernels (CASES=100000)
# make test-lowest  run the fast tests with the lowest supported versions of all requirements
# make lint         ruff and pyright
# make format       apply ruff's fixes and formatting
# make docs         build the site into site/; a warning is an error
# make browser      test the report, the explorer and the site in a headless Chromium
# make package      build and try the wheel and the sdist (PYTHONS="python3.11 python3.14")
# make lock         resolve requirements.txt again (UPGRADE=--upgrade takes the newest versions)
#
# Every target installs what it needs into VENV.
PYTHON ?= python3
PYTHONS ?= $(PYTHON)
VENV ?= .venv
TORCH ?= 2.13.0
TESTS ?=
UPGRADE ?=
DEMO_STEPS ?= 2000000
CASES ?= 100000

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
PYTEST := $(BIN)/python -m pytest -n 2 --quiet
FUZZ := tests/agents/test_predict.py tests/agents/test_checks.py tests/lmaas_env/test_checks.py tests/lmaas_env/test_edges.py
FILES := tests/train/test_fuzz_files.py
RUN := runs/demo-$(shell date +%Y%m%d-%H%M%S)
UV := uv==0.13.9

.PHONY: demo test test-all test-heavy test-bounds fuzz test-lowest lint format docs browser package lock

demo: $(VENV)/installed
	$(BIN)/lmaas train --scenario day --steps $(DEMO_STEPS) --out $(RUN)/ppo
	$(BIN)/lmaas compare --scenario day --days 40 --sellers $(RUN)/ppo day-ppo day-guided public-lookahead lookahead fixed public-imp cost-plus random --out $(RUN)/compare

test: $(VENV)/installed
	$(PYTEST) -m "not heavy" $(TESTS)

test-all: $(VENV)/installed
	$(PYTEST) $(TESTS)

test-heavy: $(VENV)/installed
	$(PYTEST) -m heavy $(TESTS)

# One process, as each compiles all kernels anew: numba's cache does not tell kernels that check indices from others.
test-bounds: $(VENV)/installed
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m pytest --quiet $(FUZZ) $(TESTS)

fuzz: $(VENV)/installed
	FUZZ_CASES=$(CASES) $(BIN)/python -m pytest --quiet $(FILES)
	NUMBA_BOUNDSCHECK=1 FUZZ_CASES=$(CASES) $(BIN)/python -m pytest --quiet $(FUZZ) $(TESTS)

test-lowest:
	sh tests/lowest.sh $(PYTHON) $(UV) $(TORCH)

lint: $(VENV)/installed .venv/links
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

browser: $(VENV)/installed
	$(PYTEST) tests/browser --browser

package:
	sh tests/package.sh $(PYTHONS)

lock:
	work=$$(mktemp -d) && trap 'rm -rf "$$work"' EXIT && $(PYTHON) -m venv "$$work" \
	  && "$$work/bin/python" -m pip install --quiet --disable-pip-version-check $(UV) \
	  && "$$work/bin/uv" pip compile pyproject.toml --all-extras --universal --python-version 3.11 --fork-strategy fewest \
	    --generate-hashes --no-emit-package torch --no-annotate --custom-compile-command "make lock" $(UPGRADE) \
	    --quiet --output-file requirements.txt

# torch is installed by exact version and outside the lock, so that pip takes the build for the machine (see README, "Installing torch").
# TORCH= leaves it out.
$(VENV)/installed: pyproject.toml requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --no-deps --require-hashes --requirement requirements.txt
	$(if $(TORCH),$(PIP) torch==$(TORCH))
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $@

# Pyright resolves import names by folder names.
.venv/links:
	mkdir -p $@
	ln -s ../../agents $@/lmaas_agents
	ln -s ../../train $@/lmaas_train
