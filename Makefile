# Commands for people and CI. `make` lists them; CONTRIBUTING.md has details.

CARGO      ?= cargo
CARGOFLAGS ?=
TARGET_DIR ?= $(or $(CARGO_TARGET_DIR),target)
BENCH_ARGS ?= --warm-up-time 0.5 --measurement-time 2
# Crates whose tests behind the feature `root-tests` need root.
ROOT_TEST_PACKAGES ?= mesh-cni-spec mesh-cni-netns mesh-cni-cli mesh-cni-tests
# Features that tests require.
TEST_FEATURES ?= mesh-cni-plan/schema,mesh-cni-agent/schema,mesh-cni-cli/schema
# Features whose tests need a machine of their own: `make cluster-test` and `make kernel-test` run them.
MACHINE_TEST_FEATURES ?= mesh-cni-tests/cluster-tests,mesh-cni-tests/kernel-tests
# All tests are compiled with the same crates and features: cargo compiles dependencies and crates once more for each
# other selection.
TESTS := --workspace --features $(TEST_FEATURES) $(ROOT_TEST_PACKAGES:%=--features %/root-tests)
export MACHINE_TESTS := $(TESTS) --features $(MACHINE_TEST_FEATURES)
# Rust targets of the image's programs.
IMAGE_TARGETS ?= x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu
# The oldest supported Rust version, as rustup names it.
MSRV       := $(shell sed -n 's/^rust-version *= *"\(.*\)"$$/\1/p' Cargo.toml).0
# The kernels of `make kernel-test`: those that run the quick tests, and those that run all. An empty list
# skips these tests.
QUICK      ?= 6.1 6.12 6.12-arm64
ALL        ?= 5.10 newest
# Arguments of the demo and the cluster tests: `make demo ARGS=--keep`.
ARGS       ?=

