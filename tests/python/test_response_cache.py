"""A10, G2: answers given again from the gateway's memory, at every door: tokens as they were, no cost, said so; on record, in sums and exports."""
import http.client, json, time
import grpc
from google.protobuf import duration_pb2, field_mask_pb2
from headworks.v1 import (chat_pb2 as c, chat_service_pb2 as cs, chat_service_pb2_grpc as csg, embedding_service_pb2 as es, embedding_service_pb2_grpc as esg, key_service_pb2 as ks, key_service_pb2_grpc as ksg, policy_service_pb2 as ps,
                          policy_service_pb2_grpc as psg, usage_service_pb2 as us, usage_service_pb2_grpc as usg)
import dialects
from gateway import ADMIN, Checks, Gateway, Upstream, providers

check = Checks()
up = Upstream(dialects.handler)
g = Gateway('[response_cache]\nmax_age_s = 3600\n' + providers(up.port)).start()
channel = grpc.insecure_channel(f'127.0.0.1:{g.port}')
chat, keys, policies, usage = (s(channel) for s in (csg.ChatServiceStub, ksg.KeyServiceStub, psg.PolicyServiceStub, usg.UsageServiceStub))
AUTH = (('authorization', 'Bearer ' + ADMIN),)
key = keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(name='app')), metadata=AUTH)
other = keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(name='other')), metadata=AUTH).secret
MINE = (('authorization', 'Bearer ' + key.secret),)
HEADER = {'x-headworks-response-cache': '600'}

def asked():
    """How often the upstream was asked since the last time."""
    count = len(up.seen); up.seen.clear(); return count
def rest(content='hi', model='openai/gpt-4o', headers=HEADER, secret=key.secret, **more):
    return g.chat(model, content, headers=headers, key=secret, **more)
def stream(path, body, headers):
    """Events of a stream, with the answer's headers."""
    connection = http.client.HTTPConnection('127.0.0.1', g.port, timeout=30)
    connection.request('POST', path, json.dumps(body), {'authorization': 'Bearer ' + key.secret, 'content-type': 'application/json', **headers})
    answer = connection.getresponse()
    lines = [line[6:] for line in answer.read().decode().split('\n') if line.startswith('data: ')]
    return answer.headers, [json.loads(line) for line in lines if line != '[DONE]']
def record(request_id):
    for _ in range(100):
        try: return usage.GetRequest(us.GetRequestRequest(id=request_id), metadata=AUTH).request
        except grpc.RpcError as e:
            if e.code() != grpc.StatusCode.NOT_FOUND: raise
            time.sleep(0.05)

# --- REST, whole
s, h, first = rest()
check('the first call asks the provider', (s, asked(), h['x-headworks-response-cache'], h['x-headworks-attempts']), (200, 1, 'miss', '1'))
s, h, again = rest()
check('A10 the second does not', (s, asked(), h['x-headworks-response-cache'], h['age'] in ('0', '1'), h['x-headworks-attempts']), (200, 0, 'hit', True, '0'))
check('A10 the same answer and the same tokens', [(x['choices'][0]['message']['content'], {k: x['usage'][k] for k in ('prompt_tokens', 'completion_tokens', 'total_tokens')}) for x in (first, again)],
      [('Grüezi from openai', {'prompt_tokens': 11, 'completion_tokens': 7, 'total_tokens': 18})] * 2)
check('A10 it costs nothing, and says so', (float(h['x-headworks-cost-usd']), again['headworks']['cached'], again['headworks']['cost_nano_usd'], again['headworks']['saved_nano_usd'], again['headworks']['model']),
      (0.0, True, 0, first['headworks']['cost_nano_usd'], 'openai/gpt-4o'))
check('a call of its own', (again['headworks']['request_id'] != first['headworks']['request_id'], 'cached' in first['headworks']), (True, False))

# --- streamed, and every other door
h, events = stream('/v1/chat/completions', {'model': 'openai/gpt-4o', 'messages': [{'role': 'user', 'content': 'hi'}], 'stream': True, 'stream_options': {'include_usage': True}}, HEADER)
text = ''.join(e['choices'][0]['delta'].get('content') or '' for e in events if e['choices'])
check('A10 streamed too', (asked(), h['x-headworks-response-cache'], text, events[-1]['usage']['total_tokens'], [e['headworks']['cached'] for e in events if e.get('headworks')]),
      (0, 'hit', 'Grüezi from openai', 18, [True]))
