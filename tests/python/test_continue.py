"""Answers that survive a provider breaking in mid-stream: CONTINUE at every door, RESTART by gRPC, by prefill and by instruction; the route names both, the bill has both."""
import asyncio, json
import grpc
from headworks.v1 import (chat_pb2 as c, key_service_pb2 as ks, key_service_pb2_grpc as ksg, policy_service_pb2 as ps, policy_service_pb2_grpc as psg,
                          stream_service_pb2 as ss, stream_service_pb2_grpc as ssg, usage_pb2 as u, usage_service_pb2 as us, usage_service_pb2_grpc as usg)
from gateway import ADMIN, Checks, Gateway, Upstream

check = Checks()
TEXT = 'It was a dark night, and the rain fell in torrents over the rooftops of Zürich — until morning.'
state = {'breaks': 0, 'after': 6, 'tool': False}


def pieces(text):
    """Two words at a time, a word cut in its middle now and then."""
    return [text[i:i + 9] for i in range(0, len(text), 9)]


def rest_of(messages):
    """What a model that knows the whole text would write next."""
    last = messages[-1]
    content = last['content'] if isinstance(last['content'], str) else ''.join(p.get('text', '') for p in last['content'])
    if last['role'] == 'assistant': return TEXT[len(content):], 'prefill'
    if 'cut off' in content:
        said = messages[-2]['content'] if isinstance(messages[-2]['content'], str) else ''.join(p.get('text', '') for p in messages[-2]['content'])
        anchor = content.split('exactly:\n')[1].split('\nand go on')[0]
        assert said.endswith(anchor), (said, anchor)
        return TEXT[len(said) - len(anchor):], 'instruct'
    return TEXT, 'anew'


async def upstream(up, request, body):
    text, form = rest_of(body['messages'])
    state.setdefault('forms', []).append((request.path, form))
    breaks = state['breaks'] > 0
    if breaks: state['breaks'] -= 1
    r = up.web.StreamResponse(headers={'content-type': 'text/event-stream'})
    await r.prepare(request)
    say = lambda data, name=None: (f'event: {name}\n' if name else '').encode() + b'data: ' + json.dumps(data).encode() + b'\n\n'
    claude = request.path.endswith('/messages')
    chunk = lambda delta, finish=None: say({'id': 'x', 'object': 'chat.completion.chunk', 'created': 1, 'model': 'm', 'choices': [{'index': 0, 'delta': delta, 'finish_reason': finish}]})
    if claude:
        await r.write(say({'type': 'message_start', 'message': {'id': 'msg_1', 'type': 'message', 'role': 'assistant', 'model': 'claude', 'content': [], 'stop_reason': None, 'usage': {'input_tokens': 20, 'output_tokens': 1}}}, 'message_start'))
        await r.write(say({'type': 'content_block_start', 'index': 0, 'content_block': {'type': 'text', 'text': ''}}, 'content_block_start'))
    for at, piece in enumerate(pieces(text)):
        if breaks and at == state['after']:
            if state['tool'] and not claude:
                await r.write(chunk({'tool_calls': [{'index': 0, 'id': 'call_1', 'type': 'function', 'function': {'name': 'look', 'arguments': '{"at": '}}]}))
            await asyncio.sleep(0.02); request.transport.close(); return r
        await r.write(say({'type': 'content_block_delta', 'index': 0, 'delta': {'type': 'text_delta', 'text': piece}}, 'content_block_delta') if claude else chunk({'content': piece}))
    if claude:
        await r.write(say({'type': 'content_block_stop', 'index': 0}, 'content_block_stop') + say({'type': 'message_delta', 'delta': {'stop_reason': 'end_turn', 'stop_sequence': None}, 'usage': {'output_tokens': 30}}, 'message_delta') + say({'type': 'message_stop'}, 'message_stop'))
    else:
        await r.write(chunk({}, 'stop') + say({'id': 'x', 'object': 'chat.completion.chunk', 'created': 1, 'model': 'm', 'choices': [], 'usage': {'prompt_tokens': 20, 'completion_tokens': 30, 'total_tokens': 50}}) + b'data: [DONE]\n\n')
    return r


