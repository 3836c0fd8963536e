"""The official Anthropic client for Python against upstreams of three dialects: messages, streams, tools, thinking, counts, errors, retries."""
import asyncio, json
import anthropic
import dialects
from gateway import ADMIN, Checks, Gateway, Upstream, providers

TOOLS = [{'name': 'get_weather', 'description': 'The weather.', 'input_schema': {'type': 'object', 'properties': {'city': {'type': 'string'}}, 'required': ['city']}}]
MODELS = {'openai': 'openai/gpt-4o', 'anthropic': 'anthropic/claude-sonnet-4-5', 'gemini': 'google/gemini-2.5-flash'}
check = Checks()
failures = []


def thinking(body):
    """Claude thinks, in blocks that have to come back as they were."""
    blocks = [{'type': 'thinking', 'thinking': 'Hm.', 'signature': 'EqQBxx'}, {'type': 'redacted_thinking', 'data': 'EmwK'}, {'type': 'text', 'text': 'Done.'}]
    usage = {'input_tokens': 9, 'output_tokens': 20, 'cache_creation_input_tokens': 100, 'cache_creation': {'ephemeral_5m_input_tokens': 0, 'ephemeral_1h_input_tokens': 100}, 'new_count': 1.5}
    whole = {'id': 'msg_t', 'type': 'message', 'role': 'assistant', 'model': 'c', 'content': blocks, 'stop_reason': 'end_turn', 'stop_sequence': None, 'usage': usage, 'new_member': 12345678901234567890}
    if not body.get('stream'): return json.dumps(whole).encode(), 'application/json'
    parts = [{'type': 'message_start', 'message': whole | {'content': [], 'stop_reason': None, 'usage': usage | {'output_tokens': 1}}}]
    for at, block in enumerate(blocks):
        empty = {'thinking': {'thinking': '', 'signature': ''}, 'text': {'text': ''}}.get(block['type'], {})
        parts.append({'type': 'content_block_start', 'index': at, 'content_block': block | empty})
        if block['type'] == 'thinking': parts += [{'type': 'content_block_delta', 'index': at, 'delta': d} for d in ({'type': 'thinking_delta', 'thinking': 'Hm.'}, {'type': 'signature_delta', 'signature': 'EqQBxx'})]
        if block['type'] == 'text': parts.append({'type': 'content_block_delta', 'index': at, 'delta': {'type': 'text_delta', 'text': 'Done.'}})
        parts.append({'type': 'content_block_stop', 'index': at})
    return dialects.sse(parts + [{'type': 'message_delta', 'delta': {'stop_reason': 'end_turn', 'stop_sequence': None}, 'usage': {'output_tokens': 20}}, {'type': 'message_stop'}], named=True), 'text/event-stream'


async def handler(upstream, request, body):
    web = upstream.web
    if request.path.endswith('/count_tokens'): return web.json_response({'input_tokens': 2095})
    if request.path.endswith(':countTokens'): return web.json_response({'totalTokens': 31})
    model = (body or {}).get('model', '')
    if model == 'flaky' and len(failures) < 1:
        failures.append(1)
        return web.json_response({'error': {'message': 'x'}}, status=500)
    if model == 'claude-thinks':
        data, kind = thinking(body)
        return web.Response(body=data, content_type=kind)
    if model == 'claude-error-late':
        data = dialects.sse([{'type': 'message_start', 'message': {'id': 'm', 'type': 'message', 'role': 'assistant', 'model': 'c', 'content': [], 'usage': {'input_tokens': 1, 'output_tokens': 1}}}, {'type': 'content_block_start', 'index': 0, 'content_block': {'type': 'text', 'text': ''}},
                             {'type': 'content_block_delta', 'index': 0, 'delta': {'type': 'text_delta', 'text': 'half'}}, {'type': 'error', 'error': {'type': 'overloaded_error', 'message': 'Overloaded'}}], named=True)
        return web.Response(body=data, content_type='text/event-stream')
    return await dialects.handler(upstream, request, body)


