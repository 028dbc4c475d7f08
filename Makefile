# Every target sets up what it needs: a virtual environment with pinned versions, made once.
VENV ?= .venv
BIN := $(VENV)/bin
COCO ?= ../shared/coco

.PHONY: setup demo test test-slow lint bench pictures tables clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       draw a few scenes, build a data set from them, verify it, make a contact sheet and a page"
	@echo "make test       lint, types and all quick tests"
	@echo "make test-slow  the long tests: many kills of a build"
	@echo "make bench      scripts/bench_build.py on COCO=$(COCO), or on the demo split where that is missing"
	@echo "make tables     the paper's tables and figures, from ../shared into results/: half an hour"
	@echo "make pictures   the pictures of the README"

setup: $(BIN)/.installed

$(BIN)/.installed: pyproject.toml constraints.txt
	python3 -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: setup
	$(BIN)/mfsynth build --split demo --shards 4 --out out/demo
	$(BIN)/mfsynth verify out/demo
	$(BIN)/mfsynth preview out/demo -o out/demo.png
	$(BIN)/mfsynth preview out/demo -o out/demo.html

test: lint
	$(BIN)/pytest -q -n auto

test-slow: setup
	$(BIN)/pytest -q -n auto -m slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python scripts/bench_build.py $(if $(wildcard $(COCO)),--coco $(COCO) --split val2017,--split demo)

pictures: setup
	$(BIN)/python scripts/readme_pictures.py

tables: setup
	$(BIN)/python scripts/reproduce_tables.py --shared ../shared

clean:
	rm -rf $(VENV) out
