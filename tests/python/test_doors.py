"""What every door promises: keys, bad input by table, failover, time limits, cancelling, policies, records, idempotency, drain."""
import asyncio, contextlib, json, os, signal, socket, subprocess, tempfile, threading, time
import grpc
from google.protobuf import duration_pb2, field_mask_pb2, timestamp_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from headworks.v1 import (chat_pb2 as c, chat_service_pb2 as cs, chat_service_pb2_grpc as csg, embedding_service_pb2 as es, embedding_service_pb2_grpc as esg,
                          key_service_pb2 as ks, key_service_pb2_grpc as ksg, model_service_pb2 as ms, model_service_pb2_grpc as msg, policy_service_pb2 as ps,
                          policy_service_pb2_grpc as psg, stream_service_pb2 as ss, stream_service_pb2_grpc as ssg, usage_pb2 as u, usage_service_pb2 as us,
                          usage_service_pb2_grpc as usg)
from dialects import handler
from gateway import ADMIN, BINARY, Checks, Gateway, Upstream, providers

check = Checks()
gone = []


async def strange(upstream, request, body):
    """Upstreams that misbehave, by model name; the rest answers."""
    web, model = upstream.web, (body or {}).get('model', '')
    sse = web.StreamResponse(headers={'content-type': 'text/event-stream'})
    chunk = lambda text, reason=None: ('data: ' + json.dumps({'id': 'x', 'created': 1, 'model': model, 'choices': [{'index': 0, 'delta': {'role': 'assistant', 'content': text}, 'finish_reason': reason}]}) + '\n\n').encode()
    if model == 'error-in-200':
        await sse.prepare(request)
        await sse.write(b'data: {"id":"x","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n')
        await sse.write(b'data: {"error":{"message":"Overloaded","type":"overloaded_error"}}\n\n')
        return sse
    if model in ('breaks', 'breaks-cleanly', 'silent', 'drips', 'error-late', 'no-done'):
        await sse.prepare(request)
        await sse.write(chunk('some'))
        if model == 'breaks': request.transport.abort(); return sse
        if model == 'error-late': await sse.write(b'data: {"error":{"message":"late"}}\n\n'); return sse
        if model == 'no-done': await sse.write(chunk(' more', 'stop')); return sse
        if model in ('silent', 'drips'):
            try:
                for _ in range(600): await asyncio.sleep(0.1); await sse.write(chunk('.') if model == 'drips' else b': ping\n\n')
            except (ConnectionResetError, asyncio.CancelledError): gone.append(time.monotonic()); raise
        return sse
    if model == 'never':
        try: await asyncio.sleep(60)
        except asyncio.CancelledError: gone.append(time.monotonic()); raise
    if model == 'reset': request.transport.abort(); return web.Response()
    if model == 'html': return web.Response(status=502, text='<html>Bad gateway</html>', content_type='text/html')
    if model == 'not-json': return web.Response(text='{"choices":[', content_type='application/json')
    if model == 'big': return web.json_response({'id': 'x', 'created': 1, 'model': 'm', 'choices': [{'index': 0, 'finish_reason': 'stop', 'message': {'content': 'x' * (10 << 20)}}]})
    return await handler(upstream, request, body)


up = Upstream(strange)
CONFIG = f'''[server]
listen = "127.0.0.1:@PORT@"
cors_origins = ["http://page.example"]
max_body_bytes = 1048576
keep_alive_ms = 300
hold_headers_ms = 1500
[store]
url = "sled:@DATA@"
[engine]
first_token_timeout_ms = 3000
between_tokens_timeout_ms = 1000
total_timeout_ms = 8000
breaker_failures = 1000
''' + providers(up.port)
g = Gateway(CONFIG).start()
big = [('grpc.max_receive_message_length', 64 << 20), ('grpc.max_send_message_length', 64 << 20)]
channel = grpc.insecure_channel(f'127.0.0.1:{g.port}', options=big)
chat, streams, keys, policies, usage, models = (s(channel) for s in (csg.ChatServiceStub, ssg.StreamServiceStub, ksg.KeyServiceStub, psg.PolicyServiceStub, usg.UsageServiceStub, msg.ModelServiceStub))
AUTH = (('authorization', 'Bearer ' + ADMIN),)


def ask(model='sandbox/echo', text='hi', **more):
    return c.Chat(model=model, messages=[c.Message(role=c.ROLE_USER, parts=[c.Part(text=text)])], **more)


