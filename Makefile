# Everything a fresh machine needs: Python 3.11 or newer, and make.
#
#   make demo    install, run the demo study from file to report (a few minutes on two cores)
#   make test    install, run the tests
#   make docs    install, build the documentation into site/ and check its links
#   make check   format, lint, types, import contracts, documentation, tests: what CI and people run before a commit
.PHONY: demo test docs check format lint types contracts setup clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo-study

demo: $(VENV)/.train
	@test -d $(DEMO) || $(BIN)/crosslift new demo $(DEMO)
	$(BIN)/crosslift run $(DEMO)

test: $(VENV)/.dev
	$(BIN)/pytest -n 2 --dist loadgroup

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	$(BIN)/python tools/check_site.py site

check: format lint types contracts docs test

format: $(VENV)/.dev
	$(BIN)/ruff format --check .

lint: $(VENV)/.dev
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy

contracts: $(VENV)/.dev
	$(BIN)/lint-imports

setup: $(VENV)/.dev

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# Exact versions come from constraints.txt; ranges from pyproject.toml.
$(VENV)/.train: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --disable-pip-version-check -q -c constraints.txt -e ".[train]"
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --disable-pip-version-check -q -c constraints.txt -e ".[train,dev]"
	@touch $@ $(VENV)/.train

clean:
	rm -rf $(VENV) $(DEMO) site
