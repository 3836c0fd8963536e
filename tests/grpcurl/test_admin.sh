#!/usr/bin/env bash
# Every command of proto/COOKBOOK.md, in its order, against a live gateway.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(mktemp -d); port=$((20000 + RANDOM % 20000)); AT=127.0.0.1:$port; KEY=hw-test-admin-key-0123456789
HEADWORKS_ADMIN_KEY=$KEY HEADWORKS__SERVER__LISTEN=$AT HEADWORKS__STORE__URL=sled:$folder/data "${HEADWORKS_BIN:-target/release/headworks}" > "$folder/out" 2> "$folder/err" &
pid=$!; trap 'kill $pid 2> /dev/null; wait $pid 2> /dev/null || true' EXIT
for _ in $(seq 100); do curl -sf "http://$AT/readyz" > /dev/null && break; sleep 0.1; done
call() { grpcurl -plaintext -H "authorization: Bearer $KEY" "$@"; }
ID=""; REQUEST=""; passed=0; failed=0; unserved=0
while IFS= read -r line; do
  case "$line" in AT=*|'call()'*) continue ;; esac
  code=0; got=$(eval "$line" 2>&1 < /dev/null) || code=$?
  ID=${ID:-$(grep -o '"id": "key_[0-9a-z]*' <<< "$got" | grep -o 'key_.*' | head -n 1 || true)}
  REQUEST=$(grep -o 'req_[0-9a-z]*' <<< "$got" | head -n 1 || echo "$REQUEST")
  if grep -q NOT_IMPLEMENTED <<< "$got"; then unserved=$((unserved + 1)); echo "NOT SERVED BY THIS BUILD: $line"
  elif [[ "$line" == *nobody/x* ]] && grep -q '"reason": "MODEL_NOT_FOUND"\|INVALID_REQUEST' <<< "$got"; then passed=$((passed + 1))
  elif [[ "$line" == *max-time* && "$code" -le 72 ]] && grep -q 'DeadlineExceeded\|^{' <<< "$got"; then passed=$((passed + 1))
  elif [ "$code" = 0 ]; then passed=$((passed + 1))
  else failed=$((failed + 1)); echo "FAILED ($code): $line"; echo "$got"; fi
done < <(awk '/^```sh$/ {on=1; next} /^```$/ {on=0} on' proto/COOKBOOK.md)
echo "$passed passed, $failed failed, $unserved skipped"
[ "$passed" -ge 20 ] && [ "$failed" = 0 ]
