# Everything that a person types in this repo, and the order in which it is built. Each target checks for itself what it needs.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# A recipe is one script.
.ONESHELL:
# Cargo and Go use all cores themselves, and a cluster's output is to be read from top to bottom.
.NOTPARALLEL:

# The user's own clusters are never touched: a cluster for tests is named in OPERON_TEST_KUBECONFIG. Who forgets to name one
# gets a kubeconfig without any; left out, the variable would mean the one in the home folder, or the cluster around a pod.
override KUBECONFIG := /dev/null
export KUBECONFIG
unexport KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT
# Nor are kubectl's cache and preferences in the home folder.
export KUBECACHEDIR := $(CURDIR)/target/devcluster/cache
export KUBERC := off
# Files below are named under target/, whatever the user's settings of cargo are.
export CARGO_TARGET_DIR := $(CURDIR)/target
unexport CARGO_BUILD_TARGET
# The same flags in each use of Go, so that all of them share one build cache. No binary depends on the state of git.
export GOFLAGS := -trimpath -buildvcs=false
unexport GOOS GOARCH

GO_MODULE := deploy/devcluster
BIN := target/devcluster/bin
PLUGINS := target/plugins
WASM_TARGET := wasm32-wasip2

# What a run against a control plane needs: none of ours where the user names one.
CONTROL_PLANE := $(if $(OPERON_TEST_KUBECONFIG),,devcluster)

