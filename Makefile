# `make test` and `make demo` do all of their own set-up on a bare Debian or Ubuntu machine with Python 3.11+ and make.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
# Each of the hundreds of labctl commands that tests run would compile labctl anew.
unexport PYTHONDONTWRITEBYTECODE

# The first interpreter that is new enough; override with `make PYTHON=… test`.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
FAST := not host and not nightly and not bench
# A file at a time each: what its tests share is made once.
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4 --dist loadfile
# Hosts wait more than they compute: one more than there are cores.
HOSTS_SIDE_BY_SIDE := --numprocesses $(shell cores=$$(nproc); echo $$((cores < 4 ? cores + 1 : 4))) --dist loadfile --no-loadscope-reorder
# Where host tests are: to look for them among the thousands of others costs each process a third of a minute.
HOST_TESTS := tests/browser tests/host tests/oracle tests/test_wheel.py
# Only root can boot a host, and only there are Debian packages installed.
ROOT := $(filter 0,$(shell id -u))

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

test: venv $(if $(ROOT),host-packages) ## Everything a change must pass: check, then the tests on throwaway hosts (as root)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "$(FAST)"
ifneq ($(ROOT),)
	$(BIN)/python -m pytest $(HOSTS_SIDE_BY_SIDE) --durations 60 --durations-min 20 \
		-m "host and not nightly and not bench" $(HOST_TESTS)
else
	@echo "Host tests were NOT run: booting a throwaway host needs root. Run them with: sudo make test"
	@[[ "$${CI:-}" != true ]] || { echo "CI=true: leaving out the host tests counts as failure."; exit 1; }
endif

demo: venv $(if $(ROOT),host-packages) ## A bare host and workloads/demo.yaml become services that answer; no root: the placement alone
	$(BIN)/python -m tests.host.demo

check: venv ## The fast loop: lint, types, import layers, unit tests; no root
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "$(FAST)"

host: need-root venv host-packages ## Boot a throwaway host and print how to reach it
	$(BIN)/python -m tests.host up

accuracy: venv ## Hold memory estimates against published measurements, beside other estimators; no root
	$(BIN)/python -m tests.bench.accuracy

bench: need-root venv host-packages accuracy ## Measure labctl fit and place, reading headers, and deploy and apply against others
	$(BIN)/python -m tests.bench.fit_startup
	$(BIN)/python -m tests.bench.place
	$(BIN)/python -m tests.bench.header_speed
	$(BIN)/python -m tests.bench.steady_state
	$(BIN)/python -m tests.bench.apply
	$(BIN)/python -m tests.bench.gpu_host

nightly: need-root venv host-packages ## The slow tier
	$(BIN)/python -m pytest -m nightly

format: venv ## Let ruff format and fix what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: venv ## Write workloads/workloads.schema.json, the rules for editors
	$(BIN)/python -c 'import json; from labctl.workloads.schema import json_schema; print(json.dumps(json_schema(), indent=2))' \
		> workloads/workloads.schema.json

wheel: venv ## Build dist/labctl-*.whl
	$(BIN)/python -m build --no-isolation --wheel

clean: ## Remove what make built
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

venv: $(INSTALLED) ## Install the pinned packages into .venv

$(INSTALLED): pyproject.toml constraints.txt
ifeq ($(PYTHON),)
	@echo "Python 3.11 or newer was not found; labctl needs it. On Debian or Ubuntu: apt-get install python3 python3-venv"; exit 1
endif
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(MAKE) --no-print-directory venv-module
	$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip uninstall --quiet --yes labctl 2>/dev/null # or pip would hold the new pins against its old metadata
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	@touch $@

# Debian ships Python without the module that makes virtual environments, one package per version.
venv-module:
ifneq ($(ROOT),)
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \
		"$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
else
	@echo "$(PYTHON) cannot make virtual environments. On Debian or Ubuntu: sudo apt-get install python3-venv"; exit 1
endif

# Vagrant only checks vagrant/Vagrantfile, Chromium only looks at pages, and not every release has them.
host-packages:
	@.ci/debian-packages tests/host/debian-packages.txt vagrant vagrant-libvirt chromium

need-root:
ifeq ($(ROOT),)
	@echo "Booting a throwaway host needs root: sudo make $(MAKECMDGOALS)"; exit 1
endif

constraints: ## Pin the newest versions pyproject.toml allows, with their hashes
	$(PYTHON) -m venv $(VENV)-constraints
	$(VENV)-constraints/bin/pip install --quiet uv
	{ sed -n '/^#/p' constraints.txt; \
	  $(VENV)-constraints/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --extra dev pyproject.toml; } > $(VENV)-constraints/constraints.txt
	mv $(VENV)-constraints/constraints.txt constraints.txt
	rm -r $(VENV)-constraints

.PHONY: help test demo check host accuracy bench nightly format schema wheel clean venv venv-module host-packages need-root constraints
