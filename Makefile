# eventlog: build, install, demonstrate and test. `make` alone lists the targets.
#
# PG_CONFIG chooses the PostgreSQL: PG_CONFIG=/usr/lib/postgresql/17/bin/pg_config make test

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := help
.NOTPARALLEL:

# Resolved when a recipe runs, because `make setup` may be what installs pg_config.
PG_CONFIG ?= pg_config
pg_config  = $(or $(shell realpath -s "$$(command -v '$(PG_CONFIG)')" 2>/dev/null),$(error no pg_config at '$(PG_CONFIG)'))
feature    = pg$(shell $(pg_config) --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
pkglibdir  = $(DESTDIR)$(shell $(pg_config) --pkglibdir)
extdir     = $(DESTDIR)$(shell $(pg_config) --sharedir)/extension

# Everything is compiled with these and in the release profile, once, into target/: bindings of
# PostgreSQL's headers are generated anew whenever one of the variables changes.
build_env  = PGRX_PG_CONFIG_PATH='$(pg_config)' CARGO_PGRX_DISABLE_GC_SECTIONS_WORKAROUND=1
extension  = --release --lib -p eventlog --no-default-features --features $(feature)
# Always these together: another choice of packages means other features, and compiling twice.
tested     = -p eventlog-common -p eventlog-writer --all-features -p eventlog-cli -p eventlog-tests -p eventlog-bench
# OLDER: pg_configs of older PostgreSQLs with this extension, for the tests of upgrades between them.
test_env   = $(build_env) PG_CONFIG='$(pg_config)' EVENTLOG_OLDER_PG_CONFIGS='$(OLDER)'

library   := target/release/libeventlog$(if $(filter Darwin,$(shell uname -s)),.dylib,.so)
control   := extension/eventlog.control
version   := $(shell sed -n "s/^default_version = '\(.*\)'$$/\1/p" $(control))
script    := target/eventlog--$(version).sql
# An upgrade script is what a hand-written head undoes, and all functions again.
upgrades  := $(patsubst sql/upgrade/%.sql,target/eventlog--%.sql,$(wildcard sql/upgrade/*--$(version).sql))
scripts    = $(sort $(script) $(upgrades))
released   = $(filter-out $(scripts:target/%=sql/released/%),$(wildcard sql/released/*.sql))
majors    := 14 15 16 17 18

.PHONY: help
help: ## list the targets
	@echo 'make TARGET [PG_CONFIG=/path/to/pg_config]'
	@awk -F ':.*## ' '/^[a-z$$()-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST)) \
	    | sed -E 's/\$$\((check|test)s\)  /\1-NN   /'

.PHONY: demo
demo: install ## show all of it on a private server: flights, an application, reports, the dashboard
	@demo/charts
	cargo build --release -p eventlog-cli --bins --examples
	@PG_CONFIG='$(pg_config)' demo/run

.PHONY: demo-stop
demo-stop: ## stop and remove all that the demo left running
	@PG_CONFIG='$(pg_config)' demo/stop

.PHONY: test
test: setup-tests install ## set up, build, install, and run all tests
	$(test_env) cargo test --release --no-fail-fast $(tested)
	@PG_CONFIG='$(pg_config)' scripts/run-regress
	@$(MAKE) package
	@PG_CONFIG='$(pg_config)' packaging/test-archive target/package/eventlog-$(version)-$(feature)-*.tar.gz
	@PG_CONFIG='$(pg_config)' packaging/test-debian

# On another PostgreSQL what meets a server runs, of the same build.
.PHONY: test-server
test-server: install
	$(build_env) cargo build --release $(tested) --examples
	$(test_env) cargo test --release --no-fail-fast $(tested) --test e2e --test writer --test cli
	@PG_CONFIG='$(pg_config)' scripts/run-regress

# The fetched ones are of one day, as upgrades between majors want it: the machine's own may be newer
# than the newest of them. It lends its build to the one of its major.
own_major  = $(feature:pg%=%)
lend       = fetched=$$(scripts/postgres-major $(own_major)); $(MAKE) install built= PG_CONFIG="$$fetched"
tests := $(majors:%=test-%)
.PHONY: $(tests)
$(tests): test-%: setup-tests install ## run the tests on PostgreSQL NN (14 to 18), which is fetched
	@$(lend); config=$$(scripts/postgres-major $*); $(MAKE) test-server PG_CONFIG="$$config" OLDER="$$fetched"

.PHONY: test-all
test-all: setup-tests ## run the tests on PostgreSQL 14 to 18, and upgrades from each to each later one
	@older=; for major in $(majors); do \
	    fetched=$$(scripts/postgres-major $$major); \
	    if [ $$major = $(own_major) ]; then $(MAKE) test OLDER="$$older"; $(lend); \
	    else $(MAKE) test-server PG_CONFIG="$$fetched" OLDER="$$older"; fi; \
	    older="$$older $$fetched"; \
	done

.PHONY: setup-tests
setup-tests: setup
	@PG_CONFIG='$(pg_config)' scripts/setup-tests
	@$(MAKE) dashboard tests/browser/node_modules/.package-lock.json

.PHONY: dashboard
dashboard: cli/dashboard/node_modules/.package-lock.json ## fetch the library of the dashboard's charts, with npm

%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: setup
setup: ## install what is missing (Debian, as root), or say what is missing
	@PG_CONFIG='$(PG_CONFIG)' PG_CONFIG_ORIGIN='$(origin PG_CONFIG)' scripts/setup

.PHONY: build
build: setup ## compile the extension
	$(build_env) cargo build $(extension)

# `sudo make install` installs what the user built, where root has no cargo.
built      = $(if $(and $(SUDO_USER),$(if $(shell command -v cargo),,without)),,build)
.PHONY: install
install: $(built) ## install the extension into the PostgreSQL of PG_CONFIG
	@$(MAKE) scripts
	@scripts/install-files '$(pg_config)' '$(pkglibdir)' '$(extdir)' '$(library)' $(control) $(scripts) $(released)

# `make install` makes them anew, whoever made them before.
.PHONY: scripts
scripts:
	@mkdir -p target; rm -f $(scripts); cat sql/[0-9]*.sql > $(script)
	@for upgrade in $(upgrades); do \
	    head=$${upgrade#target/eventlog--}; \
	    { cat "sql/upgrade/$$head"; sed -E -e '/^\\echo /d' -e 's/^CREATE (FUNCTION|PROCEDURE|AGGREGATE|VIEW) /CREATE OR REPLACE \1 /' sql/[0-9]*.sql; } > "$$upgrade"; \
	done

.PHONY: freeze
freeze: scripts ## freeze the scripts of this version, on the day of its release
	@for script in $(notdir $(scripts)); do \
	    if [ -f "sql/released/$$script" ]; then \
	        cmp -s "target/$$script" "sql/released/$$script" \
	            || { echo "eventlog: $$script is released, and sql/ has changed since: raise default_version" >&2; exit 1; }; \
	    else \
	        cp "target/$$script" sql/released/ && (cd sql/released && sha256sum "$$script" >> SHA256SUMS) && echo "eventlog: sql/released/$$script"; \
	    fi; \
	done

.PHONY: package
package: setup ## make an archive and Debian packages (PG=NN: of PostgreSQL NN, which is fetched)
	@PG_CONFIG='$(pg_config)' packaging/package $(PG)

.PHONY: packages
packages: setup ## make them for PostgreSQL 14 to 18
	@PG_CONFIG='$(pg_config)' packaging/package $(majors)

.PHONY: uninstall
uninstall: ## remove the extension from the PostgreSQL of PG_CONFIG
	rm -f '$(pkglibdir)/eventlog$(suffix $(library))' '$(extdir)/eventlog.control' '$(extdir)'/eventlog--*.sql

.PHONY: installcheck
installcheck: install ## run pg_regress against a private server
	@PG_CONFIG='$(pg_config)' scripts/run-regress

.PHONY: proof
proof: setup-tests install ## run the long proofs
	$(test_env) EVENTLOG_PROOF=1 cargo test --release -p eventlog-writer --all-features -p eventlog-cli -p eventlog-tests -p eventlog-bench
	@PG_CONFIG='$(pg_config)' packaging/prove

.PHONY: bench
bench: install ## measure log_event, batches, rules, the writer and the gateway beside what they replace
	$(test_env) cargo run --release -p eventlog-bench

.PHONY: lint
lint: setup ## check formatting, and clippy without a warning
	cargo fmt --all --check
	$(build_env) cargo clippy $(extension) -- -D warnings
	cargo clippy --release -p eventlog-common -p eventlog-writer --all-features -p eventlog-cli -p eventlog-tests -p eventlog-bench --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --release --no-deps -p eventlog-common -p eventlog-writer --all-features

# The bindings for each PostgreSQL have a place of their own in target/, so that these leave the
# build for PG_CONFIG as it is.
checks := $(majors:%=check-%)
.PHONY: $(checks)
$(checks): check-%: setup ## compile the extension for PostgreSQL NN (14 to 18), which is fetched
	@config=$$(scripts/postgres-major $*); $(MAKE) check PG_CONFIG="$$config"

.PHONY: check
check:
	$(build_env) cargo check $(extension)

.PHONY: clean
clean: ## remove target/, with all that was compiled and fetched
	rm -rf target
