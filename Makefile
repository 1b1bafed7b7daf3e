# The way in for people: `make help`. What a target does stands in the tools it calls.
SHELL := /bin/bash
.DEFAULT_GOAL := help

CARGO ?= cargo
DETACH ?=
OBSERVE ?=
ARGS ?=

TARGET := $(or $(CARGO_TARGET_DIR),target)
LOCAL := $(TARGET)/release/tollbooth-local
DEMO_ENV := $(or $(TOLLBOOTH_LOCAL_DIR),.local)/demo.env
# Never `--workspace` for release: cargo unites the features of what it builds at once, and the end-to-end tests switch
# fault points on.
RELEASED := -p tollbooth-local -p tollbooth-ingest -p tollbooth-meter -p tollbooth-query -p tollbooth-booth

WEB := services/query/web
# Where the time of a long run goes.
STAMP := printf '== %s %s\n' "$$(date +%T)"

.PHONY: help setup test-setup build web up down reset status verify rules packaging test simulate handover model fuzz audit audit-setup conformance conformance-setup mutants mutants-setup crash crash-hour nightly bench bench-setup growth soak profile lint fmt check clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
	@echo
	@echo "  make up DETACH=1 returns when everything is ready; make bench ARGS=... and make crash ARGS=... pass arguments on."

setup: ## Check the prerequisites, install what may be installed
	@deploy/local/setup.sh $(if $(OBSERVE),--observe)

build: setup $(WEB)/dist ## Build everything for release
	$(CARGO) build --release $(RELEASED)

web: $(WEB)/dist ## Build the dashboard

# Both are named after what they leave behind, so that nothing is fetched or built again that is current.
$(WEB)/node_modules: $(WEB)/package-lock.json
	cd $(WEB) && npm ci --no-audit --no-fund
	@touch $@

