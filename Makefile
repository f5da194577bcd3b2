# make demo : set everything up, train a PPO seller briefly, compare it with IMP and simple sellers
# make test : set everything up and run all tests
# make lint : ruff and pyright
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
RUN := runs/demo-$(shell date +%Y%m%d-%H%M%S)
DEMO_STEPS ?= 200000

.PHONY: demo test lint format

demo: .venv/installed
	$(BIN)/lmaas train --scenario day --steps $(DEMO_STEPS) --out $(RUN)/ppo
	$(BIN)/lmaas compare --scenario day --days 40 --sellers $(RUN)/ppo day-ppo public-lookahead lookahead fixed public-imp cost-plus random --out $(RUN)/compare

test: .venv/installed
	$(BIN)/python -m pytest -n 2 --quiet

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# torch first and by exact version, so that pip takes the build that is wanted (see README, "Installing torch").
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(PIP) torch==2.13.0
	$(PIP) --editable ".[train,test]"
	touch $@

.venv/installed-dev: .venv/installed
	$(PIP) --editable ".[train,test,dev]"
	touch $@
