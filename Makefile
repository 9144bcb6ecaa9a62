# The front door: thin wrappers over meson. What is missing is installed (Debian 12), saying so first:
# PACKAGES by all of them, the others by what needs them.

# To build vigil with its tests, and to run it.
PACKAGES = gcc meson ninja-build pkg-config curl jq \
	check libglib2.0-dev libjansson-dev libuv1-dev libmicrohttpd-dev libsqlite3-dev \
	libsystemd-dev libseccomp-dev libopenblas-dev libprotobuf-c-dev protobuf-c-compiler \
	zlib1g-dev libcurl4-openssl-dev libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev \
	libgstreamer-plugins-bad1.0-dev libgstrtspserver-1.0-dev gstreamer1.0-tools gstreamer1.0-plugins-base \
	gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly \
	gstreamer1.0-libav glib-networking python3 python3-yaml

# To run the tests: how the tree is written, what the manual says, vigil.service under a systemd, and
# the engine on processors that are not here.
TEST_PACKAGES = clang-format mandoc openssl sqlite3 systemd qemu-user gcc-aarch64-linux-gnu \
	libc6-dev-arm64-cross

# To hold training against PyTorch's; not in every Debian, so apart.
PEER_PACKAGES = python3-torch

FUZZ_PACKAGES = clang libclang-rt-14-dev

BUILD ?= build
WERROR ?= false

.PHONY: all deps test-deps peer-deps fuzz-deps format-deps build demo test test-release test-asan bench bench-networks bench-train bench-memory bench-http bench-jobs bench-store accept recipes scene-figures fuzz reference format clean

all: build