# need,COMMAND,WHERE TO GET IT: ends the recipe where the command is missing.
need = command -v $(1) >/dev/null || { echo "make $@: $(1) is missing: $(2)" >&2; exit 1; }
need_rust = $(call need,cargo,get Rust 1.95 or newer from https://rustup.rs); \
	$(call need,cc,Rust links with it; Debian has it as apt-get install build-essential)
need_linux = [[ "$$(uname -s)" == Linux ]] || { \
		echo "make $@: the control plane runs on Linux only: name a cluster in OPERON_TEST_KUBECONFIG" >&2; exit 1; }
need_go = $(call need,go,get Go 1.26 or newer from https://go.dev/dl); \
	go -C $(GO_MODULE) list -m >/dev/null 2>&1 || { \
		echo "make $@: $$(go version) is too old: get Go 1.26 or newer from https://go.dev/dl" >&2; exit 1; }

.PHONY: help
help: ## List the targets
	@echo "Usage: make TARGET"
	echo
	sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14
	echo
	echo "With OPERON_TEST_KUBECONFIG=FILE, demo and test use the cluster of that file, and build no control plane."

.PHONY: build
build: ## Build the host: target/release/operon
	@$(need_rust)
	[[ -e target/release/operon ]] || echo "Building the host. The first time takes some minutes, later ones seconds."
	cargo build --release -p operon --bin operon

# A plugin is published: no path of this machine is to stay in it, in the places that panics name.
PLUGIN_RUSTFLAGS = --remap-path-prefix=$(CURDIR)=/operon --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo
cargo_plugin = RUSTFLAGS="$(PLUGIN_RUSTFLAGS)" cargo build --target $(WASM_TARGET) --profile plugin
built_plugin = target/$(WASM_TARGET)/plugin

.PHONY: plugins
plugins: wasm-target ## Build the plugins: target/plugins/*.wasm
	@mkdir -p $(PLUGINS)
	# Cargo gives both builds of the sample one file name, and would take the one for the other when neither has changed.
	cargo clean --quiet -p sample --target $(WASM_TARGET) --profile plugin
	$(cargo_plugin) -p sample --features v2
	cp $(built_plugin)/sample.wasm $(PLUGINS)/sample-v2.wasm
	cargo clean --quiet -p sample --target $(WASM_TARGET) --profile plugin
	$(cargo_plugin) -p sample
	cp $(built_plugin)/sample.wasm $(PLUGINS)/sample.wasm
	$(cargo_plugin) -p scripted
	cp $(built_plugin)/scripted.wasm $(PLUGINS)/scripted.wasm

.PHONY: wasm-target
wasm-target:
	@$(need_rust)
	if [[ ! -d "$$(rustc --print target-libdir --target $(WASM_TARGET))" ]]; then
		$(call need,rustup,it installs Rust's target $(WASM_TARGET); get it from https://rustup.rs)
		echo "Adding Rust's target $(WASM_TARGET), once: some seconds."
		rustup target add $(WASM_TARGET)
	fi

.PHONY: devcluster
devcluster: $(BIN)/devcluster $(BIN)/devcluster-kwok $(BIN)/kubectl ## Build a Kubernetes control plane: target/devcluster/bin (10 minutes, once)

go_sources := $(GO_MODULE)/go.mod $(GO_MODULE)/go.sum $(shell find $(GO_MODULE) -name '*.go' -not -name '*_test.go')
# Set by Kubernetes' own build. Without it, clients see v0.0.0.
kubernetes_version := $(shell sed -nE 's|^\tk8s.io/kubernetes v([0-9.]+)$$|\1|p' $(GO_MODULE)/go.mod)
version_parts := $(subst ., ,$(kubernetes_version))
version_package := k8s.io/component-base/version
go_ldflags := -s -w -X $(version_package).gitVersion=v$(kubernetes_version) \
	-X $(version_package).gitMajor=$(word 1,$(version_parts)) -X $(version_package).gitMinor=$(word 2,$(version_parts))

# Go leaves a file that is up to date as it is: hence the touch.
$(BIN)/devcluster: $(go_sources)
	@$(need_linux)
	$(need_go)
	echo "Building Kubernetes $(kubernetes_version) from source, as the control plane of demo and tests, into $(BIN)."
	echo "The first time takes about 10 minutes on 2 cores and 4 GB of disk, in silence; later ones take seconds."
	go -C $(GO_MODULE) build -ldflags '$(go_ldflags)' -o $(CURDIR)/$@ ./cmd/devcluster
	touch $@

$(BIN)/devcluster-kwok: $(go_sources)
	@$(need_go)
	go -C $(GO_MODULE) build -ldflags '-s -w' -o $(CURDIR)/$@ ./cmd/kwok
	touch $@

# The binary is kubectl when it is called by that name.
$(BIN)/kubectl: | $(BIN)/devcluster
	@ln -sfn devcluster $@

.PHONY: demo
demo: build plugins $(CONTROL_PLANE) ## Show the Sample operator at work on a real API server (KEEP=1 leaves it running)
	@KEEP="$(KEEP)" deploy/demo/demo.sh

# A cluster of the user's is written to only after a yes, from the terminal or from OPERON_TEST_YES=1.
define ask_before_writing
if [[ -z "$${OPERON_TEST_YES:-}" ]]; then
	read -rp "The tests will write to the cluster of $$OPERON_TEST_KUBECONFIG. Go on (yes/no)? " answer </dev/tty
	[[ "$$answer" == yes ]] || { echo "Nothing was written." >&2; exit 1; }
fi
endef

# Runs a command with a control plane named in OPERON_TEST_KUBECONFIG: the user's, after a yes, or a fresh one.
define on_control_plane
on_control_plane() {
	if [[ -n "$${OPERON_TEST_KUBECONFIG:-}" ]]; then
		$(ask_before_writing)
		"$$@"
		return
	fi
	local dir="$$(mktemp -d)"
	trap '$(BIN)/devcluster down --dir "'"$$dir"'" && rm -rf "'"$$dir"'"' EXIT
	$(BIN)/devcluster up --dir "$$dir" --detach
	OPERON_TEST_KUBECONFIG="$$dir/kubeconfig" "$$@"
}
endef

.PHONY: test
test: plugins $(CONTROL_PLANE) ## Run all tests, those against a control plane included
	@summary=
	suite() {
		local name="$$1" start=$$SECONDS
		echo "== $$name"
		"$${@:2}"
		summary+="$$(printf '%6d s  %s' $$((SECONDS - start)) "$$name")"$$'\n'
	}
	# Always the whole workspace: with a single crate's features, cargo would build the dependencies again.
	units() {
		cargo test --workspace --lib --bins --test config --test compile
		cargo test --workspace --doc
	}
	# Not its cmd: to vet that is to analyse all of Kubernetes, which takes minutes. See lint.
	control_plane() {
		$(need_go)
		go -C $(GO_MODULE) vet ./internal/...
		go -C $(GO_MODULE) test ./internal/...
	}
	suite "units" units
	$(if $(CONTROL_PLANE),suite "control plane (Go)" control_plane)
	$(on_control_plane)
	# More at once than cores: most of the time they wait, some for a host that waits for a dead connection.
	suite "against a control plane" on_control_plane cargo test --workspace --test cluster -- --test-threads=24
	printf '\nAll tests passed:\n%s' "$$summary"

.PHONY: soak
soak: plugins $(CONTROL_PLANE) ## Run the long forms of the fault suite: kills and faults for half an hour (OPERON_TEST_SEED=N repeats one)
	@$(on_control_plane)
	on_control_plane cargo test --workspace --test cluster -- --ignored --nocapture --test-threads=1 soak

# A large component for benchmarks: 18 MB with the Python interpreter in it.
COMPONENTIZE_PY := 0.25.1
target/python/bin/componentize-py:
	@$(call need,python3,get Python 3.10 or newer; Debian has it as apt-get install python3 python3-venv)
	echo "Installing componentize-py $(COMPONENTIZE_PY) from PyPI into target/python."
	python3 -m venv target/python
	target/python/bin/pip install --quiet --disable-pip-version-check componentize-py==$(COMPONENTIZE_PY)

$(PLUGINS)/python.wasm: target/python/bin/componentize-py host/tests/guests/python/app.py wit/plugin.wit
	@mkdir -p $(PLUGINS)
	$< -d wit -w plugin componentize --stub-wasi -p host/tests/guests/python app -o $@

# bench,TEST: runs one benchmark of the cluster suite with an optimized host.
define bench
	@$(on_control_plane)
	export OPERON_TEST_BINARY="$(CURDIR)/target/release/operon"
	on_control_plane cargo test --workspace --test cluster -- --ignored --nocapture $(1)
endef

.PHONY: bench-fairness
bench-fairness: build plugins $(CONTROL_PLANE) ## Latency of a plugin beside one that sleeps and one that fails
	$(call bench,bench::single_events)

.PHONY: bench-converge
bench-converge: build plugins $(CONTROL_PLANE) ## Rates of 1,000 objects created, deprived of their children, and deleted at once
	$(call bench,bench::a_thousand)

.PHONY: bench-swap
bench-swap: build plugins $(PLUGINS)/python.wasm $(CONTROL_PLANE) ## Time of a swap, for a small and a large plugin, and what it costs the neighbours
	$(call bench,bench_swap::swaps)

.PHONY: lint
lint: ## Check the format, and what the linters of Rust and Go find
	@$(need_rust)
	$(need_go)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	unformatted="$$(gofmt -l $(GO_MODULE))"
	[[ -z "$$unformatted" ]] || { echo "Run gofmt -w on: $$unformatted" >&2; exit 1; }
	go -C $(GO_MODULE) vet ./...

.PHONY: clean
clean: ## Remove all that was built in target/
	@rm -rf target
