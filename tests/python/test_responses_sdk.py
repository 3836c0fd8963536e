"""The official OpenAI client for Python at /v1/responses, against upstreams of four dialects: create, stream, parse, tools,
previous_response_id, stored responses, errors. Answers and events are held against OpenAI's own schemas."""
import json
import openai, pydantic
from gateway import ADMIN, Checks, Gateway, Upstream, providers
from responses_upstream import USAGE, handler
from responses_wire import order, schemas, sse, unfit

TOOLS = [{'type': 'function', 'name': 'get_weather', 'parameters': {'type': 'object', 'properties': {'city': {'type': 'string'}}, 'required': ['city'], 'additionalProperties': False}, 'strict': True}]
MODELS = {'responses': 'own/gpt-5', 'openai': 'chat/gpt-4o', 'anthropic': 'anthropic/claude-sonnet-4-5', 'gemini': 'google/gemini-2.5-flash'}
check = Checks()


class Weather(pydantic.BaseModel):
    city: str
    degrees: int


up = Upstream(handler)
config = providers(up.port) + f'[providers.own]\ndialect = "openai-responses"\nbase_url = "http://127.0.0.1:{up.port}/v1"\napi_key_env = "FAKE_KEY"\n' \
    f'[providers.chat]\ndialect = "openai"\nbase_url = "http://127.0.0.1:{up.port}/v1"\napi_key_env = "FAKE_KEY"\n'
