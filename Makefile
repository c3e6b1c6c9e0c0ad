# eventlog: build, install, demonstrate and test. `make` alone lists the targets.
#
# The PostgreSQL is that of pg_config in PATH, or of PG_CONFIG=/path/to/pg_config, or with PG=17 the
# newest of that major version (14 to 18), which is fetched into target/postgres.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := help
.NOTPARALLEL:

# Resolved when a recipe runs, because `make setup` may be what installs pg_config.
PG_CONFIG ?= pg_config
ifneq ($(filter-out all,$(PG)),)
PG_CONFIG  = $(or $(shell scripts/postgres-major $(PG)),$(error no PostgreSQL $(PG), see above))
endif
pg_config  = $(or $(shell realpath -s "$$(command -v '$(PG_CONFIG)')" 2>/dev/null),$(error no pg_config at '$(PG_CONFIG)'))
feature    = pg$(shell $(pg_config) --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
pkglibdir  = $(DESTDIR)$(shell $(pg_config) --pkglibdir)
extdir     = $(DESTDIR)$(shell $(pg_config) --sharedir)/extension

# Everything is compiled in the release profile, once, into target/. The extension stands apart: the
# bindings of PostgreSQL's headers are generated anew whenever one of these variables changes.
build_env  = PGRX_PG_CONFIG_PATH='$(pg_config)' CARGO_PGRX_DISABLE_GC_SECTIONS_WORKAROUND=1
extension  = --release --lib -p eventlog --no-default-features --features $(feature)
rest       = --release --workspace --exclude eventlog --all-features

library   := target/release/libeventlog$(if $(filter Darwin,$(shell uname -s)),.dylib,.so)
control   := extension/eventlog.control
version   := $(shell sed -n "s/^default_version = '\(.*\)'$$/\1/p" $(control))
# The install script, and an upgrade script for each head in sql/upgrade/.
scripts    = target/eventlog--$(version).sql $(patsubst sql/upgrade/%,target/eventlog--%,$(wildcard sql/upgrade/*--$(version).sql))
released   = $(filter-out $(scripts:target/%=sql/released/%),$(wildcard sql/released/*.sql))

.PHONY: help setup build install uninstall scripts dashboard setup-tests test proof lint check docs bench demo demo-stop package release clean

help: ## list the targets
	@echo 'make TARGET [PG=17 | PG_CONFIG=/path/to/pg_config]'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## install what is missing (Debian, as root), or say what to type
	@PG_CONFIG='$(PG_CONFIG)' PG_CONFIG_ORIGIN='$(origin PG_CONFIG)' scripts/setup

build: setup ## compile the extension
	$(build_env) cargo build $(extension)

# `sudo make install` installs what the user built, where root has no cargo.
built = $(if $(and $(SUDO_USER),$(if $(shell command -v cargo),,without)),,build)
install: $(built) scripts ## install the extension into the PostgreSQL
	@scripts/install-files '$(pg_config)' '$(pkglibdir)' '$(extdir)' '$(library)' $(control) $(scripts) $(released)

uninstall: ## remove the extension from the PostgreSQL
	rm -f '$(pkglibdir)/eventlog$(suffix $(library))' '$(extdir)/eventlog.control' '$(extdir)'/eventlog--*.sql

scripts:
	@scripts/join-sql $(scripts)

dashboard: cli/dashboard/node_modules/.package-lock.json ## fetch the library of the dashboard's charts, with npm

%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

setup-tests: setup
	@PG_CONFIG='$(pg_config)' scripts/setup-tests
	@$(MAKE) dashboard {tests/browser,tests/clients,tests/drivers,tests/typed,tests/webhooks,clients/javascript/examples}/node_modules/.package-lock.json

test: setup-tests ## run all tests; PG=17 runs them on PostgreSQL 17, PG=all on 14 to 18
	@PG_CONFIG='$(pg_config)' scripts/test $(PG)

proof: setup-tests install ## run the long proofs
	PG_CONFIG='$(pg_config)' EVENTLOG_PROOF=1 cargo test $(rest)
	@PG_CONFIG='$(pg_config)' packaging/prove

lint: setup ## check format, clippy, rustdoc, links, and the plan of the house
	cargo fmt --all --check
	@scripts/check-house
	$(build_env) cargo clippy $(extension) -- -D warnings
	cargo clippy $(rest) --all-targets -- -D warnings
	cargo test $(rest) --test docs -- links paths
	RUSTDOCFLAGS='-D warnings' cargo doc --release --no-deps -p eventlog-common -p eventlog-writer --all-features

check: setup ## compile the extension without a library, as PG=14 make check does for PostgreSQL 14
	$(build_env) cargo check $(extension)

docs: install ## write the generated pages of docs/reference/ anew
	PG_CONFIG='$(pg_config)' EVENTLOG_BLESS=1 cargo test $(rest) --test docs reference

bench: install ## measure log_event, batches, reports, the writer and the gateway beside what they replace
	PG_CONFIG='$(pg_config)' cargo run --release -p eventlog-bench

demo: install ## show all of it on a private server: flights, an application, reports, the dashboard
	@demo/charts
	cargo build --release -p eventlog-cli --bins --examples
	@PG_CONFIG='$(pg_config)' demo/run

demo-stop: ## stop and remove all that the demo left running
	@PG_CONFIG='$(pg_config)' demo/stop

package: setup ## make an archive and Debian packages; PG=all makes them for PostgreSQL 14 to 18
	@PG_CONFIG='$(pg_config)' packaging/package $(PG)

release: scripts ## on the day of a release: freeze its scripts in sql/released/
	@scripts/freeze $(scripts)

clean: ## remove target/, with all that was compiled and fetched
	rm -rf target
