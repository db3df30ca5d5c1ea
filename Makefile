# Every target first sets up what is missing: see `make help`.
PYTHON ?= python3
BIN := .venv/bin
# tests wait for each other's ends more than they compute: three share two cores
WORKERS ?= -n 3 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup setup-browser setup-check demo test check lint types types-firmware bench soak soak-firmware soak-emulator soak-tests docs clean

help: ## show these lines
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

setup: ## fetch what this machine lacks, without root
	@$(PYTHON) -m host_tools.toolchain

setup-browser: ## install Chromium for the portal's tests; needs root
	@$(PYTHON) -m host_tools.toolchain.browser

setup-check:
	@$(PYTHON) -m host_tools.toolchain --check

demo: setup ## the whole story: key, cloud, boot, telemetry
	@$(BIN)/keystead demo

test: setup ## all tests that need no hardware
	@$(BIN)/python -m pytest $(WORKERS)

check: setup-check lint types types-firmware test ## format, lint, types and tests

lint: setup-check
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check

types: setup-check
	@$(BIN)/mypy

types-firmware: setup-check ## the firmware's types, against the ESP32's stubs
	@$(BIN)/mypy --config-file firmware/mypy.ini

bench: setup ## measure size, heap, speed and bytes
	@$(BIN)/python -m bench

soak: soak-firmware soak-emulator soak-tests ## all of the next three

soak-firmware: setup ## a month in the field, or DAYS=n; SEED=n BITS=64
	@$(BIN)/python -m tests.soak --days $(or $(DAYS),30) --seed $(or $(SEED),1) --bits $(or $(BITS),32)

soak-emulator: setup ## fuzz the emulator for an hour, or SECONDS=n (needs .[fuzz])
	@$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),3600)

soak-tests: setup ## the tests that are too long for each day; all others with new examples
	@$(BIN)/python -m pytest $(WORKERS) --hypothesis-profile new -m "soak or not soak"

docs: setup ## make docs/failures.md from the catalogue
	@$(BIN)/python -m host_tools.failures_page > docs/failures.md

clean: ## remove all that was set up or built
	@rm -rf .venv .toolchain build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