up = Upstream(handler)
with Gateway(providers(up.port)) as g:
    client = anthropic.Anthropic(base_url=g.url, api_key=ADMIN, max_retries=0)
    ask = dict(max_tokens=100, system='Be brief.', messages=[{'role': 'user', 'content': 'Hello'}])
    # First of all: a target that failed rests, and goes last.
    a = client.messages.create(model='openai/x-500', extra_body={'models': ['anthropic/x-529', 'google/x-429', 'openai/gpt-4o']}, **ask)
    check('R4 the fourth target answers', (a.content[0].text, a.headworks['attempts']), ('Grüezi from openai', 4))
    for dialect, model in MODELS.items():
        a = client.messages.create(model=model, **ask)
        check(f'{dialect}: text', (a.content[0].text, a.stop_reason, a.role, a.type), (f'Grüezi from {dialect}', 'end_turn', 'assistant', 'message'))
        check(f'{dialect}: served host\'s own name', a.model.startswith(model.split('/')[1]) and '/' not in a.model)
        counts = (a.usage.input_tokens + a.usage.cache_read_input_tokens + (a.usage.cache_creation_input_tokens or 0), a.usage.cache_read_input_tokens, a.usage.output_tokens)
        check(f'{dialect}: usage A3', counts, (11, 4, 7))
        check(f'{dialect}: cost', a.usage.cost > 0 and a.headworks['cost_nano_usd'] > 0)
        text = ''
        with client.messages.stream(model=model, **ask) as s:
            for t in s.text_stream: text += t
            final = s.get_final_message()
        check(f'{dialect}: stream', (text, final.stop_reason, final.id.startswith('msg_')), (f'Grüezi from {dialect}', 'end_turn', True))
        check(f'{dialect}: A1 the stream counts the same', (final.usage.input_tokens, final.usage.output_tokens), (a.usage.input_tokens, a.usage.output_tokens))
        events = list(client.messages.create(model=model, stream=True, **ask))
        check(f'{dialect}: order', [e.type for e in events if e.type not in ('ping', 'content_block_delta')], ['message_start', 'content_block_start', 'content_block_stop', 'message_delta', 'message_stop'])
        check(f'{dialect}: A13 input at the start', events[0].message.usage.input_tokens > 0)
        check(f'{dialect}: A1 the stream costs the same', (events[-2].usage.cost, events[-1].headworks['cost_nano_usd']), (a.usage.cost, a.headworks['cost_nano_usd']))
        # tools: whole, streamed, and the turn after
        a = client.messages.create(model=model, tools=TOOLS, tool_choice={'type': 'any'}, **ask)
        call = a.content[0]
        check(f'{dialect}: tool call T5', (a.stop_reason, call.type, call.name, call.input), ('tool_use', 'tool_use', 'get_weather', {'city': 'Zürich'}))
        with client.messages.stream(model=model, tools=TOOLS, **ask) as s:
            pieces = ''.join(e.delta.partial_json for e in s if e.type == 'content_block_delta' and e.delta.type == 'input_json_delta')
            check(f'{dialect}: T6 streamed arguments', (json.loads(pieces), s.get_final_message().content[0].input), (call.input, call.input))
        turn = ask['messages'] + [{'role': 'assistant', 'content': a.content}, {'role': 'user', 'content': [{'type': 'tool_result', 'tool_use_id': call.id, 'content': '7 degrees'}]}]
        b = client.messages.create(**ask | {'model': model, 'messages': turn, 'tools': TOOLS})
        check(f'{dialect}: the turn after a tool', b.content[0].text, f'Grüezi from {dialect}')
        if dialect == 'gemini':
            sent = json.dumps(up.seen[-1][2])
            check('T1 the signature comes back to Gemini', 'c2lnbmVk' in sent)
            # T3: the same conversation at another host.
            b = client.messages.create(**ask | {'model': MODELS['anthropic'], 'messages': turn, 'tools': TOOLS})
            check('T3 and goes to nobody else', (b.content[0].text, 'c2lnbmVk' in json.dumps(up.seen[-1][2])), ('Grüezi from anthropic', False))
        n = client.messages.count_tokens(model=model, messages=ask['messages'], tools=TOOLS, system='Be brief.')
        check(f'{dialect}: count_tokens', (n.input_tokens, n.headworks['estimated']) if dialect != 'openai' else (n.input_tokens > 20, n.headworks['estimated']), {'anthropic': (2095, False), 'gemini': (31, False), 'openai': (True, True)}[dialect])
        for suffix, kind in (('400', anthropic.BadRequestError), ('401', anthropic.InternalServerError), ('429', anthropic.RateLimitError), ('500', anthropic.InternalServerError), ('529', anthropic.InternalServerError)):
            for stream in (False, True):
                try: list(client.messages.create(model=f'{model.split("/")[0]}/x-{suffix}', stream=stream, **ask)); check(f'{dialect} {suffix} is an error', False)
                except anthropic.APIStatusError as e:
                    check(f'{dialect} {suffix}', (isinstance(e, kind), e.body['type'], bool(e.request_id), 'sk-fake' in str(e.body)), (True, 'error', True, False))
                    check(f'{dialect} {suffix}: F13 retry-after', e.response.headers.get('retry-after') == '1', suffix == '429')
                    check(f'{dialect} {suffix}: no retry helps', e.response.headers['x-should-retry'], 'false')
                    if suffix == '529': check(f'{dialect}: overloaded where it is true', (e.status_code, e.body['error']['type']), (529, 'overloaded_error'))
    # the same dialect: what is unknown survives, both ways
    def mixed(**more): return client.beta.messages.create(model='anthropic/claude-thinks', thinking={'type': 'enabled', 'budget_tokens': 2048}, betas=['a-2026-01-01', 'b-2'], **ask | {'max_tokens': 4000} | more)
    a = mixed(extra_body={'new_option': {'n': 1.5, 'big': 12345678901234567890}, 'headworks': {'tags': ['t'], 'auto_cache': False}, 'context_management': {'edits': []}}, metadata={'user_id': '{"account":"x"}'})
    path, headers, body = up.seen[-1]
    headers = {k.lower(): v for k, v in headers.items()}
    check('T12 the body is the client\'s own', {k: body.get(k) for k in ('new_option', 'context_management', 'metadata', 'headworks', 'model', 'thinking')},
          {'new_option': {'n': 1.5, 'big': 12345678901234567890}, 'context_management': {'edits': []}, 'metadata': {'user_id': '{"account":"x"}'}, 'headworks': None, 'model': 'claude-thinks', 'thinking': {'type': 'enabled', 'budget_tokens': 2048}})
    check('betas are passed on', (headers['anthropic-beta'], headers['x-api-key'], headers['anthropic-version']), ('a-2026-01-01,b-2', 'sk-fake-upstream-key', '2023-06-01'))
    check('T12 the answer too', (a.new_member, a.usage.new_count, [b.type for b in a.content]), (12345678901234567890, 1.5, ['thinking', 'redacted_thinking', 'text']))
    with client.messages.stream(model='anthropic/claude-thinks', thinking={'type': 'enabled', 'budget_tokens': 2048}, **ask | {'max_tokens': 4000}) as s: final = s.get_final_message()
    check('T2 streamed thinking', (final.content[0].thinking, final.content[0].signature, final.content[1].data, final.content[2].text), ('Hm.', 'EqQBxx', 'EmwK', 'Done.'))
    check('A4 writes for an hour', (final.usage.cache_creation_input_tokens, final.usage.cache_creation.ephemeral_1h_input_tokens), (100, 100))
    mixed(messages=ask['messages'] + [{'role': 'assistant', 'content': final.content}, {'role': 'user', 'content': 'and?'}])
    check('T2 replayed as it was', up.seen[-1][2]['messages'][1]['content'][:2], [{'type': 'thinking', 'thinking': 'Hm.', 'signature': 'EqQBxx'}, {'type': 'redacted_thinking', 'data': 'EmwK'}])
    # caching
    long = 'word ' * 3000
    for auto, marks in ((True, 2), (False, 0), (None, 0)):
        client.messages.create(model=MODELS['anthropic'], extra_body={'headworks': {'auto_cache': auto, 'cache_ttl': '1h'}}, **ask | {'system': long})
        sent = json.dumps(up.seen[-1][2])
        check(f'T10 auto_cache {auto}', (sent.count('"cache_control"'), sent.count('"ttl": "1h"')), (marks, marks))
    client.messages.create(model=MODELS['openai'], extra_body={'headworks': {'auto_cache': True}}, cache_control={'type': 'ephemeral'}, **ask | {'system': long})
    check('nothing where a host has no marks', 'cache_control' in json.dumps(up.seen[-1][2]), False)
    # errors in the stream, retries
    for model in ('anthropic/claude-error-late', 'sandbox/break-mid-stream'):
        seen = []
        try:
            for e in client.messages.create(model=model, stream=True, **ask): seen.append(e.type)
            check(f'F3 {model} is an error', False)
        except anthropic.APIStatusError as e: check(f'F3 {model}', (e.body['type'], 'content_block_delta' in seen, 'message_stop' in seen), ('error', True, False))
    again = anthropic.Anthropic(base_url=g.url, api_key=ADMIN, max_retries=2)
    try: again.messages.create(model='openai/x-500', **ask)
    except anthropic.InternalServerError: pass
    before = len(up.seen)
    try: again.messages.create(model='anthropic/x-400', **ask)
    except anthropic.BadRequestError as e: check('a refused request is not sent again', (len(up.seen) - before, 'fake 400' in e.message), (1, True))
    try: anthropic.Anthropic(base_url=g.url, api_key='wrong', max_retries=0).messages.create(model=MODELS['openai'], **ask); check('wrong key', False)
    except anthropic.AuthenticationError as e: check('wrong key', e.body['error']['type'], 'authentication_error')
    bearer = anthropic.Anthropic(base_url=g.url, auth_token=ADMIN, api_key=None, max_retries=0)
    check('a bearer token', bearer.messages.create(model='sandbox/echo', **ask).content[0].text, 'Hello')
    try: client.messages.create(model='nobody/x', **ask)
    except anthropic.NotFoundError as e: check('unknown model', e.body['error']['type'], 'not_found_error')
    try: client.messages.create(model='sandbox/echo', max_tokens=5, messages=[{'role': 'user', 'content': [{'type': 'image', 'source': {'type': 'base64', 'media_type': 'image/png', 'data': '?'}}]}])
    except anthropic.BadRequestError as e: check('what is wrong is named', 'messages[0].content[0].source.data' in e.message)
    raw = client.messages.with_raw_response.create(model='sandbox/echo', **ask)
    check('headers', (raw.headers['request-id'].startswith('req_'), raw.headers['x-headworks-model'], raw.headers['x-headworks-cost-usd'] > '0'), (True, 'sandbox/echo', True))
    s, h, b = g.call('/v1/messages', {'model': 'sandbox/echo', 'max_tokens': 5, 'messages': [{'role': 'user', 'content': 'twice'}]}, headers={'Idempotency-Key': 'm1'})
    s2, h2, b2 = g.call('/v1/messages', {'model': 'sandbox/echo', 'max_tokens': 5, 'messages': [{'role': 'user', 'content': 'twice'}]}, headers={'Idempotency-Key': 'm1'})
    check('a repeat gets the recorded outcome', (s, s2, h['x-headworks-request-id'] == h2['x-headworks-request-id'], b['content'] == b2['content']), (200, 200, True, True))
    check('HEAD /', g.call('/', method='HEAD')[0], 200)
    check('another method', (g.call('/v1/messages')[0], g.call('/v1/messages')[2]['type']), (405, 'error'))
    # As Claude Code asks: ?beta=true, a list of system blocks, tools without a type, a stream.
    s, h, text = g.call('/v1/messages?beta=true', {'model': MODELS['openai'], 'max_tokens': 32000, 'stream': True, 'metadata': {'user_id': '{"device_id":"d"}'},
        'system': [{'type': 'text', 'text': 'x-anthropic-billing-header: cc_version=2.1'}, {'type': 'text', 'text': 'You help.', 'cache_control': {'type': 'ephemeral'}}], 'thinking': {'type': 'adaptive'},
        'messages': [{'role': 'user', 'content': [{'type': 'text', 'text': 'Hello', 'cache_control': {'type': 'ephemeral'}}]}], 'tools': TOOLS, 'context_management': {'edits': []}}, key=None, headers={'x-api-key': ADMIN, 'anthropic-beta': 'claude-code-1,x-2'})
    check('as a coding agent asks', (s, text.startswith('event: message_start\ndata: '), 'event: message_stop' in text, h['content-type']), (200, True, True, 'text/event-stream'))

    async def both():
        a = anthropic.AsyncAnthropic(base_url=g.url, api_key=ADMIN, max_retries=0)
        async with a.messages.stream(model=MODELS['gemini'], **ask) as s: return await s.get_final_text()
    check('the asynchronous client', asyncio.run(both()), 'Grüezi from gemini')
check.end()
