# Every command of the project; `make help` lists them. Nothing is done twice: a stamp in .venv
# says what was installed or built, and is older than what it was made from when that changes.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

export PATH := $(PATH):$(HOME)/.cargo/bin
# One interpreter for maturin and for clippy, so that pyo3 is configured once.
export PYO3_PYTHON := $(CURDIR)/.venv/bin/python
# An activated environment elsewhere must not be the one that is installed into.
export VIRTUAL_ENV := $(CURDIR)/.venv

BIN := .venv/bin
STAMPS := .venv/stamps
REPORTS := build/reports
UV := $(BIN)/uv
UV_INSTALL := $(UV) pip install -q --python $(BIN)/python --require-hashes
LOCK := $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock"
RUST_SOURCES := $(shell find core_rs -path '*/src/*' -name '*.rs') $(wildcard core_rs/*/Cargo.toml)
PYTHON_SOURCES := $(wildcard chatrooms tests bench loadtests)
JS_PACKAGES := tests/js/node_modules/.package-lock.json

# Each suite leaves its counts for the closing line. A file stays on one worker, and so do its servers.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest --no-header -n $(WORKERS) --dist loadfile
suite = $(PYTEST) --junit-xml=$(REPORTS)/$(1).xml tests/$(1)

.PHONY: help
help: ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | \
		while IFS=$$'\t' read -r name text; do printf '  make %-13s %s\n' "$$name" "$$text"; done

# --- build -------------------------------------------------------------------------------------

$(STAMPS)/tools: requirements-build.lock
	@.ci/prerequisites build
	@test -x $(BIN)/python && $(BIN)/python -c '' || "$$(.ci/prerequisites python)" -m venv --clear .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $<
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/runtime: requirements.lock $(STAMPS)/tools
	@$(UV_INSTALL) -r $<
	@touch $@

$(STAMPS)/dev: requirements-dev.lock $(STAMPS)/runtime
	@$(UV_INSTALL) -r $<
	@touch $@

# Editable: an edited Python file needs no build, an edited Rust file only its own crates. Offline,
# since what it depends on came from the lock: anything else missing is a stale lock, and an error.
# The group is named because maturin would install `dev` otherwise, which only the tests need.
$(STAMPS)/extension: $(RUST_SOURCES) Cargo.toml Cargo.lock pyproject.toml $(STAMPS)/runtime
	@.ci/prerequisites build
	@UV_OFFLINE=1 $(BIN)/maturin develop --uv --release --locked --group build
	@touch $@

$(JS_PACKAGES): tests/js/package-lock.json
	@.ci/prerequisites test
	@npm ci --prefix tests/js --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: build run dev test-tools wheel image hooks clean
build: $(STAMPS)/extension ## Build the extension and install everything that runs into .venv

run: build ## Build what is needed, then serve (ARGS="--http-port 9000" passes flags on)
	@exec $(BIN)/chatrooms serve $(ARGS)

dev: build $(STAMPS)/dev ## The same, and what the tests need in Python

test-tools: $(JS_PACKAGES) ## Node packages and Chromium for the tests
	@.ci/install-chromium

wheel: $(STAMPS)/tools ## Build the wheel into dist/
	@$(BIN)/maturin build --release --locked --out dist

BUILDER ?= rust:1-bookworm
BASE ?= python:3.11-slim-bookworm
image: ## Build the container image with buildah (BUILDER and BASE choose its base images)
	@buildah bud --format docker --build-arg BUILDER=$(BUILDER) \
		--build-arg BASE=$(BASE) --tag chatrooms .

hooks: ## Run the lint before each commit of this clone
	@git config core.hooksPath .githooks

clean: ## Remove all that was built or installed in the checkout
	@rm -rf .venv target build dist tests/js/node_modules chatrooms/_core*.so
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

# --- check -------------------------------------------------------------------------------------

.PHONY: test lint format types architecture rust-test unit contract security integration conformance docs
test: ## Everything CI runs: lint, types and architecture first, then every test
	@.ci/prerequisites test
	@rm -rf $(REPORTS) && mkdir -p $(REPORTS)
	@.ci/stage install $(MAKE) -s $(STAMPS)/dev
	@.ci/stage lint $(MAKE) lint
	@.ci/stage build $(MAKE) build
	@.ci/stage types $(MAKE) types
	@.ci/stage architecture $(MAKE) architecture
	@.ci/stage test-tools $(MAKE) test-tools
	@.ci/stage rust-test $(MAKE) rust-test
	@.ci/stage unit $(MAKE) unit
	@.ci/stage contract $(MAKE) contract
	@.ci/stage security $(MAKE) security
	@.ci/stage integration $(MAKE) integration
	@.ci/stage conformance $(MAKE) conformance
	@.ci/stage docs $(MAKE) docs
	@$(BIN)/python .ci/summary.py

lint: $(STAMPS)/dev ## ruff, rustfmt, clippy and hadolint, warnings are errors
	@$(BIN)/ruff check $(PYTHON_SOURCES) .ci/summary.py
	@$(BIN)/ruff format --check $(PYTHON_SOURCES) .ci/summary.py
	@$(BIN)/hadolint Dockerfile
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked --quiet -- -D warnings

format: $(STAMPS)/dev ## Format Python and Rust, and mend what ruff can mend
	@$(BIN)/ruff check --fix-only --quiet $(PYTHON_SOURCES)
	@$(BIN)/ruff format $(PYTHON_SOURCES)
	@cargo fmt --all

types: dev ## mypy --strict, and the stub of the extension against the extension
	@$(BIN)/mypy
	@$(BIN)/python -m mypy.stubtest chatrooms._core

architecture: $(STAMPS)/dev ## The rules of the layout, each of them tried on a planted violation
	@$(call suite,architecture)

# The extension is tested from Python; as a test binary it would have to link an interpreter.
rust-test: ## Unit and property tests of the pure crates
	@.ci/prerequisites build
	@cargo test --workspace --exclude chat-py --locked --quiet

unit: dev ## Rules and use cases on fakes
	@$(call suite,unit)

contract: dev ## One suite for each port, run on every adapter
	@$(call suite,contract)

security: dev ## Tokens, passwords, sessions, headers and origins
	@$(call suite,security)

integration: dev test-tools ## A running server, third-party clients, real sockets
	@$(call suite,integration)

conformance: dev ## Autobahn's cases (kosoku) against the echo endpoint
	@$(call suite,conformance)

docs: dev ## Pages against the code: tables, commands, links, and the AsyncAPI document
	@$(call suite,docs)

# --- measure -----------------------------------------------------------------------------------

.PHONY: coverage bench bench-check audit lock
coverage: dev test-tools ## Line coverage of Python and of the pure crates
	@rm -f .coverage .coverage.*
	@$(PYTEST) --cov --cov-report= $(wildcard tests/unit tests/contract tests/integration)
	@$(BIN)/coverage report
	@.ci/rust-coverage

bench: dev ## Benchmarks with peers side by side; results are kept in bench/results
	@$(BIN)/python -m pytest bench -p no:xdist --benchmark-only --benchmark-autosave \
		--benchmark-storage=file://bench/results

bench-check: dev ## The same, and fail where a median is over 20 % slower than in the last run
	@$(BIN)/python -m pytest bench -p no:xdist --benchmark-only --benchmark-compare \
		--benchmark-compare-fail=median:20% --benchmark-storage=file://bench/results

audit: $(STAMPS)/dev ## Licences and sources of the crates, known holes in crates and packages
	@.ci/audit

lock: $(STAMPS)/tools ## Choose the newest versions that pyproject.toml and package.json allow
	@$(LOCK) --upgrade pyproject.toml -o requirements.lock
	@$(LOCK) --upgrade --group build -o requirements-build.lock
	@$(LOCK) --upgrade pyproject.toml --group dev \
		-c requirements.lock -c requirements-build.lock -o requirements-dev.lock
	@cargo update --quiet
	@npm update --prefix tests/js --package-lock-only --no-audit --no-fund --loglevel=error