body = {'model': 'anthropic/claude-sonnet-4-5', 'max_tokens': 50, 'messages': [{'role': 'user', 'content': 'hi'}]}
s, h, one = g.call('/v1/messages', body, key=key.secret, headers=HEADER)
s, h, two = g.call('/v1/messages', body, key=key.secret, headers=HEADER)
check('messages', (s, asked(), h['x-headworks-response-cache'], two['content'], two['usage']['output_tokens']), (200, 1, 'hit', one['content'], one['usage']['output_tokens']))
for n in range(2): s, h, b = rest('across', 'anthropic/claude-sonnet-4-5')
check('across dialects it has the time it was made at', (asked(), h['x-headworks-response-cache'], abs(b['created'] - time.time()) < 60), (1, 'hit', True))
h, events = stream('/v1/messages', body | {'stream': True}, HEADER)
check('messages, streamed', (asked(), h['x-headworks-response-cache'], [e['type'] for e in events if e['type'] in ('message_start', 'message_stop')],
                             [e['usage']['output_tokens'] for e in events if e['type'] == 'message_delta']), (0, 'hit', ['message_start', 'message_stop'], [one['usage']['output_tokens']]))
for n in range(2): s, h, b = g.call('/v1/responses', {'model': 'anthropic/claude-sonnet-4-5', 'input': 'a question'}, key=key.secret, headers=HEADER)
check('responses', (s, asked(), h['x-headworks-response-cache'], b['usage']['output_tokens']), (200, 1, 'hit', one['usage']['output_tokens']))
for n in range(2): s, h, b = rest(headers=None, headworks={'response_cache': 60})
check('in the body, without effect on what makes calls the same', (asked(), h['x-headworks-response-cache']), (0, 'hit'))

def complete(text, seconds, metadata=MINE, **more):
    message = c.Chat(model='openai/gpt-4o', messages=[c.Message(role=c.ROLE_USER, parts=[c.Part(text=text)])],
                     routing=c.Routing(response_cache=duration_pb2.Duration(seconds=seconds)), **more)
    reply, call = chat.Complete.with_call(cs.CompleteRequest(chat=message), metadata=metadata)
    return reply.reply, dict(call.initial_metadata())
made, head = complete('by gRPC', 60)
check('gRPC: the first', (asked(), head['headworks-response-cache'], made.usage.cached), (1, 'miss', False))
made, head = complete('by gRPC', 60)
check('A10 gRPC: the second', (asked(), head['headworks-response-cache'], made.usage.cached, made.usage.cost_nano_usd, made.usage.prompt_tokens, made.usage.completion_tokens, len(made.route.attempts), made.served_by),
      (0, 'hit', True, 0, 11, 7, 0, 'openai/gpt-4o'))
check('a call of no time at all asks anew', (complete('by gRPC', 0)[1].get('headworks-response-cache'), asked()), (None, 1))

# --- vectors
for n in range(2): s, h, b = g.call('/v1/embeddings', {'model': 'sandbox/embedding', 'input': ['one', 'two']}, key=key.secret, headers=HEADER)
check('vectors', (s, h['x-headworks-response-cache'], float(h['x-headworks-cost-usd']), len(b['data']), b['usage']['prompt_tokens'] > 0), (200, 'hit', 0.0, 2, True))
embed = lambda: esg.EmbeddingServiceStub(channel).Embed.with_call(es.EmbedRequest(model='sandbox/embedding', inputs=['by gRPC'],
    routing=c.Routing(response_cache=duration_pb2.Duration(seconds=60))), metadata=MINE)
made = [embed() for n in range(2)][-1][0]
check('vectors by gRPC', (made.usage.cached, made.usage.cost_nano_usd), (True, 0))

# --- a stream that can be resumed may be one given again
h, events = stream('/v1/chat/completions', {'model': 'openai/gpt-4o', 'messages': [{'role': 'user', 'content': 'hi'}], 'stream': True, 'headworks': {'resume_window': 30}}, HEADER)
check('resumable', (asked(), h['x-headworks-response-cache'], bool(h['x-headworks-stream-id'])), (0, 'hit', True))

# --- what makes calls the same
for what, call in {'another text': dict(content='ho'), 'another parameter': dict(temperature=0.5), 'another key': dict(secret=other), 'not asked for': dict(headers=None)}.items():
    rest(**call)
    check(f'G2 {what}: asked', asked(), 1)
odd = lambda n: g.call('/v1/messages', body | {'messages': [{'role': 'user', 'content': [{'type': 'text', 'text': 'hi', 'x_unknown': n}]}]}, key=key.secret, headers=HEADER)[0]
check('G2 a word we do not know, deep in the body: asked', (odd(1), odd(1), odd(2), asked()), (200, 200, 200, 2))
check('a call with tools is another', (rest(tools=[{'type': 'function', 'function': {'name': 'f', 'parameters': {'type': 'object'}}}])[0], asked()), (200, 1))
s, h, b = rest(headers={'x-headworks-response-cache': 'soon'})
check('no number of seconds', (s, 'x-headworks-response-cache' in b['error']['message'] or b['error'].get('param') == 'x-headworks-response-cache', asked()), (400, True, 0))
s, h, b = rest(headers=None, headworks={'response_cache': -1})
check('a negative one', (s, b['error'].get('param')), (400, 'headworks.response_cache'))