def failure(call):
    """(code name, reason, fields) of a failing rpc."""
    try: call(); return ('OK', '', [])
    except grpc.RpcError as e:
        reason, fields = '', []
        try: status = rpc_status.from_call(e)
        except ValueError: status = None        # grpcio leaves %20 in a message that races its own deadline
        for d in status.details if status else []:
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if d.Unpack(info): reason = info.reason
            if d.Unpack(bad): fields = [v.field for v in bad.field_violations]
        return (e.code().name, reason, fields)


# --- keys
created = keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(name='app', allowed_models=['sandbox/*', 'policy/*'])), metadata=AUTH)
app, app_auth = created.secret, (('authorization', 'Bearer ' + created.secret),)
check('a new key works', g.chat(key=app)[0], 200)
check('secret shown once', keys.GetKey(ks.GetKeyRequest(id=created.key.id), metadata=AUTH).key.secret_hint, app[:7])
check('a key reads itself', keys.GetKey(ks.GetKeyRequest(id='self'), metadata=app_auth).key.id, created.key.id)
check('a caller makes no keys', failure(lambda: keys.CreateKey(ks.CreateKeyRequest(), metadata=app_auth))[:2], ('PERMISSION_DENIED', 'PERMISSION_DENIED'))
check('model it may not use', (g.chat('openai/gpt-4o', key=app)[0], g.chat('openai/gpt-4o', key=app)[2]['error']['headworks']['reason']), (403, 'MODEL_FORBIDDEN'))
stale = ks.UpdateKeyRequest(key=ks.Key(id=created.key.id, etag='v1', name='x'), update_mask=field_mask_pb2.FieldMask(paths=['name']))
check('stale etag', failure(lambda: keys.UpdateKey(stale, metadata=AUTH))[:2], ('ABORTED', 'CONFLICT'))
check('unknown field in a mask', failure(lambda: keys.UpdateKey(ks.UpdateKeyRequest(key=ks.Key(id=created.key.id), update_mask=field_mask_pb2.FieldMask(paths=['secret'])), metadata=AUTH)), ('INVALID_ARGUMENT', 'INVALID_REQUEST', ['update_mask']))
keys.UpdateKey(ks.UpdateKeyRequest(key=ks.Key(id=created.key.id, allowed_models=['openai/*']), update_mask=field_mask_pb2.FieldMask(paths=['allowed_models'])), metadata=AUTH)
check('L3 an update holds for the next call', (g.chat(key=app)[0], g.chat('openai/gpt-4o', key=app)[0]), (403, 200))
expired = keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(expire_time=timestamp_pb2.Timestamp(seconds=1000))), metadata=AUTH).secret
revoked = keys.CreateKey(ks.CreateKeyRequest(), metadata=AUTH)
keys.RevokeKey(ks.RevokeKeyRequest(id=revoked.key.id), metadata=AUTH)
ids = [k.id for k in keys.ListKeys(ks.ListKeysRequest(page_size=1, include_inactive=True), metadata=AUTH).keys]
check('paging', len(ids), 1)
poor = keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(name='poor', budget=ks.Budget(limit_nano_usd=1_000))), metadata=AUTH).secret

# --- keys at every door, by table
for what, key, status, code, reason in (('no key', None, 401, 'UNAUTHENTICATED', 'UNAUTHENTICATED_KEY'), ('a wrong key', 'hw_wrong', 401, 'UNAUTHENTICATED', 'UNAUTHENTICATED_KEY'),
                                        ('an expired key', expired, 401, 'UNAUTHENTICATED', 'KEY_EXPIRED'), ('a revoked key', revoked.secret, 401, 'UNAUTHENTICATED', 'KEY_REVOKED'),
                                        ('a key without the model', app, 403, 'PERMISSION_DENIED', 'MODEL_FORBIDDEN'), ('a budget too small', poor, 429, 'RESOURCE_EXHAUSTED', 'BUDGET_EXCEEDED')):
    s, _, b = g.chat(key=key)
    check(f'REST: {what}', (s, b['error']['headworks']['reason']), (status, reason))
    meta = (('authorization', f'Bearer {key}'),) if key else ()
    check(f'Complete: {what}', failure(lambda: chat.Complete(cs.CompleteRequest(chat=ask()), metadata=meta))[:2], (code, reason))
    check(f'Stream: {what}', failure(lambda: list(streams.Stream(ss.StreamRequest(chat=ask()), metadata=meta)))[:2], (code, reason))
small = keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(name='small', budget=ks.Budget(limit_nano_usd=30_000_000))), metadata=AUTH).secret
check('a small stated limit fits the budget', g.chat(key=small, max_tokens=100)[0], 200)
check('without one it is lowered to fit', g.chat(key=small)[0], 200)

# --- bad input at the REST door: (what, raw body, status, reason, param)
M = '"messages":[{"role":"user","content":"x"}]'
for what, raw, status, reason, param in (
        ('empty body', '', 400, 'INVALID_REQUEST', None), ('no JSON', '{"model"', 400, 'INVALID_REQUEST', None), ('no object', '[]', 400, 'INVALID_REQUEST', None),
        ('no model', '{' + M + '}', 400, 'INVALID_REQUEST', 'model'), ('model of a wrong type', '{"model":5,' + M + '}', 400, 'INVALID_REQUEST', 'model'),
        ('no messages', '{"model":"sandbox/echo"}', 400, 'INVALID_REQUEST', 'messages'), ('empty messages', '{"model":"sandbox/echo","messages":[]}', 400, 'INVALID_REQUEST', 'messages'),
        ('unknown role', '{"model":"sandbox/echo","messages":[{"role":"robot","content":"x"}]}', 400, 'INVALID_REQUEST', 'messages[0].role'),
        ('unknown part', '{"model":"sandbox/echo","messages":[{"role":"user","content":[{"type":"smell"}]}]}', 400, 'INVALID_REQUEST', 'messages[0].content[0].type'),
        ('T14 bad tool arguments', '{"model":"sandbox/echo","messages":[{"role":"user","content":"x"},{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{oops"}}]}]}', 400, 'INVALID_REQUEST', 'messages[1].tool_calls[0].function.arguments'),
        ('bad base64', '{"model":"sandbox/echo","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,@@"}}]}]}', 400, 'INVALID_REQUEST', 'messages[0].content[0].image_url.url'),
        ('temperature of a wrong type', '{"model":"sandbox/echo","temperature":"hot",' + M + '}', 400, 'INVALID_REQUEST', 'temperature'),
        ('n of 0', '{"model":"sandbox/echo","n":0,' + M + '}', 400, 'INVALID_REQUEST', 'n'), ('max_tokens of 0', '{"model":"sandbox/echo","max_tokens":0,' + M + '}', 400, 'INVALID_REQUEST', 'max_tokens'),
        ('unknown gateway field', '{"model":"sandbox/echo","headworks":{"autocache":true},' + M + '}', 400, 'INVALID_REQUEST', 'headworks.autocache'),
        ('unknown provider', '{"model":"nobody/x",' + M + '}', 404, 'MODEL_NOT_FOUND', None), ('unknown bare model', '{"model":"gtp-5",' + M + '}', 404, 'MODEL_NOT_FOUND', None),
        ('a model for vectors', '{"model":"voyage/voyage-3-large",' + M + '}', 400, 'CAPABILITY_MISSING', None),
        ('not configured', '{"model":"groq/llama-3.3-70b-versatile",' + M + '}', 502, 'UPSTREAM_CREDENTIALS', None),
        ('a part the model does not take', '{"model":"openai/gpt-3.5-turbo","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]}', 400, 'CAPABILITY_MISSING', None),
        ('a resume window below 0', '{"model":"sandbox/echo","headworks":{"resume_window":-5},' + M + '}', 400, 'INVALID_REQUEST', 'headworks.resume_window'),
        ('too large', '{"model":"sandbox/echo","messages":[{"role":"user","content":"' + 'x' * (1 << 20) + '"}]}', 413, 'PAYLOAD_TOO_LARGE', None)):
    s, h, b = g.call('/v1/chat/completions', raw=raw.encode())
    error = b['error'] if isinstance(b, dict) else {}
    check(f'REST: {what}', (s, error.get('headworks', {}).get('reason'), param is None or error.get('param') == param), (status, reason, True))
    check(f'REST: {what}: shape', sorted(error), ['code', 'headworks', 'message', 'param', 'type'])
