#!/usr/bin/env bash
# grpcurl lists, describes, calls and manages, by reflection alone: the commands of the README.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(mktemp -d); port=$((20000 + RANDOM % 20000)); at=127.0.0.1:$port
HEADWORKS__SERVER__LISTEN=$at HEADWORKS__STORE__URL=sled:$folder/data "${HEADWORKS_BIN:-target/release/headworks}" > "$folder/out" 2> "$folder/err" &
pid=$!; trap 'kill $pid 2> /dev/null; wait $pid 2> /dev/null || true' EXIT
for _ in $(seq 100); do curl -sf "http://$at/readyz" > /dev/null && break; sleep 0.1; done
KEY=$(grep -o 'hw_[A-Za-z0-9]*' "$folder/out" | head -n 1)
[ "${#KEY}" = 52 ] || { echo "FAILED: no admin key was printed"; cat "$folder/out" "$folder/err"; exit 1; }
checks=0
want() { local what=$1 pattern=$2; shift 2; local got; got=$("$@" 2>&1) || true; if grep -q "$pattern" <<< "$got"; then checks=$((checks + 1)); else echo "FAILED: $what"; echo "$got"; exit 1; fi; }
rpc() { grpcurl -plaintext -H "authorization: Bearer $KEY" "$@"; }
# The line that the gateway printed, as it is.
want 'the printed line works' 'Hello, Headworks!' bash -c "$(grep -A1 'Try it:' "$folder/out" | tail -n 1) -s"
want list headworks.v1.ChatService grpcurl -plaintext $at list
want 'no storage in reflection' '^0$' bash -c "grpcurl -plaintext $at list | grep -c storage || true"
want describe 'rpc Stream' grpcurl -plaintext $at describe headworks.v1.StreamService
want health SERVING grpcurl -plaintext $at grpc.health.v1.Health/Check
CHAT='{"chat":{"model":"sandbox/echo","messages":[{"role":"ROLE_USER","parts":[{"text":"Hello"}]}]}}'
want Complete '"text": "Hello"' rpc -d "$CHAT" $at headworks.v1.ChatService/Complete
want Stream '"completed"' rpc -d "$CHAT" $at headworks.v1.StreamService/Stream
want 'errors are readable' UNAUTHENTICATED_KEY grpcurl -plaintext -d "$CHAT" $at headworks.v1.ChatService/Complete
MADE=$(rpc -d '{"key":{"name":"my app","allowed_models":["sandbox/*"]}}' $at headworks.v1.KeyService/CreateKey)
want CreateKey '"secret": "hw_' echo "$MADE"
ID=$(grep -o 'key_[0-9a-f]*' <<< "$MADE" | head -n 1)
want ListKeys "$ID" rpc $at headworks.v1.KeyService/ListKeys
want GetKey "$ID" rpc -d "{\"id\":\"$ID\"}" $at headworks.v1.KeyService/GetKey
want UpdateKey 'new name' rpc -d "{\"key\":{\"id\":\"$ID\",\"name\":\"new name\"},\"update_mask\":{\"paths\":[\"name\"]}}" $at headworks.v1.KeyService/UpdateKey
want RevokeKey KEY_STATE_REVOKED rpc -d "{\"id\":\"$ID\"}" $at headworks.v1.KeyService/RevokeKey
want CreatePolicy '"version": "1"' rpc -d '{"policy":{"name":"safe","fallback":{"targets":[{"model":"sandbox/error-500"},{"model":"sandbox/echo"}]}}}' $at headworks.v1.PolicyService/CreatePolicy
want 'policy/safe' '"text": "Hello"' rpc -d "${CHAT/sandbox\/echo/policy\/safe}" $at headworks.v1.ChatService/Complete
want ListRequests ATTEMPT_OUTCOME_SUCCESS rpc -d '{"page_size":5}' $at headworks.v1.UsageService/ListRequests
want ListModels sandbox/echo rpc -d '{"provider":"sandbox"}' $at headworks.v1.ModelService/ListModels
want 'on_loss by REST' '"content":"Hello"' curl -s "http://$at/v1/chat/completions" -H "authorization: Bearer $KEY" -H 'content-type: application/json' -d '{"model":"sandbox/echo","seed":7,"headworks":{"on_loss":"refuse"},"messages":[{"role":"user","content":"Hello"}]}'
want CheckChat CHECK_OUTCOME_SENT rpc -d '{"chat":{"model":"sandbox/echo","sampling":{"seed":"7"},"messages":[{"role":"ROLE_USER","parts":[{"text":"Hello"}]}]}}' $at headworks.v1.ModelService/CheckChat
want CreateModel MODEL_ORIGIN_API rpc -d '{"model":{"id":"sandbox/echo","price":{"base":{"input_nano_usd":"1500000000","output_nano_usd":"2500000000"}}}}' $at headworks.v1.ModelService/CreateModel
want 'catalog check' '[1-9][0-9]* models' "${HEADWORKS_BIN:-target/release/headworks}" catalog check
want 'catalog show' 'per million tokens' "${HEADWORKS_BIN:-target/release/headworks}" catalog show sandbox/echo
want 'catalog list' 'sandbox/echo' "${HEADWORKS_BIN:-target/release/headworks}" catalog list 'sandbox/*'
want CreateGroup '"limitNanoUsd": "50000000000"' rpc -d '{"group":{"name":"research","budget":{"limit_nano_usd":"50000000000","window":"BUDGET_WINDOW_MONTH"}}}' $at headworks.v1.KeyService/CreateGroup
want QueryUsage '"served_by": "sandbox/echo"' rpc -d '{"group_by":["served_by"],"step":"USAGE_STEP_DAY"}' $at headworks.v1.UsageService/QueryUsage
# Told of a call that ends while it watches.
timeout 20 grpcurl -plaintext -H "authorization: Bearer $KEY" $at headworks.v1.UsageService/WatchRequests > "$folder/watched" & watcher=$!
for _ in $(seq 100); do rpc -d "$CHAT" $at headworks.v1.ChatService/Complete > /dev/null; grep -q '"id": "req_' "$folder/watched" && break; done
kill $watcher 2> /dev/null || true
want WatchRequests '"servedBy": "sandbox/echo"' cat "$folder/watched"
echo "$checks checks passed"
