"""OpenAI's public OpenAPI document validates our answers: chat completions whole and in chunks, vectors, models, and errors at
each of its paths, whoever serves. What the gateway adds stands beside what the document asks for."""
import json, sys
from gateway import ADMIN, Checks, Gateway, Upstream, providers
from openapi import document, unfit, validator
from responses_upstream import handler
from responses_wire import sse

if not document(): print('SKIPPED: shared/data/openapi/openai.json is not there (HEADWORKS_SHARED_DATA)'); sys.exit(77)
MODELS = {'openai': 'openai/gpt-4o', 'anthropic': 'anthropic/claude-sonnet-4-5', 'gemini': 'google/gemini-2.5-flash', 'responses': 'own/gpt-5',
          'sandbox': 'sandbox/echo', 'reasoning': 'sandbox/reasoning', 'tools': 'sandbox/tools', 'json': 'sandbox/json'}
TOOLS = [{'type': 'function', 'function': {'name': 'get_weather', 'parameters': {'type': 'object', 'properties': {'city': {'type': 'string'}}, 'required': ['city']}}}]
FORMAT = {'type': 'json_schema', 'json_schema': {'name': 'w', 'schema': {'type': 'object', 'properties': {'city': {'type': 'string'}}, 'required': ['city']}}}
check = Checks()
fits = lambda what, value, name: check(f'{what} is {name}', unfit(value, validator(name)), None)


def stream(g, path, body):
    status, _, text = g.call(path, body | {'stream': True})
    return status, list(sse(text.encode())) if isinstance(text, str) else text


up = Upstream(handler)
own = f'[providers.own]\ndialect = "openai-responses"\nbase_url = "http://127.0.0.1:{up.port}/v1"\napi_key_env = "FAKE_KEY"\n'
with Gateway('[server]\nlisten = "127.0.0.1:@PORT@"\nmax_body_bytes = 1048576\n[store]\nurl = "sled:@DATA@"\n[engine]\nfailure_rest_ms = 0\n' + providers(up.port) + own) as g:
    said = {'messages': [{'role': 'user', 'content': 'Hello'}]}
    for what, model in MODELS.items():
        for more, kind in (({}, 'text'), ({'tools': TOOLS}, 'a call'), ({'response_format': FORMAT}, 'an object'), ({'stream_options': {'include_usage': True}}, 'with usage')):
            body = said | {'model': model} | more
            status, _, answer = g.call('/v1/chat/completions', {k: v for k, v in body.items() if k != 'stream_options'})
            check(f'{what}, {kind}: answered', status, 200)
            fits(f'{what}, {kind}', answer, 'CreateChatCompletionResponse')
            status, chunks = stream(g, '/v1/chat/completions', body)
            check(f'{what}, {kind}: streamed', (status, len(chunks) > 1), (200, True))
            for _, chunk in chunks: fits(f'{what}, {kind}: {json.dumps(chunk)[:200]}', chunk, 'CreateChatCompletionStreamResponse')
            check(f'{what}, {kind}: usage', [c['usage']['total_tokens'] > 0 for _, c in chunks if c.get('usage')], [True] if kind == 'with usage' else [])
    for ask in ({'input': 'a'}, {'input': ['a', 'b']}, {'input': [[1, 2], [3]], 'dimensions': 12}):
        status, _, answer = g.call('/v1/embeddings', {'model': 'sandbox/embedding', 'encoding_format': 'float'} | ask)
        check(f'vectors of {ask}: answered', status, 200)
        fits(f'vectors of {ask}', answer, 'CreateEmbeddingResponse')
    _, _, models = g.call('/v1/models')
    check('models', len(models['data']) > 20)
    fits('models', models, 'ListModelsResponse')
    fits('a model', g.call('/v1/models/openai/gpt-4o')[2], 'Model')
    # Errors, each at the paths where it can come.
    path, ask = '/v1/chat/completions', said | {'model': 'openai/gpt-4o'}
    for status, what, answer in (
            (400, 'not JSON', g.call(path, raw=b'{')), (400, 'a wrong field', g.call(path, ask | {'temperature': 'hot'})), (400, 'refused by the provider', g.call(path, said | {'model': 'openai/x-400'})),
            (401, 'a wrong key', g.call(path, ask, key='wrong')), (401, 'a wrong key for models', g.call('/v1/models', key='wrong')), (404, 'no such model', g.call('/v1/models/openai/none')),
            (404, 'no such model', g.call(path, said | {'model': 'nobody/none'})), (404, 'no such path', g.call('/v1/none')), (405, 'a wrong method', g.call(path)),
            (413, 'too large', g.call(path, said | {'model': 'openai/gpt-4o', 'user': 'x' * (2 << 20)})), (429, 'the provider limits', g.call(path, said | {'model': 'openai/x-429'})),
            (502, 'a wrong key of ours', g.call(path, said | {'model': 'openai/x-401'})), (503, 'the provider fails', g.call(path, said | {'model': 'openai/x-500'})),
            (400, 'vectors of nothing', g.call('/v1/embeddings', {'model': 'sandbox/embedding', 'input': []})), (400, 'an answer to nothing', g.call('/v1/responses', {'model': 'sandbox/echo'})),
            (404, 'an answer that is not kept', g.call('/v1/responses/resp_none'))):
        check(f'{what}: status', answer[0], status)
        fits(f'{status} {what}', answer[2], 'ErrorResponse')
    _, chunks = stream(g, path, said | {'model': 'sandbox/break-mid-stream'})
    fits('F3 an error in a stream', chunks[-1][1], 'ErrorResponse')
check.end()
