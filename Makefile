# The tasks of this repository; `make` alone lists them.
#
# A fresh machine needs Go, Node, make and git. `make test` installs what else
# it uses: its tools into bin/, a C compiler for the race detector, curl, and
# Chromium.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := $(CURDIR)/bin
TOOLS := $(BIN)/.tools
PEERS := $(BIN)/.peers
GO := go
# A count, not a duration: up to Go 1.26 a fuzz run that ends by its clock may
# fail with "context deadline exceeded" (go.dev/issue/75804).
FUZZTIME := 10000x
GO_FILES := git ls-files -z --cached --others --exclude-standard '*.go'
# Each system and each processor once: code for both together there is none.
CROSS := darwin/arm64 windows/amd64

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)


.PHONY: build
build: ## build bin/streamflow
	$(GO) build -o $(BIN)/streamflow ./cmd/streamflow

.PHONY: run
run: build ## start the upload server on 127.0.0.1:8080; ARGS="..." adds flags
	$(BIN)/streamflow serve $(ARGS)


.PHONY: man
man: build ## write the man pages into bin/man
	$(BIN)/streamflow man $(BIN)/man/man1

.PHONY: image
image: chromium ## make the pictures in the README from real runs; takes tmux
	docs/images/record.sh
	cd web && npm ci && npm run build && npm run pictures

# Quick checks first, the tests last: their lines are what a CI judges by.
# Every check runs though another has failed, so one run shows all there is.
CHECKS := fmt-check vet lint tidy-check generate-check cross bench-build peak-memory web interop-ours fuzz race unit

.PHONY: test
test: ## run everything CI runs
	@$(MAKE) --keep-going --jobs=1 $(CHECKS)

.PHONY: fmt
fmt: $(TOOLS) ## format all Go files
	$(GO_FILES) | xargs -0 $(BIN)/gofumpt -w

.PHONY: fmt-check
fmt-check: $(TOOLS) ## say which Go files aren't formatted
	@unformatted=$$($(GO_FILES) | xargs -0 $(BIN)/gofumpt -l); \
	if [[ -n $$unformatted ]]; then echo "run make fmt, not formatted:"; echo "$$unformatted"; exit 1; fi

.PHONY: vet
vet: ## run go vet
	$(GO) vet ./...

.PHONY: lint
lint: $(TOOLS) ## run golangci-lint, in bench/ and interop/ too
	$(BIN)/golangci-lint run
	cd bench && $(BIN)/golangci-lint run
	cd interop && $(BIN)/golangci-lint run

.PHONY: unit
unit: curl $(PEERS) ## run the tests
	$(GO) test -count=1 ./...

.PHONY: race
race: compiler curl $(PEERS) ## run the tests with the race detector
	CGO_ENABLED=1 $(GO) test -race -count=1 ./...

.PHONY: fuzz
fuzz: ## run each fuzz target FUZZTIME long
	@$(GO) test -list '^Fuzz' ./... | awk '/^Fuzz/ {names[n++] = $$1} \
		/^ok/ {for (i = 0; i < n; i++) print $$2, names[i]; n = 0}' | \
	while read -r package target; do \
		$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$package" </dev/null; \
	done

.PHONY: tidy-check
tidy-check: ## say what go mod tidy would change
	$(GO) mod tidy -diff
	cd bench && $(GO) mod tidy -diff
	cd interop && $(GO) mod tidy -diff
	cd peers && $(GO) mod tidy -diff
	cd peers/s3 && $(GO) mod tidy -diff
	cd peers/s5cmd && $(GO) mod tidy -diff

.PHONY: generate-check
generate-check: ## regenerate, and fail where that changes a file
	@state() { git status --porcelain; git diff HEAD; }; \
	before=$$(state); \
	echo $(GO) generate ./...; $(GO) generate ./...; (cd bench && $(GO) generate ./...); \
	diff <(echo "$$before") <(echo "$$(state)") || { echo "generated files were stale: commit what go generate made"; exit 1; }

.PHONY: cross
cross: $(CROSS:%=cross/%) ## build for the other systems

.PHONY: $(CROSS:%=cross/%)
$(CROSS:%=cross/%):
	CGO_ENABLED=0 GOOS=$(word 2,$(subst /, ,$@)) GOARCH=$(notdir $@) $(GO) build ./...

.PHONY: bench-build
bench-build: ## build, vet and test the benchmarks' module
	cd bench && $(GO) vet ./... && $(GO) test -count=1 ./...

.PHONY: peak-memory
peak-memory: ## measure from outside whether the budget holds, in short
	@$(MAKE) -C bench rss full ARGS=-quick

.PHONY: interop
interop: peers chromium curl ## run our client and server beside those of others
	cd interop && $(GO) vet ./... && $(GO) test -count=1 ./...

.PHONY: interop-ours
interop-ours: peers chromium curl ## the same, without others among themselves
	cd interop && $(GO) vet ./... && $(GO) test -count=1 -short ./...

.PHONY: web
web: browsers peers ## check, build and test the browser client and the page
	cd web && npm ci && npm run lint && npm run build && npm run page -- --check && npm run check && npm run api && npm run size && npm test && npm run test:browser

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BIN) bench/out peers/node_modules web/node_modules web/*/dist web/api web/test/out


# tools/go.mod pins them, so that they stay out of the product's go.mod.
$(TOOLS): tools/go.mod tools/go.sum
	@echo "building the tools of tools/go.mod, a few minutes the first time"
	cd tools && $(GO) build -o $(BIN)/ tool
	@touch $@

# Servers and clients of others, pinned in peers/, for interop, the
# benchmarks and the tests that need an S3 server.
.PHONY: peers
peers: $(PEERS) peers/node_modules/.package-lock.json ## build and install the programs of others

$(PEERS): peers/go.mod peers/go.sum peers/synced/main.go
	@echo "building the tools of peers/go.mod, a few minutes the first time"
	cd peers && $(GO) build -o $(BIN)/ tool
	@touch $@

peers/node_modules/.package-lock.json: peers/package-lock.json
	cd peers && npm ci --no-audit --no-fund

# $(call ensure,PROGRAM,PACKAGES,WHAT FOR). Others may hold apt's locks: it
# waits for that of the packages by itself, and for that of the lists it doesn't.
define ensure
@command -v $(1) >/dev/null || { \
	echo "$(3), and there is none: installing $(2)"; \
	sudo=; [[ $$(id -u) == 0 ]] || sudo=sudo; \
	for wait in 5 10 20 40 0; do $$sudo apt-get update -q && break || sleep $$wait; done; \
	$$sudo apt-get install -qy --no-install-recommends -o DPkg::Lock::Timeout=300 $(2); }
endef

.PHONY: compiler
compiler:
	$(call ensure,$$($(GO) env CC),gcc libc6-dev,the race detector needs a C compiler)

.PHONY: curl
curl:
	$(call ensure,curl,curl ca-certificates,the tests need curl)

.PHONY: browsers
browsers: chromium firefox

.PHONY: chromium
chromium:
	$(call ensure,$${CHROMIUM:-chromium},chromium,the tests of web/ and interop/ need Chromium)

.PHONY: firefox
firefox:
	$(call ensure,$${FIREFOX:-firefox-esr},firefox-esr,the tests of web/ need Firefox)
