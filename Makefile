# make demo         set everything up, train PPO from scratch, compare it with IMP and other sellers
# make test         set everything up, run the fast tests
# make test-all     run all tests
# make test-heavy   run the tests that `make test` leaves out
# make test-bounds  run the fuzz tests with kernels that check every index
# make fuzz         run the fuzz tests for about an hour, of files and with the same kernels (CASES=100000)
# make coverage     measure branch coverage by package, of kernels too (less than 95 % in all is an error)
# make golden       write the golden rollouts anew, after a change that is meant to change results
# make soak         step the environments long and wide, and write what was seen to OUT (STEPS=100000000)
# make audit        look for known vulnerabilities of all locked requirements
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
STEPS ?= 100000000
OUT ?= runs/soak-$(shell date +%Y%m%d-%H%M%S)

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
# A file's tests run in one process, which compiles their kernels and makes their fixtures once.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --quiet
FUZZ := tests/agents/test_predict.py tests/agents/test_checks.py tests/lmaas_env/test_checks.py tests/lmaas_env/test_edges.py
FILES := tests/train/test_fuzz_files.py
RUN := runs/demo-$(shell date +%Y%m%d-%H%M%S)
# What runs all kernels as plain Python, and quickly enough; the other tests cover all other code.
KERNELS := tests/certificates/test_checks.py tests/certificates/test_small_markets.py tests/lmaas_env/test_checks.py \
	tests/lmaas_env/engine/test_terms.py
UV := uv==0.13.9
AUDIT := pip-audit==2.10.1

.PHONY: demo test test-all test-heavy test-bounds fuzz coverage golden soak audit test-lowest lint format docs browser package lock

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

coverage: $(VENV)/installed
	$(BIN)/coverage erase
	NUMBA_DISABLE_JIT=1 $(BIN)/coverage run -m pytest --quiet -m "not heavy" -W default $(KERNELS)
	$(BIN)/coverage run -m pytest --quiet --ignore=tests/certificates/test_mutations.py $(TESTS)
	$(BIN)/coverage combine --quiet
	for package in lmaas_env agents train; do $(BIN)/coverage report --include="$$package/*" || exit; done
	$(BIN)/coverage report --format=total --fail-under=95

golden: $(VENV)/installed
	$(BIN)/python -m tests.golden

soak: $(VENV)/installed
	$(BIN)/python -m tests.soak --steps $(STEPS) --out $(OUT)

audit:
	work=$$(mktemp -d) && trap 'rm -rf "$$work"' EXIT && $(PYTHON) -m venv "$$work" \
	  && "$$work/bin/python" -m pip install --quiet --disable-pip-version-check $(AUDIT) \
	  && echo torch==$(TORCH) > "$$work/torch.txt" \
	  && "$$work/bin/pip-audit" --strict --no-deps --disable-pip --progress-spinner off \
	    --requirement requirements.txt --requirement "$$work/torch.txt"

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
