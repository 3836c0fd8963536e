"""LiteLLM's client through the gateway, as OpenAI's and as Anthropic's client: completion, stream, tools, structured output,
vectors, errors."""
import json, logging, os
os.environ |= {'LITELLM_LOCAL_MODEL_COST_MAP': 'True', 'LITELLM_TELEMETRY': 'False'}       # asks nobody for a price list
import litellm, pydantic
litellm.suppress_debug_info = True
logging.getLogger('LiteLLM').setLevel(logging.ERROR)            # its own prices are of no interest here
from gateway import ADMIN, Checks, Gateway, Upstream, providers
from responses_upstream import handler

MODELS = {'openai': 'openai/gpt-4o', 'anthropic': 'anthropic/claude-sonnet-4-5', 'gemini': 'google/gemini-2.5-flash'}
TOOLS = [{'type': 'function', 'function': {'name': 'get_weather', 'description': 'The weather of a city.', 'parameters': {'type': 'object', 'properties': {'city': {'type': 'string'}}, 'required': ['city']}}}]
check = Checks()


class Weather(pydantic.BaseModel):
    city: str
    degrees: int


up = Upstream(handler)
with Gateway('[engine]\nfailure_rest_ms = 0\n' + providers(up.port)) as g:
    said = [{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': 'Hello'}]
    for dialect, model in MODELS.items():
        for client, at in (('openai', {'model': 'openai/' + model, 'api_base': g.url + '/v1'}), ('anthropic', {'model': 'anthropic/' + model, 'api_base': g.url, 'max_tokens': 100})):
            what = f'{client} to {dialect}'
            ask = lambda messages=said, at=at, **more: litellm.completion(**at, api_key=ADMIN, messages=messages, num_retries=0, max_retries=0, **more)
            a = ask()
            check(f'{what}: text', (a.choices[0].message.content, a.choices[0].finish_reason), (f'Grüezi from {dialect}', 'stop'))
            check(f'{what}: usage F4', (a.usage.prompt_tokens, a.usage.completion_tokens, a.usage.prompt_tokens_details.cached_tokens), (11, 7, 4))
            chunks = list(ask(stream=True, stream_options={'include_usage': True}))
            check(f'{what}: stream', ''.join(c.choices[0].delta.content or '' for c in chunks if c.choices), f'Grüezi from {dialect}')
            usage = [c.usage for c in chunks if getattr(c, 'usage', None)][-1]
            check(f'{what}: A1 the stream counts the same', (usage.prompt_tokens, usage.completion_tokens), (11, 7))
            a = ask(tools=TOOLS)
            call = a.choices[0].message.tool_calls[0]
            check(f'{what}: a call T5', (a.choices[0].finish_reason, call.function.name, json.loads(call.function.arguments)), ('tool_calls', 'get_weather', {'city': 'Zürich'}))
            rebuilt = litellm.stream_chunk_builder(list(ask(tools=TOOLS, stream=True)))
            check(f'{what}: T6 a call, streamed', [(c.function.name, json.loads(c.function.arguments)) for c in rebuilt.choices[0].message.tool_calls], [('get_weather', {'city': 'Zürich'})])
            turn = [*said, a.choices[0].message.model_dump(exclude_none=True), {'role': 'tool', 'tool_call_id': call.id, 'content': '7'}]
            check(f'{what}: round trip of a tool', ask(turn, tools=TOOLS).choices[0].message.content, f'Grüezi from {dialect}')
    for model in MODELS.values():
        a = litellm.completion(model='openai/' + model, api_base=g.url + '/v1', api_key=ADMIN, messages=said, response_format=Weather, max_retries=0)
        check(f'{model}: structured output', Weather.model_validate_json(a.choices[0].message.content), Weather(city='Zürich', degrees=7))
    a = litellm.responses(model='openai/openai/gpt-4o', api_base=g.url + '/v1', api_key=ADMIN, input='Hello')
    check('Responses', [p.text for i in a.output if i.type == 'message' for p in i.content], ['Grüezi from responses'])
    vectors = litellm.embedding(model='openai/sandbox/embedding', api_base=g.url + '/v1', api_key=ADMIN, input=['a', 'b c'], encoding_format='float')
    check('vectors', [len(d['embedding']) for d in vectors.data], [256, 256])
    for at in ({'model': 'openai/openai/x-429', 'api_base': g.url + '/v1'}, {'model': 'anthropic/anthropic/x-429', 'api_base': g.url, 'max_tokens': 9}):
        try: litellm.completion(**at, api_key=ADMIN, messages=said, max_retries=0, num_retries=0); check('429 is an error', False)
        except litellm.RateLimitError as e: check(f'{at["model"]}: 429 is told', e.status_code, 429)
    try: list(litellm.completion(model='openai/sandbox/break-mid-stream', api_base=g.url + '/v1', api_key=ADMIN, messages=said, stream=True, max_retries=0)); check('F3 a broken stream is an error', False)
    except litellm.exceptions.MidStreamFallbackError as e: check('F3 a broken stream is an error', 'broke off' in str(e))
check.end()