s, _, b = g.call('/v1/chat/completions', raw=b'{"model":"sandbox/echo","messages":[{"role":"user","content":"\xff"}]}')
check('REST: bad UTF-8', (s, 'UTF-8' in b['error']['message']), (400, True))
check('the nearest field is named', 'auto_cache' in g.call('/v1/chat/completions', raw=('{"model":"sandbox/echo","headworks":{"auto_cach":true},' + M + '}').encode())[2]['error']['message'])
check('the nearest model is named', 'sandbox/echo' in g.chat('sandbox2/echo')[2]['error']['message'] or 'provider' in g.chat('sandbox2/echo')[2]['error']['message'])
check('the limit is named', '1 MiB' in g.call('/v1/chat/completions', raw=b'x' * (2 << 20))[2]['error']['message'])
check('no such route', (g.call('/v1/nothing')[0], g.call('/v1/nothing')[2]['error']['headworks']['reason']), (404, 'NOT_FOUND'))
check('wrong method', g.call('/v1/chat/completions')[0], 405)
check('a bare name', g.chat('gpt-4o')[1]['x-headworks-model'], 'openai/gpt-4o')

# --- bad input at the gRPC door
T = lambda **k: c.Message(role=c.ROLE_USER, parts=[c.Part(**k)])
for what, request, code, reason, field in (
        ('no chat', None, 'INVALID_ARGUMENT', 'INVALID_REQUEST', 'chat'), ('no model', c.Chat(messages=[T(text='x')]), 'INVALID_ARGUMENT', 'INVALID_REQUEST', 'chat.model'),
        ('no messages', c.Chat(model='sandbox/echo'), 'INVALID_ARGUMENT', 'INVALID_REQUEST', 'chat.messages'),
        ('no role', c.Chat(model='sandbox/echo', messages=[c.Message(parts=[c.Part(text='x')])]), 'INVALID_ARGUMENT', 'INVALID_REQUEST', 'chat.messages[0].role'),
        ('empty part', c.Chat(model='sandbox/echo', messages=[c.Message(role=c.ROLE_USER, parts=[c.Part()])]), 'INVALID_ARGUMENT', 'INVALID_REQUEST', 'chat.messages[0].parts[0]'),
        ('image without a type', c.Chat(model='sandbox/echo', messages=[T(image=c.Image(data=b'x'))]), 'INVALID_ARGUMENT', 'INVALID_REQUEST', 'chat.messages[0].parts[0].image.mime_type'),
        ('bad arguments', c.Chat(model='sandbox/echo', messages=[T(tool_call=c.ToolCall(id='1', name='f', arguments_json='{'))]), 'INVALID_ARGUMENT', 'INVALID_REQUEST', 'chat.messages[0].parts[0].tool_call.arguments_json'),
        ('unknown model', ask('nobody/x'), 'NOT_FOUND', 'MODEL_NOT_FOUND', None), ('a model for vectors', ask('voyage/voyage-3-large'), 'FAILED_PRECONDITION', 'CAPABILITY_MISSING', None)):
    got = failure(lambda: chat.Complete(cs.CompleteRequest(chat=request), metadata=AUTH))
    check(f'gRPC: {what}', (got[0], got[1], field is None or field in got[2]), (code, reason, True))