$(WEB)/dist: $(WEB)/node_modules $(shell find $(WEB)/src $(WEB)/public -type f) $(wildcard $(WEB)/*.ts $(WEB)/*.html $(WEB)/dev/*.ts)
	cd $(WEB) && npm run --silent build
	@touch $@

up: setup $(WEB)/dist ## Start the engines, the services and a simulated fleet (DETACH=1: in the background, OBSERVE=1: with Prometheus)
	$(CARGO) build --release $(RELEASED)
	$(LOCAL) up $(if $(DETACH),--detach) $(if $(OBSERVE),--observe) $(ARGS)

# `down`, `reset` and `status` must not wait for a compiler when the binary is there.
$(LOCAL):
	$(CARGO) build --release $(RELEASED)

down: | $(LOCAL) ## Stop what `make up` started
	$(LOCAL) down

reset: | $(LOCAL) ## Delete all its data (.local/); refuses while it runs
	$(LOCAL) reset

status: | $(LOCAL) ## Show what runs
	@$(LOCAL) status || [ $$? = 3 ] # 3: nothing runs

# The local stack's own settings: verify judges by what the meter was told. Whoever tries it out writes to the fleet's
# accounts as well.
verify: | $(LOCAL) ## Prove that ledger, sources and rows of the running stack agree
	@set -a; . $(DEMO_ENV); set +a; journal=(); \
	if compgen -G "$$TOLLBOOTH_FLEET_JOURNAL/journal-*.jsonl" >/dev/null; then \
		journal=(--journal "$$TOLLBOOTH_FLEET_JOURNAL" --journal-shared); fi; \
	TOLLBOOTH_METER__TOPICS__PARTITIONS=8 TOLLBOOTH_METER__AGE_LIMIT_DAYS=400 \
	TOLLBOOTH_METER__OPERATION_RETENTION_DAYS=400 $(TARGET)/release/tollbooth-meter verify "$${journal[@]}" $(ARGS)

# Most of them wait for engines most of the time: more at once than there are cores.
TEST_THREADS ?= 6

# All targets, so that the tests themselves compile nothing again: what only tests depend on changes the features of what
# everything depends on. The tests come last: their summaries close the output. The engines are fetched before, so that
# progress is seen.
test: test-setup ## Format, lints and all tests, over the real engines and in a real browser
	@$(STAMP) "format, lints, rules"
	@$(MAKE) --no-print-directory lint rules
	@$(STAMP) "build"
	$(CARGO) build --workspace --all-targets
	$(TARGET)/debug/tollbooth-local fetch
	@$(STAMP) "tests of the services"
	RUST_TEST_THREADS=$(TEST_THREADS) TOLLBOOTH_FUZZ_SECONDS=60 $(CARGO) test --workspace
	@$(STAMP) "dashboard: build, lints, unit tests"
	$(MAKE) --no-print-directory $(WEB)/dist
	cd $(WEB) && npm run --silent check
	@$(STAMP) "dashboard: tests in a browser"
	cd $(WEB) && e2e/run.sh

rules: ## Check alert rules, their tests, runbooks and dashboards
	@deploy/prometheus/check.sh

packaging: ## Check chart, compose file, units, image and grants, as far as this machine can
	@deploy/check.sh

test-setup:
	@deploy/local/setup.sh --tests

crash: setup ## The long crash test
	$(CARGO) build --workspace --all-targets
	TOLLBOOTH_CRASH=long $(CARGO) test --workspace --test crash -- --nocapture $(ARGS)

# Full disks take root's rights; what was not done stands in each round's summary.
CRASH_MINUTES ?= 60

crash-hour: setup ## All kinds of faults over three brokers, round after round (CRASH_MINUTES=60)
	$(CARGO) build --workspace --all-targets
	TOLLBOOTH_CRASH=hour TOLLBOOTH_CRASH_MINUTES=$(CRASH_MINUTES) $(CARGO) test --workspace --test crash crash_test -- --nocapture $(ARGS)

# As many seeds as an hour or so has room for; `make test` runs a few hundred.
SIM_SEEDS ?= 20000

simulate: ## Run the worker's loop in a simulated world (SIM_SEEDS=20000)
	TOLLBOOTH_SIM_SEEDS=$(SIM_SEEDS) $(CARGO) test --workspace --lib simulation::whatever -- --nocapture

handover: ## Hand a partition over in every order, in larger worlds than `make test` does
	TOLLBOOTH_HANDOVER=large $(CARGO) test --workspace --lib handover:: -- --nocapture

MODEL_SEQUENCES ?= 2000000

model: ## Hold the core against its model (MODEL_SEQUENCES=2000000)
	TOLLBOOTH_MODEL_SEQUENCES=$(MODEL_SEQUENCES) $(CARGO) test --workspace --test it -- model::

FUZZ_ROUNDS ?= 5000000
FUZZ_SECONDS ?= 300

# With another seed each time: it is printed where something fails.
fuzz: ## Give every reader changed and broken inputs (FUZZ_ROUNDS=5000000 for each, within FUZZ_SECONDS=300)
	export TOLLBOOTH_FUZZ_ROUNDS=$(FUZZ_ROUNDS) TOLLBOOTH_FUZZ_SECONDS=$(FUZZ_SECONDS) TOLLBOOTH_FUZZ_SEED=$${TOLLBOOTH_FUZZ_SEED:-$$RANDOM}; \
	echo "fuzz: TOLLBOOTH_FUZZ_SEED=$$TOLLBOOTH_FUZZ_SEED"; \
	$(CARGO) test --workspace --test fuzz && $(CARGO) test --workspace --lib -- fuzz_tests::

audit-setup:
	@deploy/local/setup.sh --audit

audit: audit-setup ## Check licences, versions, sources and known holes of what it is built of
	@deploy/audit.sh

CONFORMANCE_EXAMPLES ?= 100

conformance-setup:
	@deploy/local/setup.sh --conformance

# With another seed each time: it is printed.
conformance: conformance-setup ## Ask the services as their documents say, and otherwise (CONFORMANCE_EXAMPLES=100)
	$(CARGO) build --workspace --all-targets
	tests/conformance.sh $(CONFORMANCE_EXAMPLES)

mutants-setup:
	@deploy/local/setup.sh --mutants

# A mutant takes some 4 s, all 1,150 more than an hour; a shard is every fortieth, 0/1 all, and ARGS="--file PATH" those of a
# file. The tree is copied to TMPDIR and built there, which takes minutes before the first one. Few sequences of the model will do.
MUTANTS_SHARD ?= 0/40

mutants: mutants-setup ## Break the core, one small defect at a time: a test must fail (MUTANTS_SHARD=0/40)
	TOLLBOOTH_MODEL_SEQUENCES=2000 "$$(deploy/local/tools.sh path mutants)/bin/cargo-mutants" mutants \
		--package tollbooth-ledger --shard $(MUTANTS_SHARD) --sharding round-robin --output $(TARGET) $(ARGS)

# The packaging comes after what builds the programs for release: it runs them. The hour is last: what it finds keeps nothing
# else from being done.
nightly: test model handover simulate fuzz audit conformance crash bench packaging crash-hour ## Everything that takes long

bench-setup:
	@deploy/local/setup.sh --bench

bench: bench-setup ## Measure, print a table, write bench/results.json and bench/results.md
	$(CARGO) build --release $(RELEASED) -p tollbooth-bench
	$(TARGET)/release/tollbooth-bench $(ARGS)

# Neither writes over the table of `make bench`.
growth: setup ## Measure how cost grows with partitions, accounts, rows and ids; writes bench/growth.md
	$(CARGO) build --release $(RELEASED) -p tollbooth-bench
	$(TARGET)/release/tollbooth-bench --only growth --out bench/growth.json $(ARGS)

SOAK_MINUTES ?= 30

soak: setup ## The whole path at a third of what it carries: nothing may grow (SOAK_MINUTES=30); writes bench/soak.md
	$(CARGO) build --release $(RELEASED) -p tollbooth-bench
	$(TARGET)/release/tollbooth-bench --only soak --soak-minutes $(SOAK_MINUTES) --out bench/soak.json $(ARGS)

profile: setup ## Sample the meter while it drains a backlog (perf); writes bench/profiles
	$(CARGO) build --release $(RELEASED) -p tollbooth-bench
	bench/profile.sh $(ARGS)

lint: ## Formatting and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

fmt: ## Format the code
	$(CARGO) fmt --all

check: ## Compile without building, the quickest answer
	$(CARGO) check --workspace --all-targets

clean: ## Delete what was built; data and fetched engines stay
	$(CARGO) clean
