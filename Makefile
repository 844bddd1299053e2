# Every target can be run by hand, and CI runs the same ones.

SITE     ?= fixtures/sites/homelab-vps
SITES    ?= fixtures/sites/homelab-vps fixtures/sites/homelab-vps-published
SEEDS    ?= 1
FUZZTIME ?= 20s
N        ?= 1000

# Our programs run inside the nodes too, whose C library is another one.
export CGO_ENABLED = 0

GO       := scripts/go
PBSDRILL := scripts/pbsdrill
TALLY    := $(GO) run ./scripts/tally
TESTS    := runs/tests

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help drill test check e2e bench fuzz mutants soak sweep setup root unit soak-small nothing-left

# Each target's sentence stands behind two hashes.
help:
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name what; do printf '  make %-8s %s\n' "$$name" "$$what"; done

drill: root ## Build the lab of SITE (default: fixtures/sites/homelab-vps), try every promise, and say which held.
	@$(PBSDRILL) drill $(SITE)

test: setup check unit e2e mutants soak-small nothing-left ## Set up, then run every test of the project: check, unit tests, e2e, mutants, soak (20 times), and a sweep that must find nothing.

check: setup ## Check formatting, vet, and run the pinned linters.
	@scripts/check

e2e: root ## Test the driver, and run the suites on both bundled sites; SEEDS times, in an order of its own each time.
	@SEEDS=$(SEEDS) scripts/e2e $(SITES)

bench: root ## Measure boot, matrix and memory against their goals, and write runs/bench.json.
	@$(PBSDRILL) bench --output runs/bench.json

fuzz: setup ## Fuzz every parser of outside data, each for FUZZTIME (default: 20s).
	@scripts/fuzz $(FUZZTIME)

mutants: root ## Break the bundled sites and the probes in known ways; each must be caught for its declared reason.
	@$(GO) tool ginkgo run --no-color --fail-on-empty --label-filter=mutants --output-dir=$(CURDIR)/runs/tests --junit-report=mutants.xml ./harness/flow/trial
	@$(GO) run ./fixtures/mutants/cmd/mutants

soak: root ## Kill a lab at a random moment, N times (default: 1000), and look for anything left behind.
	@$(PBSDRILL) soak --times $(N)

soak-small: root
	@$(PBSDRILL) soak --times 20

sweep: setup ## Show and remove what a crash of this machine left behind; only what carries our mark.
	@$(PBSDRILL) sweep --yes

setup:
	@scripts/setup

# The nodes' root file system, made before any budget of a spec begins.
root: setup
	@$(PBSDRILL) rootfs >/dev/null

nothing-left: setup
	@left=$$($(PBSDRILL) sweep --json) && [ "$$left" = "[]" ] || { echo "the tests left this behind: $$left" >&2; exit 1; }

unit: setup
	@mkdir -p $(TESTS)
	@$(GO) test -json ./... | $(TALLY) -save $(TESTS)/unit.json
