#!/usr/bin/env bash
# The checked-in clients are what the schema and the templates make.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo run -q --locked -p headworks-sdk-gen -- --check
echo "1 passed, 0 failed"