# Of the packages in $(1), those that are missing.
define install
	@missing=$$(for p in $(1); do \
		dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then \
		echo "Installing with apt-get:" $$missing; \
		as_root=; [ "$$(id -u)" = 0 ] || as_root=sudo; \
		$$as_root apt-get update -q && \
		DEBIAN_FRONTEND=noninteractive $$as_root apt-get install -y -q --no-install-recommends $$missing; \
	fi
endef

deps:
	$(call install,$(PACKAGES))

# Without them tests are skipped by name, or fail by it: the others are worth running.
test-deps: | deps peer-deps
	$(call install,$(TEST_PACKAGES)) || echo "Some tests cannot be run: not all is installed."

peer-deps: | deps
	$(call install,$(PEER_PACKAGES)) || echo "Training is not held against PyTorch: it is not installed."

fuzz-deps: | deps
	$(call install,$(FUZZ_PACKAGES))

format-deps:
	$(call install,clang-format)

$(BUILD)/build.ninja: | deps
	meson setup $(BUILD) -Dwerror=$(WERROR)

$(BUILD)-asan/build.ninja: | deps
	meson setup $(BUILD)-asan -Dwerror=$(WERROR) -Dbuildtype=debugoptimized \
		-Db_sanitize=address,undefined -Db_lundef=false

build: $(BUILD)/build.ninja
	ninja -C $(BUILD)

demo: build
	cli/demo.sh $(BUILD)

test: test-release test-asan

test-release: build | test-deps
	python3 tests/tools/run_suite.py $(BUILD)

test-asan: $(BUILD)-asan/build.ninja | test-deps
	python3 tests/tools/run_suite.py $(BUILD)-asan

# Figures, not verdicts.
bench: build bench-networks
	meson test -C $(BUILD) --benchmark --verbose

# Against ONNX Runtime, of which there is a package for node: docs/benchmarks.md is the result. It is
# installed below the build folder, and left out where there is no node or no network.
ONNXRUNTIME = onnxruntime-node@1.30
NETWORKS = $(BUILD)/tests/bench/networks
bench-networks: build
	mkdir -p $(NETWORKS)/npm
	$(BUILD)/tests/tools/write_networks $(NETWORKS)
	@if ! command -v node >/dev/null; then \
		echo "No comparison with ONNX Runtime: there is no node here."; exit 0; fi; \
	if [ ! -d $(NETWORKS)/npm/node_modules/onnxruntime-node ]; then \
		echo '{"private": true}' > $(NETWORKS)/npm/package.json; \
		(cd $(NETWORKS)/npm && npm install --ignore-scripts --no-package-lock --no-audit --no-fund \
			$(ONNXRUNTIME)) || echo "$(ONNXRUNTIME) cannot be installed: vigil is measured alone."; \
	fi; \
	node tests/bench/compare_onnxruntime.mjs --build $(BUILD) --package $(NETWORKS)/npm \
		--data $${VIGIL_TEST_DATA-../shared/data} --out docs/benchmarks.md $(BENCH_FLAGS)

# Training against PyTorch: docs/benchmarks-training.md is the result.
bench-train: build | peer-deps
	python3 tests/bench/compare_pytorch.py --build $(BUILD) --out docs/benchmarks-training.md $(BENCH_FLAGS)

bench-memory: build
	VIGIL_BUILD_ROOT=$(BUILD) VIGIL_TEST_DATA=$${VIGIL_TEST_DATA-../shared/data} python3 tests/bench/memory.py

# Requests a second while cameras are analysed: a minute, on a quiet machine with wrk.
bench-http: build
	ninja -C $(BUILD) tests/bench/bench_store
	VIGIL_BUILD_ROOT=$(BUILD) python3 tests/bench/answers.py $(BENCH_FLAGS)

# What a training costs the streams beside it: a minute, on a quiet machine.
bench-jobs: build
	VIGIL_BUILD_ROOT=$(BUILD) python3 tests/bench/jobs.py $(BENCH_FLAGS)

# Ten million detections: half an hour and 10 GB below TMPDIR (BENCH_ROWS, BENCH_FLAGS change that).
BENCH_ROWS ?= 10000000
bench-store: $(BUILD)/build.ninja
	ninja -C $(BUILD) tests/bench/bench_store
	$(BUILD)/tests/bench/bench_store --rows $(BENCH_ROWS) --check-each 97 --timed $(BENCH_FLAGS)

# The tables of keys in docs/configuration.md, from the parser's own.
reference: build
	sed -i '/^<!-- From here to the end/q' docs/configuration.md
	(echo; $(BUILD)/cli/vigil config reference) >> docs/configuration.md

# What is promised for when things fail, measured: about 45 minutes on a quiet machine.
accept: build
	python3 tests/accept/run.py $(BUILD)

# Every recipe of docs/recipes, or those of NAMES, whole, by three seeds each, on the shared test data.
recipes: build
	VIGIL_BUILD_ROOT=$(BUILD) VIGIL_TEST_DATA=$${VIGIL_TEST_DATA-../shared/data} python3 tests/cli/test_recipes.py --whole $(NAMES)

# How models/scene.onnx, or MODEL, does on rendered seeds that it has not seen, and on real clips with
# nuisances laid over them: half an hour.
MODEL ?= models/scene.onnx
scene-figures: build
	$(BUILD)/cli/vigil eval $(MODEL) --recipe docs/recipes/scene.recipe --split test
	VIGIL_SOURCE_ROOT=. VIGIL_TEST_DATA=$${VIGIL_TEST_DATA-../shared/data} $(BUILD)/tests/bench/bench_nuisance $(MODEL)

# Every target of tests/fuzz, or those in TARGET, with clang's libFuzzer, ASan and UBSan: each until it
# has done so many executions, or so many seconds have passed. Exit 1 when something was found.
FUZZ_RUNS ?= 10000000
FUZZ_SECONDS ?= 3600
$(BUILD)-fuzz/build.ninja: | fuzz-deps
	CC=clang meson setup $(BUILD)-fuzz -Dfuzzing=true -Dbuildtype=debugoptimized \
		-Db_sanitize=address,undefined -Db_lundef=false

fuzz: $(BUILD)-fuzz/build.ninja
	python3 tests/fuzz/run.py --runs $(FUZZ_RUNS) --seconds $(FUZZ_SECONDS) $(BUILD)-fuzz $(TARGET)

format: | format-deps
	find nn record store api pipeline daemon cli tests -name '*.[ch]' -exec clang-format -i {} +

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-fuzz