up = Upstream(upstream)
g = Gateway('[engine]\nfailure_rest_ms = 0\nbreaker_failures = 1000\n' + ''.join(
    f'[providers.{name}]\nbase_url = "http://127.0.0.1:{up.port}{path}"\napi_key_env = "FAKE_KEY"\n' for name, path in (('groq', '/v1'), ('anthropic', ''), ('mistral', '/v1')))).start()
channel = grpc.insecure_channel(f'127.0.0.1:{g.port}')
streams, keys, policies, usage = (s(channel) for s in (ssg.StreamServiceStub, ksg.KeyServiceStub, psg.PolicyServiceStub, usg.UsageServiceStub))
AUTH = (('authorization', 'Bearer ' + ADMIN),)
GROQ, CLAUDE, MISTRAL = 'groq/llama-3.3-70b-versatile', 'anthropic/claude-sonnet-4-5', 'mistral/mistral-large-latest'


def policy(name, models, mid_stream):
    policies.CreatePolicy(ps.CreatePolicyRequest(policy=ps.Policy(name=name, mid_stream=mid_stream, fallback=ps.FallbackChain(targets=[ps.PolicyTarget(model=m) for m in models]))), metadata=AUTH)


policy('to-claude', [GROQ, CLAUDE], ps.MID_STREAM_CONTINUE)
policy('to-groq', [CLAUDE, GROQ], ps.MID_STREAM_CONTINUE)
policy('to-mistral', [GROQ, MISTRAL], ps.MID_STREAM_CONTINUE)
policy('alone', [GROQ], ps.MID_STREAM_CONTINUE)
policy('restart', [GROQ, CLAUDE], ps.MID_STREAM_RESTART)
policy('fail', [GROQ, CLAUDE], ps.MID_STREAM_FAIL)
got = policies.GetPolicy(ps.GetPolicyRequest(name='to-claude'), metadata=AUTH).policy
check('the policy says it', got.mid_stream, ps.MID_STREAM_CONTINUE)


def grpc_stream(model, key=ADMIN, **more):
    chat = c.Chat(model=model, messages=[c.Message(role=c.ROLE_USER, parts=[c.Part(text='Tell me a story')])], **more)
    return [m.event for m in streams.Stream(ss.StreamRequest(chat=chat), metadata=(('authorization', 'Bearer ' + key),))]


def sse(path, body):
    status, head, text = g.call(path, body)
    events = [json.loads(line[5:]) for line in text.splitlines() if line.startswith('data:') and '[DONE]' not in line] if isinstance(text, str) else text
    return status, text, events


def text_of(events):
    words = []
    for e in events:
        if 'choices' in e: words += [ch['delta'].get('content') or '' for ch in e['choices']]
        elif e.get('type') == 'response.output_text.delta': words.append(e['delta'])
        elif e.get('type') == 'content_block_delta': words.append(e['delta'].get('text', ''))
    return ''.join(words)


def failed(events): return any('error' in e and e['error'] or e.get('type') in ('error', 'response.failed') for e in events)


def record(id_): return usage.GetRequest(us.GetRequestRequest(id=id_), metadata=AUTH).request


ask = [{'role': 'user', 'content': 'Tell me a story'}]
doors = {'chat': ('/v1/chat/completions', {'messages': ask, 'stream': True, 'stream_options': {'include_usage': True}}, '[DONE]'),
         'messages': ('/v1/messages', {'messages': ask, 'stream': True, 'max_tokens': 500}, 'message_stop'),
         'responses': ('/v1/responses', {'input': 'Tell me a story', 'stream': True}, 'response.completed')}

# --- CONTINUE, every door, every form, broken at many places
for after in range(1, 10):
    state['after'] = after
    for name, form in (('to-claude', 'prefill'), ('to-groq', 'instruct'), ('to-mistral', 'prefill'), ('alone', 'instruct')):
        for door, (path, body, end) in doors.items():
            state.update(breaks=1, forms=[])
            status, raw, events = sse(path, {'model': f'policy/{name}', **body})
            check(f'{door}, {name}, broken after {after} pieces', (status, text_of(events)), (200, TEXT))
            check(f'{door}, {name}: one good end', (raw.count(end) >= 1, failed(events), [f for _, f in state['forms']]), (True, False, ['anew', form]))