raw = channel.unary_unary('/headworks.v1.ChatService/Complete', request_serializer=lambda b: b, response_deserializer=lambda b: b)
check('gRPC: malformed protobuf', failure(lambda: raw(b'\x0a\xff\xff\xff\xff\xff', metadata=AUTH))[0] in ('INTERNAL', 'INVALID_ARGUMENT'))
check('gRPC: unknown method', failure(lambda: channel.unary_unary('/headworks.v1.ChatService/Nope', request_serializer=lambda b: b)(b'', metadata=AUTH))[0], 'UNIMPLEMENTED')
check('gRPC: too large', failure(lambda: chat.Complete(cs.CompleteRequest(chat=ask(text='x' * (2 << 20))), metadata=AUTH))[0] in ('RESOURCE_EXHAUSTED', 'OUT_OF_RANGE'))
# --- gRPC answers: metadata, trailers, events
r, call = chat.Complete.with_call(cs.CompleteRequest(chat=ask(text='one two three')), metadata=AUTH)
meta, trailers = dict(call.initial_metadata()), dict(call.trailing_metadata())
check('Complete', (r.reply.choices[0].message.parts[0].text, r.reply.served_by, len(r.reply.route.attempts)), ('one two three', 'sandbox/echo', 1))
check('trailers', (trailers['headworks-provider'], trailers['headworks-attempts'], trailers['headworks-request-id']), ('sandbox', '1', meta['headworks-request-id']))
check('cost in trailers', float(trailers['headworks-cost-usd']) * 1e9, float(r.reply.usage.cost_nano_usd))
call = streams.Stream(ss.StreamRequest(chat=ask(text='one two three')), metadata=AUTH)
events = [m.event for m in call]
check('sequence from 1 without gaps', [e.sequence for e in events], list(range(1, len(events) + 1)))
check('first and last', (events[0].WhichOneof('kind'), events[-1].WhichOneof('kind')), ('started', 'completed'))
check('unary = fold', ''.join(e.text for e in events), 'one two three')
check('A1 stream and unary cost the same', events[-1].completed.usage.cost_nano_usd, r.reply.usage.cost_nano_usd)
check('stream trailers', dict(call.trailing_metadata())['headworks-model'], 'sandbox/echo')
for dialect, model in (('openai', 'openai/gpt-4o'), ('anthropic', 'anthropic/claude-sonnet-4-5'), ('gemini', 'google/gemini-2.5-flash')):
    r = chat.Complete(cs.CompleteRequest(chat=ask(model)), metadata=AUTH).reply
    check(f'{dialect} by gRPC', (r.choices[0].message.parts[0].text, r.usage.prompt_tokens, r.usage.completion_tokens, r.usage.cost_known), (f'Grüezi from {dialect}', 11, 7, True))
    text = ''.join(m.event.text for m in streams.Stream(ss.StreamRequest(chat=ask(model)), metadata=AUTH))
    check(f'{dialect} streamed by gRPC', text, f'Grüezi from {dialect}')

# --- failover, by table: model that fails before content -> the second answers, at both doors
for bad in ('sandbox/error-429', 'sandbox/error-500', 'sandbox/error-401', 'sandbox/timeout', 'openai/reset', 'openai/html', 'openai/never', 'openai/error-in-200', 'openai/x-429', 'anthropic/x-529', 'google/x-500'):
    s, h, b = g.call('/v1/chat/completions', {'model': bad, 'models': ['sandbox/echo'], 'stream': True, 'messages': [{'role': 'user', 'content': 'hi there'}]})
    check(f'R1 {bad} -> next (REST stream)', (s, 'hi' in b, '[DONE]' in b, b.count('"role"')), (200, True, True, 1))
    call = streams.Stream(ss.StreamRequest(chat=ask(bad, 'hi there', routing=c.Routing(models=['sandbox/echo']))), metadata=AUTH)
    done = [m.event for m in call][-1].completed
    outcomes = [a.outcome for a in done.route.attempts]
    # A target that rests after its last failure goes last (R8), so the second may answer first.
    check(f'R1 {bad} -> next (gRPC)', outcomes in ([u.ATTEMPT_OUTCOME_FAILED, u.ATTEMPT_OUTCOME_SUCCESS], [u.ATTEMPT_OUTCOME_SUCCESS]) and (len(outcomes) == 1 or done.route.attempts[0].reason != 0))
# --- a target that would lose a parameter is passed over where the caller says so
s, h, b = g.chat('anthropic/claude-sonnet-4-5', 'all of it', models=['sandbox/echo'], seed=7, provider={'require_parameters': True})
check('require_parameters passes over', (s, h['x-headworks-provider'], h['x-headworks-attempts']), (200, 'sandbox', '1'))
s, _, b = g.chat('anthropic/claude-sonnet-4-5', seed=7, provider={'require_parameters': True})
check('require_parameters alone', (s, b['error']['headworks']['reason'], 'seed' in b['error']['message']), (400, 'CAPABILITY_MISSING', True))
check('without it, the loss is noted', g.chat('anthropic/claude-sonnet-4-5', seed=7)[0], 200)
check('R5 a refused request is not tried elsewhere', (g.chat('anthropic/x-400', models=['sandbox/echo'])[0], g.chat('anthropic/x-400', models=['sandbox/echo'])[2]['error']['headworks']['attempts']), (400, 1))
s, h, b = g.chat('sandbox/error-429', models=['openai/x-429'])
check('all limited', (s, b['error']['headworks']['reason'], h['retry-after'] is not None, h['x-should-retry']), (429, 'ALL_TARGETS_FAILED', True, 'false'))
check('F13 a lone limit passes through', (g.chat('sandbox/error-429')[0], g.chat('sandbox/error-429')[1]['retry-after']), (429, '1'))