# The CNI runtime and the reference plugins that the tests call.
export CNITOOL           ?= $(CURDIR)/.cache/bin/cnitool
export CNI_REFERENCE_DIR ?= /usr/lib/cni
export PATH := $(CURDIR)/.cache/bin:$(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin:/usr/local/sbin:/usr/sbin:/sbin

# Cargo builds as the caller and runs the tests of ROOT_PACKAGES as root, or all.
AS_ROOT := --config 'target."cfg(unix)".runner="$(CURDIR)/scripts/as-root"'

.DEFAULT_GOAL := help
.PHONY: help demo recording test test-root ambient-test cluster-test kernel-test manifests chart image image-test reproducible differential fmt fmt-check clippy docs deny package msrv semver audit bench bench-fleet fuzz clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# mesh-cnictl finds the plugin beside it: the one that nodes get.
build-demo = scripts/program mesh-cni $(TARGET_DIR)/release/mesh-cni \
	&& $(CARGO) build $(CARGOFLAGS) --release -p mesh-cni-cli --bin mesh-cnictl

demo: ## run a pod with traffic on this machine and compare its rules (needs root)
	scripts/setup demo
	$(build-demo)
	scripts/as-root $(TARGET_DIR)/release/mesh-cnictl demo $(ARGS)

recording: ## draw a run of the demo to docs/demo.svg, and the agent's page to docs/page-*.png (needs root)
	scripts/setup test
	$(build-demo)
	scripts/recording $(TARGET_DIR)/release/mesh-cnictl docs/demo.svg
	$(CARGO) build $(CARGOFLAGS) -p mesh-cni-agent
	PICTURES=$(CURDIR)/docs $(CARGO) test $(CARGOFLAGS) -p mesh-cni-agent --features pictures --test service pictures::

# Static programs for the tests of the image.
STATIC := $(TARGET_DIR)/debug/static
PROGRAMS := mesh-cni mesh-cni-agent mesh-cnictl
build-static = set -e; for program in $(PROGRAMS); do scripts/program $$program $(STATIC)/$$program '' dev; done

test: ## run all tests, also those that need root
	scripts/setup test
	$(build-static)
	ROOT_PACKAGES="$(ROOT_TEST_PACKAGES)" $(CARGO) test $(CARGOFLAGS) $(AS_ROOT) $(TESTS)

test-root: ## run only the tests that need root
	$(build-static)
	$(CARGO) build $(CARGOFLAGS) --workspace --bins
	$(CARGO) test $(CARGOFLAGS) $(AS_ROOT) --tests $(addprefix -p ,$(ROOT_TEST_PACKAGES)) --features root-tests

ambient-test: ## run the tests of ambient mode (needs root): ZTUNNEL=path for a real ztunnel
	scripts/setup test
	$(CARGO) build $(CARGOFLAGS) --workspace --bins
	$(if $(ZTUNNEL),ZTUNNEL=$(abspath $(ZTUNNEL))) $(CARGO) test $(CARGOFLAGS) $(AS_ROOT) -p mesh-cni-tests \
		--features root-tests --test kernel --test repair -- ambient::

cluster-test: ## run the tests on a Kubernetes node with Envoy (needs root)
	scripts/setup cluster
	$(CARGO) build $(CARGOFLAGS) $(MACHINE_TESTS) --bins --test cluster
	$(CARGO) test $(CARGOFLAGS) $(AS_ROOT) $(MACHINE_TESTS) --test cluster -- $(ARGS)

kernel-test: ## run tests on other kernels, in virtual machines: QUICK="6.1 6.12-arm64" ALL="5.10 newest"
	scripts/setup kernels$(if $(filter %-arm64,$(QUICK) $(ALL)),-arm64)
	scripts/kernel-test quick $(QUICK)
	scripts/kernel-test all $(ALL)

manifests: ## render the chart into deploy/manifests
	scripts/setup helm
	scripts/manifests

chart: ## pack the chart: target/chart/mesh-cni-VERSION.tgz
	scripts/setup helm
	scripts/chart

# Messages of panics contain paths. They must not depend on the directories of the build.
REMAPPED := --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo --remap-path-prefix=$(CURDIR)=/mesh-cni

image: ## build the image of all architectures, an OCI archive, and an SBOM for each: target/image
	scripts/setup image
	mkdir -p $(TARGET_DIR)/image
	set -e; for target in $(IMAGE_TARGETS); do \
		for program in $(PROGRAMS); do \
			RUSTFLAGS="$(REMAPPED)" scripts/program $$program $(TARGET_DIR)/image/$$target/$$program $$target; \
		done; \
		scripts/sbom $(TARGET_DIR)/image/$$target $(TARGET_DIR)/image/mesh-cni.$${target%%-*}.cdx.json $$target; \
	done
	scripts/image $(TARGET_DIR)/image/mesh-cni.tar $(addprefix $(TARGET_DIR)/image/,$(IMAGE_TARGETS))

image-test: image ## build the image, and start its programs for both architectures
	scripts/setup image-test
	IMAGE_ARCHIVE=$(abspath $(TARGET_DIR)/image/mesh-cni.tar) $(CARGO) test $(CARGOFLAGS) \
		-p mesh-cni-tests --features image-tests --test deploy -- architectures

reproducible: ## build the image in two directories, and fail if the bytes differ
	scripts/setup image
	scripts/reproducible

differential: ## compare simulation and kernel: SEED=1 SETTINGS=1000 PACKETS=15
	scripts/setup test
	SETTINGS=$(or $(SETTINGS),1000) $(CARGO) test $(CARGOFLAGS) $(AS_ROOT) $(TESTS) --test differential -- --nocapture

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
	scripts/program mesh-cni $(TARGET_DIR)/release/mesh-cni
	$(CARGO) run $(CARGOFLAGS) $(AS_ROOT) --release -p mesh-cni-tests --bin bench-add
	$(CARGO) run $(CARGOFLAGS) $(AS_ROOT) --release -p mesh-cni-tests --bin bench-datapath
	$(CARGO) build $(CARGOFLAGS) --release -p mesh-cni-agent --bin mesh-cni-agent
	$(CARGO) run $(CARGOFLAGS) $(AS_ROOT) --release -p mesh-cni-tests --bin bench-agent
	$(CARGO) run $(CARGOFLAGS) $(AS_ROOT) --release -p mesh-cni-tests --bin bench-agent-memory

bench-fleet: ## measure what many agents cost an API server: NODES=200 PODS=6000 ADDS=600
	scripts/setup cluster
	$(CARGO) build $(CARGOFLAGS) --release -p mesh-cni-agent --bin mesh-cni-agent
	NODES=$(or $(NODES),200) PODS=$(or $(PODS),6000) ADDS=$(or $(ADDS),600) \
		$(CARGO) run $(CARGOFLAGS) --release -p mesh-cni-tests --bin bench-fleet

fuzz: ## send random input to the parsers: TARGET=pod SECONDS_TO_FUZZ=60
	scripts/setup fuzz
	scripts/fuzz $(or $(SECONDS_TO_FUZZ),60) $(TARGET)

clean: ## remove target and .cache
	$(CARGO) clean
	rm -rf .cache
