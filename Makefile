# Commands for people and CI. `make` lists them; CONTRIBUTING.md has details.

CARGO      ?= cargo
CARGOFLAGS ?=
TARGET_DIR ?= $(or $(CARGO_TARGET_DIR),target)
BENCH_ARGS ?= --warm-up-time 0.5 --measurement-time 2
# Features that a crate's tests require.
TEST_FEATURES ?= mesh-cni-plan/schema,mesh-cni-cli/schema
# Crates whose tests behind the feature `root-tests` need root.
ROOT_TEST_PACKAGES ?= mesh-cni-spec mesh-cni-netns mesh-cni-cli mesh-cni-tests
# Features whose tests need a Kubernetes node: `make cluster-test` runs them.
CLUSTER_TEST_FEATURES ?= mesh-cni-tests/cluster-tests
# Rust target of the image's programs.
IMAGE_TARGET ?= x86_64-unknown-linux-gnu
# The oldest supported Rust version, as rustup names it.
MSRV       := $(shell sed -n 's/^rust-version *= *"\(.*\)"$$/\1/p' Cargo.toml).0
# Arguments of the demo and the cluster tests: `make demo ARGS=--keep`.
ARGS       ?=

# The CNI runtime and the reference plugins that the tests call.
export CNITOOL           ?= $(CURDIR)/.cache/bin/cnitool
export CNI_REFERENCE_DIR ?= /usr/lib/cni
export PATH := $(CURDIR)/.cache/bin:$(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin:/usr/local/sbin:/usr/sbin:/sbin

# Cargo builds as the caller and runs the tests as root.
AS_ROOT := --config 'target."cfg(unix)".runner="$(CURDIR)/scripts/as-root"'

.DEFAULT_GOAL := help
.PHONY: help demo recording test test-root cluster-test manifests image reproducible differential fmt fmt-check clippy docs deny package msrv semver audit bench fuzz clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The plugin runs on hosts with unknown libraries, so it is static.
build-plugin = $(CARGO) rustc $(CARGOFLAGS) --release -p mesh-cni-plugin --bin mesh-cni -- -C target-feature=+crt-static

demo: ## run a pod with traffic on this machine and compare its rules (needs root)
	scripts/setup demo
	$(build-plugin)
	$(CARGO) build $(CARGOFLAGS) --release -p mesh-cni-cli --bin mesh-cnictl
	scripts/as-root $(TARGET_DIR)/release/mesh-cnictl demo $(ARGS)

recording: ## draw a run of the demo to docs/demo.svg (needs root)
	scripts/setup demo
	$(build-plugin)
	$(CARGO) build $(CARGOFLAGS) --release -p mesh-cni-cli --bin mesh-cnictl
	scripts/recording $(TARGET_DIR)/release/mesh-cnictl docs/demo.svg

test: ## run all tests, also those that need root
	scripts/setup test
	$(CARGO) build $(CARGOFLAGS) --workspace --bins
	$(CARGO) test $(CARGOFLAGS) --workspace --exclude mesh-cni-tests --features $(TEST_FEATURES)
	$(CARGO) test $(CARGOFLAGS) --doc -p mesh-cni-tests
	$(MAKE) --no-print-directory test-root

# Static programs for the tests of the image. Only the last step of the agent's build differs from the
# ordinary one.
STATIC := $(TARGET_DIR)/debug/static
build-static-agent = $(CARGO) rustc $(CARGOFLAGS) -p mesh-cni-agent --bin mesh-cni-agent \
	-- -C target-feature=+crt-static -C strip=symbols \
	&& mkdir -p $(STATIC) && rm -f $(STATIC)/mesh-cni-agent \
	&& mv $(TARGET_DIR)/debug/mesh-cni-agent $(STATIC)/

test-root: ## run only the tests that need root
	scripts/plugin $(STATIC)/mesh-cni '' dev
	$(build-static-agent)
	$(CARGO) build $(CARGOFLAGS) --workspace --bins
	$(CARGO) test $(CARGOFLAGS) $(AS_ROOT) --tests $(addprefix -p ,$(ROOT_TEST_PACKAGES)) --features root-tests

cluster-test: ## run the tests on a Kubernetes node with Envoy (needs root)
	scripts/setup cluster
	$(CARGO) build $(CARGOFLAGS) --workspace --bins
	$(CARGO) test $(CARGOFLAGS) $(AS_ROOT) -p mesh-cni-tests --features $(CLUSTER_TEST_FEATURES) \
		--test cluster -- $(ARGS)

manifests: ## render the chart into deploy/manifests
	scripts/setup helm
	scripts/manifests

# Messages of panics contain paths. They must not depend on the directories of the build.
REMAPPED := --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo --remap-path-prefix=$(CURDIR)=/mesh-cni

image: ## build the agent's image, an OCI archive, and its SBOM: target/image/mesh-cni.tar, .cdx.json
	scripts/setup image
	RUSTFLAGS="-C target-feature=+crt-static $(REMAPPED)" $(CARGO) build $(CARGOFLAGS) --release \
		--target $(IMAGE_TARGET) -p mesh-cni-agent --bin mesh-cni-agent
	RUSTFLAGS="$(REMAPPED)" scripts/plugin $(TARGET_DIR)/$(IMAGE_TARGET)/release/mesh-cni $(IMAGE_TARGET)
	mkdir -p $(TARGET_DIR)/image
	scripts/image $(TARGET_DIR)/$(IMAGE_TARGET)/release $(TARGET_DIR)/image/mesh-cni.tar
	scripts/sbom $(TARGET_DIR)/$(IMAGE_TARGET)/release $(TARGET_DIR)/image/mesh-cni.cdx.json $(IMAGE_TARGET)

reproducible: ## build the image in two directories, and fail if the bytes differ
	scripts/setup image
	scripts/reproducible

differential: ## compare simulation and kernel: SEED=1 SETTINGS=1000 PACKETS=15
	scripts/setup test
	$(CARGO) build $(CARGOFLAGS) --workspace --bins
	SETTINGS=$(or $(SETTINGS),1000) $(CARGO) test $(CARGOFLAGS) $(AS_ROOT) -p mesh-cni-tests \
		--features root-tests --test differential -- --nocapture

fmt: ## format the sources
	$(CARGO) fmt --all

fmt-check: ## fail if the sources are not formatted
	$(CARGO) fmt --all --check

clippy: ## run all lints on all targets with all features
	$(CARGO) clippy $(CARGOFLAGS) --workspace --all-targets --all-features -- -D warnings

docs: ## build the API documentation, without warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(CARGOFLAGS) --workspace --no-deps

deny: ## check licences, sources and banned crates
	scripts/setup deny
	cargo-deny $(CARGOFLAGS) check bans licenses sources

package: ## package every crate and compile the packages with their tests
	scripts/package

# A separate target directory, so that the next `make test` recompiles nothing.
msrv: ## compile libraries and programs with the oldest supported Rust version
	scripts/setup msrv
	RUSTUP_TOOLCHAIN=$(MSRV) CARGO_TARGET_DIR=$(TARGET_DIR)/msrv \
		$(CARGO) check $(CARGOFLAGS) --workspace --exclude mesh-cni-tests

semver: ## compare the public interface of each crate with its last release
	scripts/semver

audit: ## check for known vulnerabilities (downloads the advisory database)
	scripts/setup deny
	cargo-deny $(CARGOFLAGS) check advisories

bench: ## run the benchmarks (needs root)
	scripts/setup test
	$(CARGO) bench $(CARGOFLAGS) --workspace --bench '*' -- $(BENCH_ARGS)
	scripts/plugin $(TARGET_DIR)/release/mesh-cni
	$(CARGO) run $(CARGOFLAGS) $(AS_ROOT) --release -p mesh-cni-tests --bin bench-add
	$(CARGO) build $(CARGOFLAGS) --release -p mesh-cni-agent --bin mesh-cni-agent
	$(CARGO) run $(CARGOFLAGS) $(AS_ROOT) --release -p mesh-cni-tests --bin bench-agent
	$(CARGO) run $(CARGOFLAGS) $(AS_ROOT) --release -p mesh-cni-tests --bin bench-agent-memory

fuzz: ## send random input to the parsers: TARGET=pod SECONDS_TO_FUZZ=60
	scripts/setup fuzz
	scripts/fuzz $(or $(SECONDS_TO_FUZZ),60) $(TARGET)

clean: ## remove target and .cache
	$(CARGO) clean
	rm -rf .cache
