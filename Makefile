# The commands of this project; `make help` lists them.

SHELL := /bin/bash
BIN := .venv/bin
PYTHON := $(BIN)/python

.DEFAULT_GOAL := help
.PHONY: help setup image test test-boot-all lint bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

setup: ## install what is missing: packages, and .venv; quick when all is there
	@bash .ci/setup

image: setup ## build image.qcow2 (Debian), and boot it to its login prompt
	OVERWRITE_OLD_IMAGE=1 $(BIN)/pydib build -o image.qcow2 debian-minimal vm
	$(BIN)/pydib boot image.qcow2

test: setup ## all tests; as an ordinary user, those that need no root
	$(PYTHON) -m pytest --element-cov=elements --element-cov-fail-under=90

test-boot-all: setup ## build and boot every kind of Debian image; 600 killed builds
	PYDIB_BOOT_ALL=1 $(PYTHON) -m pytest -m boot --record-boots
	$(PYTHON) -m tests.catalogue.pages
	PYDIB_BOOT_ALL=1 $(PYTHON) -m pytest tests/machine/test_kill_proof.py tests/machine/test_hostile_elements.py \
		tests/machine/test_layers_killed.py

lint: setup ## style, types, and shell scripts
	$(BIN)/ruff check .
	$(BIN)/mypy
	@bash .ci/shellcheck
	$(BIN)/pydib lint elements

bench: setup ## measure pydib beside DIB, in one run; OPTIONS=--write puts the table into the pages
	mkdir -p dist
	$(PYTHON) -m benchmarks --json dist/benchmarks.json --html dist/benchmarks.html $(OPTIONS)

clean: ## remove what these commands made here
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache dist image.qcow2 image.d .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