with Gateway(config) as g:
    client = openai.OpenAI(base_url=g.url + '/v1', api_key=ADMIN, max_retries=0)
    whole, each = schemas() or (None, None)
    for dialect, model in MODELS.items():
        a = client.responses.create(model=model, input='Hello', instructions='Be brief.')
        check(f'{dialect}: text', a.output_text, f'Grüezi from {dialect}')
        check(f'{dialect}: served host\'s own name', a.model.startswith(model.split('/')[1]) and '/' not in a.model)
        check(f'{dialect}: usage F4', (a.usage.input_tokens, a.usage.output_tokens, a.usage.input_tokens_details.cached_tokens), (11, 7, 4))
        check(f'{dialect}: gateway facts', a.model_extra['headworks']['model'], model)
        check(f'{dialect}: status and storage', (a.status, a.store), ('completed', True))
        raw = g.call('/v1/responses', {'model': model, 'input': 'Hello'})[2]
        if whole: check(f'{dialect}: fits the schema', unfit(raw, whole), None)
        for tools in (None, TOOLS):
            status, head, text = g.call('/v1/responses', {'model': model, 'input': 'Hello', 'stream': True} | ({'tools': tools} if tools else {}))
            events = list(sse(text.encode() if isinstance(text, str) else json.dumps(text).encode()))
            check(f'{dialect}: order of events', order(events), None)
            if each: check(f'{dialect}: events fit their schemas', [w for _, e in events if (w := unfit(e, each[e['type']]))], [])
        text, kinds = '', []
        with client.responses.stream(model=model, input='Hello') as stream:
            for event in stream:
                kinds.append(event.type)
                if event.type == 'response.output_text.delta': text += event.delta
            final = stream.get_final_response()
        check(f'{dialect}: stream', (text, final.output_text, kinds[0], kinds[-1], kinds.count('response.created')), (a.output_text, a.output_text, 'response.created', 'response.completed', 1))
        check(f'{dialect}: A1 the stream costs the same', (final.usage.input_tokens, final.usage.output_tokens, final.usage.model_extra.get('cost')), (11, 7, a.usage.model_extra.get('cost')))
        p = client.responses.parse(model=model, input='Hello', text_format=Weather)
        check(f'{dialect}: structured output', p.output_parsed, Weather(city='Zürich', degrees=7))
        t = client.responses.create(model=model, input='Weather?', tools=TOOLS)
        call = next(i for i in t.output if i.type == 'function_call')
        check(f'{dialect}: tool call', (call.name, json.loads(call.arguments)), ('get_weather', {'city': 'Zürich'}))
        args = ''.join(e.delta for e in client.responses.create(model=model, input='Weather?', tools=TOOLS, stream=True) if e.type == 'response.function_call_arguments.delta')
        check(f'{dialect}: T6 streamed arguments', json.loads(args), {'city': 'Zürich'})
        result = {'type': 'function_call_output', 'call_id': call.call_id, 'output': '{"degrees": 7}'}
        b = client.responses.create(model=model, input=[result], tools=TOOLS, previous_response_id=t.id)
        check(f'{dialect}: previous_response_id', (b.output_text, b.previous_response_id), (f'Grüezi from {dialect}', t.id))
        c = client.responses.create(model=model, input=[{'role': 'user', 'content': 'Weather?'}, *[i.model_dump(exclude_none=True) for i in t.output], result], tools=TOOLS)
        check(f'{dialect}: the same, sent whole', c.output_text, f'Grüezi from {dialect}')
        if dialect == 'responses':
            sent = [x[2] for x in up.seen if x[0].endswith('/responses')][-2]
            check('the upstream gets the conversation and keeps nothing', ([i.get('type') for i in sent['input']], sent['store'], 'previous_response_id' in sent),
                  (['message', 'reasoning', 'function_call', 'function_call_output'], False, False))
            check('T12 unknown fields of the answer survive', a.model_extra['x_extra'], {'big': 12345678901234567890})
        if dialect == 'gemini':
            sent = next(x[2] for x in reversed(up.seen) if '/v1beta/' in x[0])['contents'][1]['parts'][0]
            check('T1 the signature is replayed', sent.get('thoughtSignature'), 'c2lnbmVk')
        # Another target goes on from what this one said.
        other = client.responses.create(model='sandbox/echo', input='and now?', previous_response_id=b.id)
        check(f'{dialect}: any target goes on', other.output_text, 'and now?')
        reference = [i for i in b.output if i.type == 'message'][0].id
        check(f'{dialect}: item_reference', client.responses.create(model=model, input=[{'type': 'item_reference', 'id': reference}, {'role': 'user', 'content': 'go on'}]).output_text, f'Grüezi from {dialect}')
        items = client.responses.input_items.list(b.id, order='asc')
        check(f'{dialect}: input_items', [i.type for i in items][0] == 'message' and items.data[-1].type == 'function_call_output')
        check(f'{dialect}: retrieve', client.responses.retrieve(b.id).output_text, b.output_text)
        client.responses.delete(b.id)
        for gone in (lambda: client.responses.retrieve(b.id), lambda: client.responses.delete(b.id)):
            try: gone(); check('a deleted response is gone', False)
            except openai.NotFoundError: check('a deleted response is gone', True)
        try: client.responses.create(model=model, input='x', previous_response_id=b.id); check('nobody goes on from it', False)
        except openai.BadRequestError as e: check('nobody goes on from it', e.body['param'], 'previous_response_id')
        n = client.responses.create(model=model, input='x', store=False)
        check(f'{dialect}: store false', n.store, False)
        try: client.responses.retrieve(n.id); check('store false keeps nothing', False)
        except openai.NotFoundError: check('store false keeps nothing', True)
    mine = client.responses.create(model='sandbox/echo', input='secret')
    key = g.call('/v1/responses/' + mine.id, key='wrong')[0]
    check('a wrong key reads nothing', key, 401)
    for name, message in (('background', True), ('conversation', 'conv_1')):
        status, _, body = g.call('/v1/responses', {'model': 'sandbox/echo', 'input': 'x', name: message})
        check(f'{name} is refused by name', (status, body['error']['param']), (400, name))
    status, _, body = g.call('/v1/responses', {'model': 'sandbox/echo', 'input': [{'type': 'function_call', 'call_id': 'c', 'name': 'f', 'arguments': '{broken'}]})
    check('T14 arguments', (status, body['error']['param']), (400, 'input[0].arguments'))
    try: client.responses.create(model='own/x-429', input='x'); check('429 is an error', False)
    except openai.RateLimitError as e: check('F13 retry-after', e.response.headers.get('retry-after'), '1')
    try: list(client.responses.create(model='own/x-failed', input='x', stream=True)); check('R1 an error before content is a status', False)
    except openai.APIStatusError as e: check('R1 an error before content is a status', e.status_code, 503)
    a = client.responses.create(model='own/x-failed', input='x', stream=True, extra_body={'models': ['sandbox/echo']})
    kinds = [e.type for e in a]
    check('R1 the next target answers, one start', (kinds[0], kinds[-1], kinds.count('response.created')), ('response.created', 'response.completed', 1))
    seen = []
    try:
        for event in client.responses.create(model='sandbox/break-mid-stream', input='one two three four five six', stream=True): seen.append(event.type)
        check('R2 a broken stream is an error', False)
    except openai.APIError as e: check('R2 a broken stream is an error', 'broke off' in str(e) and 'response.completed' not in seen)
    for model, what in (('tools', 'function_call'), ('reasoning', 'reasoning'), ('json', 'message')):
        a = client.responses.create(model='sandbox/' + model, input='hi', tools=TOOLS if model == 'tools' else openai.NOT_GIVEN)
        check(f'sandbox/{model}', any(i.type == what for i in a.output))
    cut = client.responses.create(model='sandbox/long', input='500', max_output_tokens=20)
    check('incomplete says why', (cut.status, cut.incomplete_details.reason), ('incomplete', 'max_output_tokens'))
    port = g
    port.stop(); port.start()
    check('what is kept outlives a restart', client.responses.retrieve(mine.id).output_text, 'secret')
check.end()
