# Everything that a new machine needs, by one command each. `make` alone lists them.

SPILLWAY := .build/release/spillway
BUILD_FLAGS := -c release
SECONDS ?= 3600

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests setup-bench build run demo test torture lint format fuzz ring-torture bench bench-build bench-compare clean

help:  ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

setup:  ## Install what building and running needs (Debian and Ubuntu)
	@.setup/packages
	@.setup/timescaledb

setup-tests:
	@.setup/packages --tests
	@.setup/timescaledb

setup-bench:
	@.setup/packages --bench

build: setup  ## Build the program in release mode
	swift build $(BUILD_FLAGS) --product spillway

run: build  ## Run the collector in the foreground, on loopback, with a database of its own
	@exec $(SPILLWAY) serve

demo: build  ## Run the collector, send records of all kinds, show what was stored, stop
	@.setup/demo $(SPILLWAY)

# In debug mode the sanitizer does not see accesses inside of the standard library: weakened orderings pass there.
# One release build serves the tests and the program that they run. The thread sanitizer sees the ring alone.
test: setup-tests lint  ## Set up everything and run all tests
	swift build $(BUILD_FLAGS) --build-tests -Xswiftc -enable-testing
	$(MAKE) --no-print-directory ring-torture
	.build/release/DeliverySimulation --seeds 10000
	Tests/DeliverySimulation/mutants 1 33
	swift test $(BUILD_FLAGS) --skip-build -Xswiftc -enable-testing --skip EndToEndTests
	swift test $(BUILD_FLAGS) --skip-build -Xswiftc -enable-testing --no-parallel --filter EndToEndTests

# Each of these tries to break delivery, prints its seed and what it found, and stops at the first violation.
torture: setup-tests  ## The long forms: simulation, mutants, kills, failing calls, cut connections, damage (about an hour)
	swift build $(BUILD_FLAGS) --build-tests -Xswiftc -enable-testing
	.build/release/DeliverySimulation --seeds 500000 --first 1 & first=$$!; \
		.build/release/DeliverySimulation --seeds 500000 --first 1000001 && wait $$first
	Tests/DeliverySimulation/mutants
	SPILLWAY_TORTURE=1 swift test $(BUILD_FLAGS) --skip-build -Xswiftc -enable-testing --no-parallel \
		--filter 'DamageTests|KillTests|SystemCallFaultTests|PowerLossTests|DatabaseCutTests|DiskFullTests|OverloadTests|FailoverTests|TwoCollectorsTests|AdministratorSettingsTests|ChaosTests|SessionCompactionTests|EmbeddedServerTortureTests|BrokenNetworkTests'

lint:  ## Check the form of the Swift files, that imports are declared, and that no folders form a circle
	swift format lint --strict --parallel --recursive Package.swift Sources Tests Benchmarks/Package.swift Benchmarks/Sources
	.setup/lint imports folders

format:  ## Bring the Swift files into form
	swift format --in-place --parallel --recursive Package.swift Sources Tests Benchmarks/Package.swift Benchmarks/Sources

ring-torture:  ## Eight producers on the ring under the thread sanitizer
	swift build -c release --sanitize=thread --product RingTorture --scratch-path .build-tsan
	.build-tsan/release/RingTorture --producers 8 --records 20000

# Crashes are kept beside what the fuzzer has found; nothing of it is committed but what is worth a place in the corpus.
fuzz:  ## Fuzz the decoder with the address sanitizer for SECONDS (3600)
	swift build -c release --product FrameFuzzer --scratch-path .build-fuzz \
		-Xswiftc -sanitize=fuzzer,address -Xswiftc -DLIBFUZZER
	mkdir -p .build-fuzz/found
	SWIFT_BACKTRACE=enable=no .build-fuzz/release/FrameFuzzer -max_total_time=$(SECONDS) -max_len=4096 -timeout=10 \
		-rss_limit_mb=2048 -artifact_prefix=.build-fuzz/crash- .build-fuzz/found Tests/FrameFuzzer/Corpus

bench-build: setup-bench
	swift build -c release --package-path Benchmarks --scratch-path .build-bench

bench: setup bench-build  ## Measure, print a table, write JSON into Benchmarks/Results
	swift build $(BUILD_FLAGS) --product spillway
	.build-bench/release/spillway-bench all

# The files may stand behind the target as words, which make would take for targets: they are given an empty rule.
ifeq ($(firstword $(MAKECMDGOALS)),bench-compare)
COMPARED := $(wordlist 2,3,$(MAKECMDGOALS))
ifneq ($(COMPARED),)
.PHONY: $(COMPARED)
$(COMPARED): ; @:
endif
endif

bench-compare: bench-build  ## Compare two results: make bench-compare OLD.json NEW.json [FAIL_OVER=PERCENT]
	@.build-bench/release/spillway-bench compare $(or $(COMPARED),$(A) $(B)) $(if $(FAIL_OVER),--fail-over $(FAIL_OVER))

clean:  ## Remove what was built; the embedded database stays
	rm -rf .build .build-*