# --- after content the client is told (R2, R3, F3), never [DONE]
for model, what in (('openai/breaks', 'cut'), ('openai/breaks-cleanly', 'ends early'), ('openai/error-late', 'error after content'), ('openai/silent', 'R9 silence'), ('sandbox/break-mid-stream', 'sandbox')):
    s, _, b = g.chat(model, models=['sandbox/echo'], stream=True)
    check(f'R2 {what} (REST)', (s, '"error"' in b, 'STREAM_BROKEN' in b, '[DONE]' in b), (200, True, True, False))
    check(f'R2 {what} (gRPC)', failure(lambda: list(streams.Stream(ss.StreamRequest(chat=ask(model)), metadata=AUTH)))[:2], ('UNAVAILABLE', 'STREAM_BROKEN'))
check('R3 a finish without [DONE] is fine', '[DONE]' in g.chat('openai/no-done', stream=True)[2])
check('a body that is cut', (g.chat('openai/not-json')[0], g.chat('openai/not-json')[2]['error']['headworks']['reason']), (503, 'ALL_TARGETS_FAILED'))
check('S2 a big answer', len(g.chat('openai/big')[2]['choices'][0]['message']['content']), 10 << 20)
last = usage.ListRequests(us.ListRequestsRequest(page_size=50, filter=us.RequestFilter(outcome=u.ATTEMPT_OUTCOME_FAILED_PARTIAL)), metadata=AUTH).requests
check('R2 the record says so', len(last) >= 10 and all(r.usage.estimated for r in last if r.route.attempts[-1].provider == 'openai'))

# --- deadlines and cancelling
for model in ('openai/drips', 'openai/never', 'sandbox/hang'):
    began, before = time.monotonic(), len(gone)
    got = failure(lambda: list(streams.Stream(ss.StreamRequest(chat=ask(model)), metadata=AUTH, timeout=0.7)))
    check(f'deadline bounds the stream: {model}', got[0], 'DEADLINE_EXCEEDED')
    if model.startswith('openai'):
        while len(gone) == before and time.monotonic() - began < 5: time.sleep(0.01)
        check(f'and the upstream is cancelled: {model}', len(gone), before + 1)
before = len(gone); sock = socket.create_connection(('127.0.0.1', g.port))
body = json.dumps({'model': 'openai/drips', 'stream': True, 'messages': [{'role': 'user', 'content': 'x'}]})
sock.sendall(f'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {ADMIN}\r\ncontent-length: {len(body)}\r\n\r\n{body}'.encode())
got = b''
while b'some' not in got: got += sock.recv(4096)
left = time.monotonic(); sock.close()
while len(gone) == before and time.monotonic() - left < 5: time.sleep(0.005)
check('A7 a client that leaves cancels the upstream', len(gone), before + 1)
print(f'upstream cancelled {1000 * (gone[-1] - left):.0f} ms after the client left')
time.sleep(0.3)
last = usage.ListRequests(us.ListRequestsRequest(page_size=1), metadata=AUTH).requests[0]
check('A7 it is billed and recorded once', (last.outcome, last.usage.estimated, last.usage.completion_tokens > 0, last.usage.cost_known), (u.ATTEMPT_OUTCOME_CANCELLED, True, True, False if not last.usage.cost_known else True))
call = streams.Stream(ss.StreamRequest(chat=ask('sandbox/slow', 'a b c d e f')), metadata=AUTH)
first = next(iter(call)).event
streams.Cancel(ss.CancelRequest(stream_id=first.started.stream_id), metadata=AUTH)
check('Cancel ends a stream', failure(lambda: list(call))[:2], ('CANCELLED', 'CANCELLED'))
check('only its owner may', failure(lambda: streams.Cancel(ss.CancelRequest(stream_id='req_x'), metadata=AUTH))[:2], ('NOT_FOUND', 'STREAM_GONE'))