# --- a change of policy, and of a key, holds at once
chain = lambda *models: ps.FallbackChain(targets=[ps.PolicyTarget(model=m) for m in models])
policies.CreatePolicy(ps.CreatePolicyRequest(policy=ps.Policy(name='p', fallback=chain('openai/gpt-4o', 'anthropic/claude-sonnet-4-5'))), metadata=AUTH)
for n in range(2): s, h, b = rest('by policy', 'policy/p')
check('by policy', (asked(), h['x-headworks-response-cache'], h['x-headworks-model']), (1, 'hit', 'openai/gpt-4o'))
policies.UpdatePolicy(ps.UpdatePolicyRequest(policy=ps.Policy(name='p', fallback=chain('anthropic/claude-sonnet-4-5')), update_mask=field_mask_pb2.FieldMask(paths=['fallback'])), metadata=AUTH)
s, h, b = rest('by policy', 'policy/p')
check('a target that the policy has no more does not answer', (asked(), h['x-headworks-response-cache'], h['x-headworks-model']), (1, 'miss', 'anthropic/claude-sonnet-4-5'))

# --- a budget that is used up does not matter to what costs nothing
poor = keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(name='poor', budget=ks.Budget(limit_nano_usd=600_000, window=ks.BUDGET_WINDOW_LIFETIME))), metadata=AUTH).secret
s1, _, _ = rest('poor', secret=poor, max_tokens=20)
codes = [rest(f'poor {n}', secret=poor, max_tokens=20, headers=None)[0] for n in range(40)]
check('its budget is used up', (s1, 402 in codes or 429 in codes), (200, True))
s, h, b = rest('poor', secret=poor, max_tokens=20)
check('what was answered before is answered again', (s, h['x-headworks-response-cache']), (200, 'hit'))

# --- on record, in sums and exports
r = record(again['headworks']['request_id'])
check('its record', (r.served_by, r.usage.cached, r.usage.cost_nano_usd, r.usage.prompt_tokens, r.usage.saved_nano_usd, len(r.route.attempts)),
      ('openai/gpt-4o', True, 0, 11, first['headworks']['cost_nano_usd'], 0))
for _ in range(100):
    rows = usage.QueryUsage(us.QueryUsageRequest(filter=us.RequestFilter(key_id=key.key.id)), metadata=AUTH).rows
    if rows and rows[0].response_cache_hit_count >= 9: break
    time.sleep(0.05)
listed, token = [], ''
while True:
    page = usage.ListRequests(us.ListRequestsRequest(page_size=1000, page_token=token, filter=us.RequestFilter(key_id=key.key.id)), metadata=AUTH)
    listed += page.requests; token = page.next_page_token
    if not token: break
hits = [x for x in listed if x.usage.cached]
check('sums: hits, requests, cost and what was saved are those of the records',
      (rows[0].response_cache_hit_count, rows[0].request_count, rows[0].usage.cost_nano_usd, rows[0].usage.saved_nano_usd),
      (len(hits), len(listed), sum(x.usage.cost_nano_usd for x in listed), sum(x.usage.saved_nano_usd for x in listed)))
by = {row.group['served_by']: row for row in usage.QueryUsage(us.QueryUsageRequest(filter=us.RequestFilter(key_id=key.key.id), group_by=['served_by']), metadata=AUTH).rows}
check('sums: hits count where their answer was made', ('' in by, sum(row.response_cache_hit_count for row in by.values()), by['openai/gpt-4o'].response_cache_hit_count), (False, len(hits), sum(x.served_by == 'openai/gpt-4o' for x in hits)))
page = usage.ListRequests(us.ListRequestsRequest(page_size=1000, filter=us.RequestFilter(key_id=key.key.id, served_by='openai/gpt-4o')), metadata=AUTH)
check('a filter finds them too', sum(x.usage.cached for x in page.requests), by['openai/gpt-4o'].response_cache_hit_count)
check('sums: attempts and tokens are of calls that asked', (rows[0].attempt_count, rows[0].usage.completion_tokens),
      (len(listed) - len(hits), sum(x.usage.completion_tokens for x in listed if not x.usage.cached)))
csv = b''.join(part.data for part in usage.ExportRequests(us.ExportRequestsRequest(format=us.EXPORT_FORMAT_CSV, filter=us.RequestFilter(key_id=key.key.id)), metadata=AUTH)).decode().splitlines()
column = csv[0].split(',').index('cached')
check('exports', sum(line.split(',')[column] == 'true' for line in csv[1:] if line.count(',') >= column), len(hits))
s, _, text = g.call('/metrics')
check('metrics', 'headworks_response_cache_lookups_total{result="hit"}' in (text if isinstance(text, str) else str(text)), True)
g.stop()
check.end()
