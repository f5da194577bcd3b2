# make demo : set everything up, train a PPO seller briefly, compare it with IMP and simple sellers
# make test : set everything up and run all tests
# make lint : ruff and pyright
# make docs : build the site into site/, warnings are errors
# make browser : look at the report and the explorer in a headless Chromium (needs one on the machine)
# make package : build wheel and sdist, install the wheel elsewhere and try it (PYTHONS="python3.11 python3.13")
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
RUN := runs/demo-$(shell date +%Y%m%d-%H%M%S)
DEMO_STEPS ?= 200000

.PHONY: demo test lint format docs browser package
PYTHONS ?= $(PYTHON)

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

docs: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

browser: .venv/installed-browser
	$(BIN)/python -m pytest -n 2 --quiet tests/browser --browser

package:
	sh tests/package.sh $(PYTHONS)

# torch first and by exact version, so that pip takes the build that is wanted (see README, "Installing torch").
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(PIP) torch==2.13.0
	$(PIP) --editable ".[train,view,test]"
	touch $@

.venv/installed-docs: .venv/installed
	$(PIP) --editable ".[docs]"
	touch $@

.venv/installed-browser: .venv/installed
	$(PIP) --editable ".[browser]"
	touch $@

.venv/installed-dev: .venv/installed
	$(PIP) --editable ".[train,view,test,dev]"
	touch $@