# --- policies
made = policies.CreatePolicy(ps.CreatePolicyRequest(policy=ps.Policy(name='safe', fallback=ps.FallbackChain(targets=[ps.PolicyTarget(model='openai/never', timeouts=ps.Timeouts(first_token=duration_pb2.Duration(nanos=200_000_000), total=duration_pb2.Duration(nanos=400_000_000))), ps.PolicyTarget(model='sandbox/echo')]))), metadata=AUTH).policy
check('a policy is made', (made.version, made.etag != ''), (1, True))
began = time.monotonic()
s, h, b = g.chat('policy/safe')
check('R9 the policy\'s own time limit', (s, h['x-headworks-model'], b['headworks']['policy'], time.monotonic() - began < 1), (200, 'sandbox/echo', 'safe', True))
check('twice the same name', failure(lambda: policies.CreatePolicy(ps.CreatePolicyRequest(policy=made), metadata=AUTH))[:2], ('ALREADY_EXISTS', 'ALREADY_EXISTS'))
for what, policy, field in (('no targets', ps.Policy(name='p', fallback=ps.FallbackChain()), 'policy.fallback.targets'), ('bad name', ps.Policy(name='P!', fallback=made.fallback), 'policy.name'), ('no kind', ps.Policy(name='p'), 'policy.fallback'),
                            ('unknown model', ps.Policy(name='p', fallback=ps.FallbackChain(targets=[ps.PolicyTarget(model='nobody/x')])), 'policy.fallback.targets[0].model')):
    check(f'policy: {what}', failure(lambda: policies.CreatePolicy(ps.CreatePolicyRequest(policy=policy), metadata=AUTH)), ('INVALID_ARGUMENT', 'INVALID_REQUEST', [field]))
check('listed', [p.name for p in policies.ListPolicies(ps.ListPoliciesRequest(), metadata=AUTH).policies], ['safe'])
policies.DeletePolicy(ps.DeletePolicyRequest(name='safe'), metadata=AUTH)
check('gone for the next call', g.chat('policy/safe')[0], 404)

# --- records
s, h, b = g.chat('sandbox/error-500', models=['sandbox/echo'], headworks={'tags': ['t1'], 'user_id': 'u1', 'trace_id': 'tr1'}, metadata={'m': '1'})
record = usage.GetRequest(us.GetRequestRequest(id=h['x-headworks-request-id']), metadata=AUTH).request
check('one record with every attempt', (record.served_by, [a.outcome for a in record.route.attempts], list(record.tags), record.user_id, record.trace_id, dict(record.metadata)), ('sandbox/echo', [2, 1], ['t1'], 'u1', 'tr1', {'m': '1'}))
check('A8 sum of attempts = request', sum(a.usage.cost_nano_usd for a in record.route.attempts), record.usage.cost_nano_usd)
check('cost in the answer = cost on disk', b['headworks']['cost_nano_usd'], record.usage.cost_nano_usd)
check('another key does not see it', failure(lambda: usage.GetRequest(us.GetRequestRequest(id=record.id), metadata=app_auth))[:2], ('NOT_FOUND', 'NOT_FOUND'))
seen, token = [], ''
while True:
    page = usage.ListRequests(us.ListRequestsRequest(page_size=7, page_token=token), metadata=AUTH)
    seen += [r.id for r in page.requests]; token = page.next_page_token
    if not token: break
check('paging gives each record once', (len(seen), len(set(seen))), (len(set(seen)), len(seen)))
check('newest first', seen[0], record.id)

# --- idempotency
one = g.chat(content='once', headers={'Idempotency-Key': 'k1'})
two = g.chat(content='once', headers={'Idempotency-Key': 'k1'})
check('a repeat gets the recorded outcome', (two[0], two[1]['x-headworks-request-id'], two[2]['choices'][0]['message']['content']), (200, one[1]['x-headworks-request-id'], 'once'))
check('another body is refused', (g.chat(content='twice', headers={'Idempotency-Key': 'k1'})[0]), 400)
before = len(up.seen); results = []
run = lambda: results.append(g.chat('openai/gpt-4o', headers={'Idempotency-Key': 'k2'})[1]['x-headworks-request-id'])
threads = [threading.Thread(target=run) for _ in range(8)]; [t.start() for t in threads]; [t.join() for t in threads]
check('eight at once call once, and all are answered', (len(results), len(set(results)), len(up.seen) - before), (8, 1, 1))

