#!/usr/bin/env bash
# Every command of server/policy/README.md, as it stands there. `# -> text` behind a command is what its output must hold.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(mktemp -d); port=$((20000 + RANDOM % 20000)); at=127.0.0.1:$port
HEADWORKS__SERVER__LISTEN=$at HEADWORKS__STORE__URL=sled:$folder/data "${HEADWORKS_BIN:-target/release/headworks}" > "$folder/out" 2> "$folder/err" &
pid=$!; trap 'kill $pid 2> /dev/null; wait $pid 2> /dev/null || true' EXIT
for _ in $(seq 100); do curl -sf "http://$at/readyz" > /dev/null && break; sleep 0.1; done
KEY=$(grep -o 'hw_[A-Za-z0-9]*' "$folder/out" | head -n 1)
[ "${#KEY}" = 52 ] || { echo "FAILED: no admin key was printed"; cat "$folder/out" "$folder/err"; exit 1; }
export KEY
commands=$(sed -n '/^```sh$/,/^```$/p' server/policy/README.md | grep -v '^```' | sed "s/127.0.0.1:8080/$at/g")
checks=0; command=""
# A command ends with the line on which its quotes are closed.
while IFS= read -r line; do
  command+="$line"$'\n'
  bash -n <<< "$command" 2> /dev/null || continue
  case "$line" in
    "rpc() "* | "ask() "*) eval "$command" ;;
    *)
      want=$(sed -n 's/.*# -> //p' <<< "$line")
      [ -n "$want" ] || { echo "FAILED: no expectation: $line"; exit 1; }
      got=$(eval "$command" 2>&1) || { echo "FAILED: $command"; echo "$got"; exit 1; }
      grep -qF -- "$want" <<< "$got" || { echo "FAILED: $command"; echo "no \"$want\" in:"; echo "$got"; exit 1; }
      checks=$((checks + 1)) ;;
  esac
  command=""
done <<< "$commands"
[ -z "$command" ] && [ "$checks" -ge 14 ] || { echo "FAILED: $checks commands, left: $command"; exit 1; }
echo "$checks commands passed"
