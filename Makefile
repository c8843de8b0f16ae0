# What people and the CI run. `make` alone lists it; CONTRIBUTING.md says more.

CARGO      ?= cargo
CARGOFLAGS ?=
TARGET_DIR ?= $(or $(CARGO_TARGET_DIR),target)
BENCH_ARGS ?= --warm-up-time 0.5 --measurement-time 2
# Features without which a crate's tests are not built.
TEST_FEATURES ?= mesh-cni-plan/schema
# Crates whose tests behind the feature `root-tests` need root.
ROOT_TEST_PACKAGES ?= mesh-cni-spec mesh-cni-netns mesh-cni-cli mesh-cni-tests
# Features whose tests need a whole Kubernetes node: `make cluster-test` runs them.
CLUSTER_TEST_FEATURES ?= mesh-cni-tests/cluster-tests
# What the image's programs are built for; static with glibc and with musl.
IMAGE_TARGET ?= x86_64-unknown-linux-gnu
# The oldest supported Rust version, as rustup names it.
MSRV       := $(shell sed -n 's/^rust-version *= *"\(.*\)"$$/\1/p' Cargo.toml).0
# Arguments of the demo and of the cluster's stages: `make demo ARGS=--keep`.
ARGS       ?=

# Where the tests find the CNI runtime and the plugins that are not ours.
export CNITOOL           ?= $(CURDIR)/.cache/bin/cnitool
export CNI_REFERENCE_DIR ?= /usr/lib/cni
export PATH := $(CURDIR)/.cache/bin:$(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin:/usr/local/sbin:/usr/sbin:/sbin

# Cargo builds as the caller and runs what it built as root.
AS_ROOT := --config 'target."cfg(unix)".runner="$(CURDIR)/scripts/as-root"'

.DEFAULT_GOAL := help
.PHONY: help demo recording test test-root cluster-test manifests image differential fmt fmt-check clippy docs deny package msrv semver audit bench fuzz clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The plugin goes to hosts whose libraries nobody knows, and starts once for every pod.
build-plugin = $(CARGO) rustc $(CARGOFLAGS) --release -p mesh-cni-plugin --bin mesh-cni -- -C target-feature=+crt-static

demo: ## a pod on this machine, real traffic, the documented dump (needs root)
	scripts/setup demo
	$(build-plugin)
	$(CARGO) build $(CARGOFLAGS) --release -p mesh-cni-cli --bin mesh-cnictl
	scripts/as-root $(TARGET_DIR)/release/mesh-cnictl demo $(ARGS)

recording: ## docs/demo.svg: a run of the demo, drawn (needs root)
	scripts/setup demo
	$(build-plugin)
	$(CARGO) build $(CARGOFLAGS) --release -p mesh-cni-cli --bin mesh-cnictl
	scripts/recording $(TARGET_DIR)/release/mesh-cnictl docs/demo.svg

test: ## every test, then those that need root
	scripts/setup test
	$(CARGO) build $(CARGOFLAGS) --workspace --bins
	$(CARGO) test $(CARGOFLAGS) --workspace --exclude mesh-cni-tests --features $(TEST_FEATURES)
	$(CARGO) test $(CARGOFLAGS) --doc -p mesh-cni-tests
	$(MAKE) --no-print-directory test-root

# The programs of an image have no loader: the plugin as nodes get it, and the agent, of which only
# the last step is another one for it.
STATIC := $(TARGET_DIR)/debug/static
build-static-agent = $(CARGO) rustc $(CARGOFLAGS) -p mesh-cni-agent --bin mesh-cni-agent \
	-- -C target-feature=+crt-static -C strip=symbols \
	&& mkdir -p $(STATIC) && rm -f $(STATIC)/mesh-cni-agent \
	&& mv $(TARGET_DIR)/debug/mesh-cni-agent $(STATIC)/

test-root: ## only the tests that need root
	scripts/plugin $(STATIC)/mesh-cni '' dev
	$(build-static-agent)
	$(CARGO) build $(CARGOFLAGS) --workspace --bins
	$(CARGO) test $(CARGOFLAGS) $(AS_ROOT) --tests $(addprefix -p ,$(ROOT_TEST_PACKAGES)) --features root-tests

cluster-test: ## a Kubernetes node, Envoy, the document's walk-through (needs root)
	scripts/setup cluster
	$(CARGO) build $(CARGOFLAGS) --workspace --bins
	$(CARGO) test $(CARGOFLAGS) $(AS_ROOT) -p mesh-cni-tests --features $(CLUSTER_TEST_FEATURES) \
		--test cluster -- $(ARGS)

manifests: ## deploy/manifests, from the chart
	scripts/setup helm
	scripts/manifests

image: ## the image of the node agent as an OCI archive: target/image/mesh-cni.tar
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build $(CARGOFLAGS) --release \
		--target $(IMAGE_TARGET) --bin mesh-cni-agent
	scripts/plugin $(TARGET_DIR)/$(IMAGE_TARGET)/release/mesh-cni $(IMAGE_TARGET)
	mkdir -p $(TARGET_DIR)/image
	scripts/image $(TARGET_DIR)/$(IMAGE_TARGET)/release $(TARGET_DIR)/image/mesh-cni.tar

differential: ## the walk against the kernel, longer: SEED=1 SETTINGS=1000 PACKETS=15
	scripts/setup test
	$(CARGO) build $(CARGOFLAGS) --workspace --bins
	SETTINGS=$(or $(SETTINGS),1000) $(CARGO) test $(CARGOFLAGS) $(AS_ROOT) -p mesh-cni-tests \
		--features root-tests --test differential -- --nocapture

fmt: ## format the sources
	$(CARGO) fmt --all

fmt-check: ## fail where the sources are not formatted
	$(CARGO) fmt --all --check

clippy: ## every lint, every target, every feature
	$(CARGO) clippy $(CARGOFLAGS) --workspace --all-targets --all-features -- -D warnings

docs: ## the API documentation, without a warning
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(CARGOFLAGS) --workspace --no-deps

deny: ## licences, sources and banned crates
	scripts/setup deny
	cargo-deny $(CARGOFLAGS) check bans licenses sources

package: ## every crate as it would be published, compiled by itself and with its tests
	scripts/package

# The compiler has a target directory of its own, so that the next `make test` recompiles nothing.
msrv: ## libraries and programs compiled with the oldest supported Rust version
	scripts/setup msrv
	RUSTUP_TOOLCHAIN=$(MSRV) CARGO_TARGET_DIR=$(TARGET_DIR)/msrv \
		$(CARGO) check $(CARGOFLAGS) --workspace --exclude mesh-cni-tests

semver: ## public interfaces compared with the last release of each crate
	scripts/semver

audit: ## known vulnerabilities (fetches the advisory database)
	scripts/setup deny
	cargo-deny $(CARGOFLAGS) check advisories

bench: ## the pure crates, a whole ADD beside its floor, the agent (needs root)
	scripts/setup test
	$(CARGO) bench $(CARGOFLAGS) --workspace --bench '*' -- $(BENCH_ARGS)
	scripts/plugin $(TARGET_DIR)/release/mesh-cni
	$(CARGO) run $(CARGOFLAGS) $(AS_ROOT) --release -p mesh-cni-tests --bin bench-add
	$(CARGO) build $(CARGOFLAGS) --release -p mesh-cni-agent --bin mesh-cni-agent
	$(CARGO) run $(CARGOFLAGS) $(AS_ROOT) --release -p mesh-cni-tests --bin bench-agent

# The engine needs instrumented code, which a stable compiler makes when it is told to.
fuzz: ## random bytes in place of the kernel's answers: SECONDS_TO_FUZZ=60
	scripts/setup fuzz
	mkdir -p crates/nftables/fuzz/corpus/answers
	cd crates/nftables && RUSTC_BOOTSTRAP=1 cargo-fuzz run answers fuzz/corpus/answers fuzz/seeds/answers \
		-- -max_total_time=$(or $(SECONDS_TO_FUZZ),60) -timeout=20 -rss_limit_mb=1024

clean: ## remove what was built, and the tools of .cache
	$(CARGO) clean
	rm -rf .cache
