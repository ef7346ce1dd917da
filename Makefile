# Needed beforehand: python3 with pip, and make. Everything else is fetched into .tools and .venv of this folder.
.DEFAULT_GOAL := help
.PHONY: help run demo test check browser bench proof-power-cut proof-evenings proof-soak proof-money-storm lock clean

# Caches stay in this folder. Where HOME is empty, the user's own is looked up.
export UV_CACHE_DIR := $(CURDIR)/.tools/cache
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
ifeq ($(strip $(HOME)),)
export HOME := $(shell python3 -c 'import os, pwd; print(pwd.getpwuid(os.getuid()).pw_dir)' 2>/dev/null)
endif
ifeq ($(strip $(HOME)),)
export HOME := $(CURDIR)/.tools/home
endif

# The system's Python first: distributions build it with a profile of its use, and such a one serves a tenth more.
# `make run PYTHON3=python3.13` takes another; what is in .venv already stays.
PYTHON3 ?= $(firstword $(foreach each,/usr/bin/python3 python3,$(shell \
	$(each) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(each))))

UV := .tools/bin/uv
PYTHON := .venv/bin/python
READY := .venv/ready

help:
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 19

run: $(READY)  ## Serve: set-up, embedded database, demo data on the first start
	@exec $(PYTHON) -m server serve

demo: $(READY)  ## Load the demo week again, today's days included
	@$(PYTHON) -m server demo

test: check browser  ## Everything that must hold: checks, then all tests over real PostgreSQL and a real browser
	$(PYTHON) -m pytest -n 2 --dist loadgroup

check: $(READY)  ## Lint, format, types, import directions
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

contract: $(READY)  ## At least 20,000 made-up requests, held to the OpenAPI document (some minutes)
	$(PYTHON) -m tests.contract

bench: $(READY)  ## Measure, beside the baselines, in one run (some minutes)
	$(PYTHON) -m bench

# The long versions of proofs that `make test` makes shortly.
proof-power-cut: $(READY)  ## Kill server and database 20 times under load, and hold them to every promise (minutes)
	$(PYTHON) -m tests.proofs.power_cut --rounds 20

proof-evenings: $(READY)  ## Play 20,000 random evenings in which everything goes wrong (minutes)
	$(PYTHON) -m tests.proofs.evenings --count 20000

MINUTES ?= 10
proof-soak: $(READY)  ## Run under steady load for MINUTES=10, watching for drift, leaks and errors
	$(PYTHON) -m tests.proofs.soak --minutes $(MINUTES)

BOOKINGS ?= 2000
proof-money-storm: $(READY)  ## BOOKINGS=2000 in bad weather, the server killed throughout: money adds up, all are told (minutes)
	$(PYTHON) -m tests.proofs.money_storm --bookings $(BOOKINGS)

lock: $(UV)  ## Resolve requirements.lock anew
	$(UV) pip compile -q --universal --python-version 3.11 --all-extras --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -o requirements.lock pyproject.toml
	$(UV) pip compile -q --universal --python-version 3.11 --extra media --extra razorpay --extra stripe --extra traces \
		--constraint requirements.lock --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -o requirements-runtime.lock pyproject.toml

clean:  ## Remove what set-up made
	rm -rf .tools .venv

$(UV):
	@mkdir -p .tools/home
	@python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target .tools uv

$(READY): $(UV) requirements.lock pyproject.toml
	@test -x $(PYTHON) || $(UV) venv --quiet --no-project --python $(or $(PYTHON3),python3) .venv
	@$(UV) pip sync --quiet --python $(PYTHON) --require-hashes requirements.lock
	@touch $@

# The end-to-end tests drive a real browser: one that is here, else Debian's, else Playwright's own.
browser: $(READY)
	@$(PYTHON) -m tests.e2e.browser
