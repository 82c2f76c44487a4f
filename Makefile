.PHONY: build test ci bench

build:
	CGO_ENABLED=0 go build -trimpath -o bin/tarn ./cmd/tarn

test:
	go test ./...

ci:
	.ci/run

# Beside each peer on the PATH; takes half an hour, and 10 GB in the folder for temporary files.
bench: build
	go run ./internal/bench -tarn bin/tarn -out docs/benchmarks.md
