.PHONY: build test ci

build:
	CGO_ENABLED=0 go build -trimpath -o bin/tarn ./cmd/tarn

test:
	go test ./...

ci:
	.ci/run