state.update(breaks=1, after=6, forms=[])
events = grpc_stream('policy/to-claude')
kinds = [e.WhichOneof('kind') for e in events]
check('gRPC: one text', ''.join(e.text for e in events if e.WhichOneof('kind') == 'text'), TEXT)
moved = next(e.recovered for e in events if e.WhichOneof('kind') == 'recovered')
check('gRPC: the client is told', ('from' in moved.DESCRIPTOR.fields_by_name and getattr(moved, 'from'), moved.to), (GROQ, CLAUDE))
check('gRPC: it began once and ended once', (kinds.count('started'), kinds.count('finished'), kinds.count('completed')), (1, 1, 1))
done = events[-1].completed
check('the route names both', [(f'{a.provider}/{a.model}', a.outcome) for a in done.route.attempts], [(GROQ, u.ATTEMPT_OUTCOME_FAILED_PARTIAL), (CLAUDE, u.ATTEMPT_OUTCOME_SUCCESS)])
check('the bill has both', (done.usage.cost_nano_usd, all(a.usage.cost_nano_usd > 0 for a in done.route.attempts)), (sum(a.usage.cost_nano_usd for a in done.route.attempts), True))
check('tokens of both, the first estimated', (done.usage.output_tokens, done.usage.estimated), (sum(a.usage.output_tokens for a in done.route.attempts), True))
kept = record(events[0].started.request_id)
check('its record: served, by the one that ended it', (kept.outcome, kept.served_by, len(kept.route.attempts)), (u.ATTEMPT_OUTCOME_SUCCESS, CLAUDE, 2))

# --- broken twice: groq, then claude, then groq again
state.update(breaks=2, after=3, forms=[])
events = grpc_stream('policy/to-claude')
check('broken twice', (''.join(e.text for e in events if e.WhichOneof('kind') == 'text'), [e.WhichOneof('kind') for e in events].count('recovered'), [f for _, f in state['forms']]), (TEXT, 2, ['anew', 'prefill', 'instruct']))

# --- tool calls are never cut in half
state.update(breaks=1, after=4, tool=True)
tool = {'type': 'function', 'function': {'name': 'look', 'parameters': {'type': 'object', 'properties': {}}}}
status, raw, events = sse('/v1/chat/completions', {'model': 'policy/to-claude', 'messages': ask, 'stream': True, 'tools': [tool]})
check('half a call is not seen', (text_of(events), 'tool_calls' in raw, '[DONE]' in raw), (TEXT, False, True))
state['tool'] = False

# --- RESTART: told by gRPC, a plain failure where there is no word for it
state.update(breaks=1, after=6)
events = grpc_stream('policy/restart')
at = next(i for i, e in enumerate(events) if e.WhichOneof('kind') == 'restarted')
check('RESTART: what follows is whole', ''.join(e.text for e in events[at:] if e.WhichOneof('kind') == 'text'), TEXT)
check('RESTART: something came before', ''.join(e.text for e in events[:at] if e.WhichOneof('kind') == 'text'), TEXT[:54])
check('RESTART: sequences go on', [e.sequence for e in events], list(range(1, len(events) + 1)))
for name in ('restart', 'fail'):
    state.update(breaks=1)
    status, raw, events = sse('/v1/chat/completions', {'model': f'policy/{name}', 'messages': ask, 'stream': True})
    check(f'{name} at a REST door: the break is told', (failed(events), '[DONE]' in raw), (True, False))

# --- a whole answer cannot break after its beginning; JSON cannot be gone on with
state.update(breaks=1)
status, raw, events = sse('/v1/chat/completions', {'model': 'policy/to-claude', 'messages': ask, 'stream': True, 'response_format': {'type': 'json_object'}})
check('JSON: the break is told', failed(events))

# --- each attempt holds its own money: spent is what records say
key = keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(name='budgeted', roles=[ks.KEY_ROLE_CALLER], budget=ks.Budget(limit_nano_usd=10**9, window=ks.BUDGET_WINDOW_LIFETIME))), metadata=AUTH)
state.update(breaks=1, after=6)
events = grpc_stream('policy/to-claude', key=key.secret, sampling=c.Sampling(max_output_tokens=500))
budget = keys.GetBudget(ks.GetBudgetRequest(key_id='self'), metadata=(('authorization', 'Bearer ' + key.secret),))
check('a hard budget pays for both and holds nothing more', (budget.spent_nano_usd, budget.held_nano_usd), (events[-1].completed.usage.cost_nano_usd, 0))
g.stop()
check.end()
