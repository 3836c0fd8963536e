"""How long the gateway itself takes from a failure to the next attempt, from the times in its own records: no upstream's time is in it.

    HEADWORKS_BIN=target/release/headworks PYTHONPATH=target/tools/stubs:tests/python target/tools/venv/bin/python tests/bench/failover_gap.py [CALLS]
"""
import http.client, json, os, pathlib, sys
sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / 'python')]
import grpc
from headworks.v1 import policy_service_pb2 as ps, policy_service_pb2_grpc as psg, usage_service_pb2 as us, usage_service_pb2_grpc as usg
from gateway import ADMIN, Gateway, Upstream, free_port

CALLS = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
GOOD = {'id': 'x', 'object': 'chat.completion', 'created': 1, 'model': 'm', 'usage': {'prompt_tokens': 5, 'completion_tokens': 1, 'total_tokens': 6},
        'choices': [{'index': 0, 'finish_reason': 'stop', 'message': {'role': 'assistant', 'content': 'hi'}}]}


async def upstream(up, request, body):
    if body['model'] == 'gpt-4o': return up.web.json_response({'error': {'message': 'broken'}}, status=500)
    return up.web.json_response(GOOD)


up = Upstream(upstream)
config = '[log]\nlevel = "error"\n[engine]\nfailure_rest_ms = 0\nbreaker_failures = 1000000000\n' + ''.join(
    f'[providers.{name}]\nbase_url = "http://127.0.0.1:{port}/v1"\napi_key_env = "FAKE_KEY"\n' for name, port in (('openai', up.port), ('groq', up.port), ('mistral', free_port())))
with Gateway(config) as g:
    channel = grpc.insecure_channel(f'127.0.0.1:{g.port}')
    auth = (('authorization', 'Bearer ' + ADMIN),)
    policies, usage = psg.PolicyServiceStub(channel), usg.UsageServiceStub(channel)
    for name, first in (('500', 'openai/gpt-4o'), ('refused', 'mistral/mistral-small-latest')):
        chain = ps.FallbackChain(targets=[ps.PolicyTarget(model=m) for m in (first, 'groq/llama-3.3-70b-versatile')])
        policies.CreatePolicy(ps.CreatePolicyRequest(policy=ps.Policy(name=name, fallback=chain)), metadata=auth)
    for name in ('500', 'refused'):
        connection = http.client.HTTPConnection('127.0.0.1', g.port)
        body = json.dumps({'model': f'policy/{name}', 'messages': [{'role': 'user', 'content': 'hi'}], 'headworks': {'tags': [name]}})
        for _ in range(CALLS):
            connection.request('POST', '/v1/chat/completions', body, {'authorization': 'Bearer ' + ADMIN, 'content-type': 'application/json'})
            answer = connection.getresponse(); answer.read()
            assert answer.status == 200, answer.status
        gaps, token = [], ''
        while True:
            page = usage.ListRequests(us.ListRequestsRequest(page_size=1000, page_token=token, filter=us.RequestFilter(tag=name)), metadata=auth)
            for record in page.requests:
                a, b = record.route.attempts
                gaps.append((b.start_time.ToNanoseconds() - a.start_time.ToNanoseconds() - a.latency.ToNanoseconds()) / 1000)
            token = page.next_page_token
            if not token: break
        gaps.sort()
        assert len(gaps) == CALLS, len(gaps)
        at = lambda share: gaps[min(int(len(gaps) * share), len(gaps) - 1)]
        print(f'{name:8} {CALLS} failovers: from the failure to the next attempt p50 {at(0.5):.1f} us, p90 {at(0.9):.1f} us, p99 {at(0.99):.1f} us')
