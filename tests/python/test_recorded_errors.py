"""Recorded answers that were errors, through the REST and gRPC doors, against a table of what each class must become."""
import json, os, pathlib, sys
import grpc
from aiohttp import web
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from headworks.v1 import chat_pb2 as c, chat_service_pb2 as cs, chat_service_pb2_grpc as csg
from gateway import ADMIN, Checks, Gateway, Upstream, providers

DATA = pathlib.Path(os.environ.get('HEADWORKS_SHARED_DATA', '../shared/data')) / 'traffic/dev'
if not DATA.exists():
    print(f'SKIPPED: {DATA} is not there (HEADWORKS_SHARED_DATA)'); sys.exit(77)
PROVIDER = {'openai-chat': 'openai', 'anthropic-messages': 'anthropic', 'gemini-generate': 'google', 'gemini-stream': 'google'}
GRPC = {400: 'INVALID_ARGUMENT', 404: 'NOT_FOUND', 413: 'RESOURCE_EXHAUSTED', 422: 'INVALID_ARGUMENT'}
cases = {}
for d in PROVIDER:
    for line in (DATA / f'{d}.jsonl').open():
        rec = json.loads(line)
        if not 200 <= (rec['response'].get('status') or 200) < 300: cases[rec['id']] = rec


def wanted(rec):
    """(HTTP, gRPC, reason) of a recorded error, read from its status and the provider's words."""
    status, body = rec['response']['status'], json.dumps(rec['response'].get('body') or '').lower()
    credentials = status in (401, 402, 403) or 'api key not valid' in body or 'api_key_invalid' in body or 'credit balance' in body or 'insufficient_quota' in body or 'incorrect api key' in body or 'usage limit' in body
    if credentials: return 502, 'UNAVAILABLE', 'UPSTREAM_CREDENTIALS'
    if status == 429: return 429, 'RESOURCE_EXHAUSTED', 'RATE_LIMITED'
    if status >= 500 or status in (408, 409): return 503, 'UNAVAILABLE', 'ALL_TARGETS_FAILED'
    if 'context_length' in body or 'prompt is too long' in body or 'maximum context length' in body or 'input token count' in body: return 400, 'INVALID_ARGUMENT', 'CONTEXT_TOO_LONG'
    return status, GRPC.get(status, 'INVALID_ARGUMENT'), 'UPSTREAM_REJECTED'


async def handler(upstream, request, body):
    case = request.path.split('case-')[1][:16] if 'case-' in request.path else body['model'][5:21]
    r = cases[case]['response']
    text = r.get('body')
    return web.Response(status=r['status'], body=(text if isinstance(text, str) else json.dumps(text)).encode(), headers={k: v for k, v in (r.get('headers') or {}).items() if k.startswith(('retry', 'content-type'))})


check = Checks()
up = Upstream(handler)
with Gateway('[engine]\nbreaker_failures = 1000\n' + providers(up.port)) as g:
    stub = csg.ChatServiceStub(grpc.insecure_channel(f'127.0.0.1:{g.port}'))
    for id, rec in cases.items():
        model = f'{PROVIDER[rec["dialect"]]}/case-{id}'
        http, code, reason = wanted(rec)
        status, _, body = g.chat(model)
        check(f'{id} {rec["dialect"]} {rec["response"]["status"]} by REST', (status, body['error']['headworks']['reason']), (http, reason))
        try: stub.Complete(cs.CompleteRequest(chat=c.Chat(model=model, messages=[c.Message(role=c.ROLE_USER, parts=[c.Part(text='x')])])), metadata=(('authorization', 'Bearer ' + ADMIN),)); got = ('OK', '')
        except grpc.RpcError as e:
            info = error_details_pb2.ErrorInfo()
            found = [info.reason for d in rpc_status.from_call(e).details if d.Unpack(info)]
            got = (e.code().name, found[0] if found else '')
        check(f'{id} {rec["dialect"]} by gRPC', got, (code, reason))
print(f'{len(cases)} recorded errors')
check.end()
