# Every target sets up what it needs: a virtual environment with pinned versions, made once.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
COCO ?= ../shared/coco
PIP := $(BIN)/pip install --disable-pip-version-check -c constraints.txt

.PHONY: help setup demo test test-slow fuzz lint docs site examples bench pictures tables clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       draw a few scenes, build a data set from them, verify it, make a contact sheet and a page"
	@echo "make test       lint, types and all quick tests"
	@echo "make test-slow  the long tests: many kills of a build"
	@echo "make fuzz       thousands of spoiled files of each kind, and what came of them"
	@echo "make docs       the documentation site, into out/site; every example in it is run"
	@echo "make bench      scripts/bench_build.py on COCO=$(COCO), or on the demo split where that is missing"
	@echo "make tables     the paper's tables and figures, from ../shared into results/: half an hour"
	@echo "make pictures   the README's pictures"
	@echo "make clean      remove $(VENV) and out"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("mfsynth needs Python 3.11 or later, and %s is %d.%d. Name another one: make PYTHON=python3.12" % (sys.executable, v[0], v[1]))'
	$(PYTHON) -m venv $(VENV)

# What the demo needs: no torch. The whole set-up below contains it.
$(BIN)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "setting up $(VENV) for the demo: some 400 MB, a minute or two"
	$(PIP) -e '.[preview]'
	@touch $@

setup: $(BIN)/.installed

$(BIN)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "setting up $(VENV) for development: some 2.3 GB, a few minutes"
	$(PIP) --quiet -e '.[dev]'
	@touch $@ $(BIN)/.demo

demo: $(BIN)/.demo
	$(BIN)/mfsynth build --split demo --shards 4 --out out/demo
	$(BIN)/mfsynth verify out/demo
	$(BIN)/mfsynth preview out/demo -o out/demo.png
	$(BIN)/mfsynth preview out/demo -o out/demo.html

# Each process takes a stretch of the tests, so that what a file's tests share is made once.
test: lint
	$(BIN)/pytest -q -n auto --dist worksteal

test-slow: setup
	$(BIN)/pytest -q -n auto -m slow

fuzz: setup
	$(BIN)/pytest -q -m slow tests/fuzz

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy examples/serve/*.py

docs: site examples

site: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	$(BIN)/python scripts/build_demo.py out/site/demo --optional

examples: setup
	$(BIN)/python scripts/check_docs.py

bench: setup
	$(BIN)/python scripts/bench_build.py $(if $(wildcard $(COCO)),--coco $(COCO) --split val2017,--split demo)

pictures: setup
	$(BIN)/python scripts/readme_pictures.py

tables: setup
	$(BIN)/python scripts/reproduce_tables.py --shared ../shared

clean:
	rm -rf $(VENV) out
