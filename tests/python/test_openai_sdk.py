"""The official OpenAI client for Python against upstreams of three dialects: chat, stream, tools, structured output, errors."""
import json, time
import openai, pydantic
from dialects import handler
from gateway import ADMIN, Checks, Gateway, Upstream, providers

TOOLS = [{'type': 'function', 'function': {'name': 'get_weather', 'parameters': {'type': 'object', 'properties': {'city': {'type': 'string'}}, 'required': ['city']}}}]
MODELS = {'openai': 'openai/gpt-4o', 'anthropic': 'anthropic/claude-sonnet-4-5', 'gemini': 'google/gemini-2.5-flash'}
check = Checks()


class Weather(pydantic.BaseModel):
    city: str
    degrees: int


up = Upstream(handler)
# Targets that failed in one check would rest in the next.
with Gateway('[engine]\nfailure_rest_ms = 0\n' + providers(up.port)) as g:
    client = openai.OpenAI(base_url=g.url + '/v1', api_key=ADMIN, max_retries=0)
    ask = [{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': 'Hello'}]
    for dialect, model in MODELS.items():
        a = client.chat.completions.create(model=model, messages=ask)
        check(f'{dialect}: text', a.choices[0].message.content, f'Grüezi from {dialect}')
        check(f'{dialect}: served host\'s own name', a.model.startswith(model.split('/')[1]) and '/' not in a.model)
        check(f'{dialect}: usage F4', (a.usage.prompt_tokens, a.usage.completion_tokens, a.usage.prompt_tokens_details.cached_tokens), (11, 7, 4))
        check(f'{dialect}: cost is there', a.usage.cost > 0)
        cost = a.usage.cost
        text, usage, roles, finish = '', None, 0, None
        for c in client.chat.completions.create(model=model, messages=ask, stream=True, stream_options={'include_usage': True}):
            usage = c.usage or usage
            for choice in c.choices: text += choice.delta.content or ''; roles += choice.delta.role == 'assistant'; finish = choice.finish_reason or finish
        check(f'{dialect}: stream', (text, roles, finish), (f'Grüezi from {dialect}', 1, 'stop'))
        check(f'{dialect}: A1 the stream costs the same', (usage.prompt_tokens, usage.completion_tokens, usage.cost), (11, 7, cost))
        chunks = list(client.chat.completions.create(model=model, messages=ask, stream=True))
        check(f'{dialect}: A14 no usage unless asked', all(c.usage is None and c.choices for c in chunks))
        a = client.chat.completions.create(model=model, messages=ask, tools=TOOLS)
        call = a.choices[0].message.tool_calls[0]
        check(f'{dialect}: tool call T5', (a.choices[0].finish_reason, call.function.name, json.loads(call.function.arguments)), ('tool_calls', 'get_weather', {'city': 'Zürich'}))
        args, index = '', set()
        for c in client.chat.completions.create(model=model, messages=ask, tools=TOOLS, stream=True):
            for choice in c.choices:
                for t in choice.delta.tool_calls or []: args += t.function.arguments or ''; index.add(t.index)
        check(f'{dialect}: T6 streamed arguments', (json.loads(args), index), ({'city': 'Zürich'}, {0}))
        turn = ask + [a.choices[0].message.model_dump(exclude_none=True), {'role': 'tool', 'tool_call_id': call.id, 'content': '{"degrees": 7}'}]
        b = client.chat.completions.create(model=model, messages=turn, tools=TOOLS)
        check(f'{dialect}: round trip of a tool', b.choices[0].message.content, f'Grüezi from {dialect}')
        if dialect == 'gemini':
            sent = up.seen[-1][2]['contents'][1]['parts'][0]
            check('T1 the signature is replayed', sent.get('thoughtSignature'), 'c2lnbmVk')
        c = client.chat.completions.parse(model=model, messages=ask, response_format=Weather)
        check(f'{dialect}: structured output', c.choices[0].message.parsed, Weather(city='Zürich', degrees=7))
    for suffix, kind, status in (('400', openai.BadRequestError, 400), ('401', openai.InternalServerError, 502), ('429', openai.RateLimitError, 429), ('500', openai.InternalServerError, 503), ('529', openai.InternalServerError, 503)):
        for provider in ('openai', 'anthropic', 'google'):
            for stream in (False, True):
                try: list(client.chat.completions.create(model=f'{provider}/x-{suffix}', messages=ask, stream=stream)); check(f'{provider} {suffix} is an error', False)
                except openai.APIStatusError as e:
                    check(f'{provider} {suffix}', (type(e), e.status_code), (kind, status))
                    check(f'{provider} {suffix}: no key in it', 'sk-fake' in str(e.body), False)
                    check(f'{provider} {suffix}: F13 retry-after', e.response.headers.get('retry-after') == '1', suffix == '429')
    time.sleep(1.2)                                            # the rest that the last 429 asked for
    a = client.chat.completions.create(model='openai/x-500', messages=ask, extra_body={'models': ['anthropic/x-529', 'google/x-429', 'openai/gpt-4o']})
    check('R4 the fourth target answers', (a.choices[0].message.content, a.model_extra['headworks']['attempts']), ('Grüezi from openai', 4))
    keys = {n.lower(): v for n, v in up.seen[-1][1].items()}
    check('the upstream was shown its key', keys['authorization'], 'Bearer sk-fake-upstream-key')
    check('routing keys are not sent on', 'models' in up.seen[-1][2], False)
    check('T12 unknown fields of the answer survive', client.chat.completions.create(model='openai/gpt-4o', messages=ask).model_extra['x_provider_extra'], {'big': 12345678901234567890})
    listed = [m.id for m in client.models.list()]
    check('models', 'openai/gpt-4o' in listed and 'sandbox/echo' in listed)
check.end()