# --- models, operations, CORS
check('models', models.GetModel(ms.GetModelRequest(id='openai/gpt-5'), metadata=AUTH).model.price.base.input_nano_usd, 1_250_000_000)
check('providers', {p.id: p.configured for p in models.ListProviders(ms.ListProvidersRequest(), metadata=AUTH).providers}['groq'], False)
check('one model by REST', g.call('/v1/models/sandbox/echo')[2]['id'], 'sandbox/echo')
text = g.call('/metrics')[2]
check('metrics', all(name in text for name in ('headworks_requests_total{', 'headworks_attempts_total{', 'headworks_request_duration_seconds_bucket', 'headworks_time_to_first_token_seconds_bucket', 'headworks_tokens_total{', 'headworks_cost_nano_usd_total{', 'headworks_failovers_total{')))
check('no invented text in labels', 'x-529' in text or 'never' in text, False)
s, h, _ = g.call('/v1/chat/completions', method='OPTIONS', key=None, headers={'origin': 'http://page.example', 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization'})
check('CORS', (s, h['access-control-allow-origin']), (200, 'http://page.example'))
check('CORS: other origins', g.call('/healthz', headers={'origin': 'http://evil.example'})[1].get('access-control-allow-origin'), None)
check('no secret in the log', any(word in (g.folder / 'log').read_text() for word in ('sk-fake', app, ADMIN)), False)

# --- the sandbox
for model, more, want in (('tools', {'tools': [{'type': 'function', 'function': {'name': 'f', 'parameters': {'type': 'object', 'properties': {'a': {'type': 'integer'}}, 'required': ['a']}}}]}, lambda m: 'a' in json.loads(m['tool_calls'][0]['function']['arguments'])),
                          ('json', {'response_format': {'type': 'json_schema', 'json_schema': {'name': 's', 'schema': {'type': 'object', 'properties': {'x': {'enum': ['q']}}, 'required': ['x']}}}}, lambda m: json.loads(m['content'])['x'] == 'q'),
                          ('reasoning', {}, lambda m: bool(m['reasoning_content'] and m['content'])), ('long', {}, lambda m: len(m['content']) > 20)):
    s, _, b = g.chat('sandbox/' + model, '25', **more)
    check('sandbox/' + model, (s, want(b['choices'][0]['message']) if s == 200 else b), (200, True))

# --- drain, and starting again
slow = []
t = threading.Thread(target=lambda: slow.append(g.chat('sandbox/slow', 'one two three')[0])); t.start(); time.sleep(0.5)
g.stop(); t.join()
check('SIGTERM lets calls under way finish', (slow, g.process.returncode), ([200], 0))
count = len(seen)
g.start()
check('records are there after a restart', usage.GetRequest(us.GetRequestRequest(id=record.id), metadata=AUTH, wait_for_ready=True).request.usage.cost_nano_usd, record.usage.cost_nano_usd)
check('a repeat after a restart', g.chat(content='once', headers={'Idempotency-Key': 'k1'})[1]['x-headworks-request-id'], one[1]['x-headworks-request-id'])

# --- clear errors at start
def run_it(config, **env):
    folder = tempfile.mkdtemp(); path = os.path.join(folder, 'c.toml'); open(path, 'w').write(config)
    p = subprocess.run([BINARY, 'serve', '--config', path], cwd=folder, env={**os.environ, **env}, capture_output=True, text=True, timeout=20)
    return p.returncode, p.stderr
code, err = run_it(f'[server]\nlisten = "127.0.0.1:{g.port}"\n')
check('busy port', (code, 'is in use by another program' in err), (1, True))
code, err = run_it(f'[server]\nlisten = "127.0.0.1:0"\n[store]\nurl = "sled:{g.folder}/data"\n')
check('locked folder', (code, 'in use by another headworks' in err), (1, True))
code, err = run_it('[server]\nlisen = "x"\n')
check('bad config', (code, 'c.toml:2: unknown field "lisen"; did you mean "listen"?' in err), (1, True))
code, err = run_it('[server]\nlisten = "127.0.0.1:0"\n', HEADWORKS_ADMIN_KEY='short')
check('short admin key', (code, '16 characters' in err), (1, True))
g.stop()
out = g.folder / 'export'
for command, want in ((['export', str(out)], 'values written'), (['check-config', str(g.file)], 'ok')):
    p = subprocess.run([BINARY, '--config', str(g.file), *command], capture_output=True, text=True, timeout=60)
    check(' '.join(command[:1]), (p.returncode, want in p.stdout), (0, True))
other = Gateway(CONFIG)
p = subprocess.run([BINARY, '--config', str(other.file), 'import', str(out)], capture_output=True, text=True, timeout=60)
check('import', (p.returncode, 'values read' in p.stdout), (0, True))
with other:
    moved = usg.UsageServiceStub(grpc.insecure_channel(f'127.0.0.1:{other.port}')).GetRequest(us.GetRequestRequest(id=record.id), metadata=AUTH).request
    check('state moves between stores', moved.usage.cost_nano_usd, record.usage.cost_nano_usd)
check.end()
