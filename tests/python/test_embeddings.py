"""Vectors: OpenAI's SDK and LangChain at the REST door, gRPC Embed, seven hosts' forms on loopback, cut and joined, billed once."""
import base64, math, struct
import grpc, openai
from headworks.v1 import embedding_service_pb2 as es, embedding_service_pb2_grpc as esg, key_service_pb2 as ks, key_service_pb2_grpc as ksg
from gateway import ADMIN, Checks, Gateway, Upstream

check = Checks()
vector = lambda text: [len(text) / 8, 0.1, -1e-07]
pack = lambda numbers: base64.b64encode(struct.pack(f'<{len(numbers)}f', *numbers)).decode()


async def hosts(upstream, request, body):
    """Every host's form of an answer; the vector of a text begins with its length."""
    web, path = upstream.web, request.path
    if (body or {}).get('model') == 'broken': return web.json_response({'error': {'message': 'down', 'type': 'server_error'}}, status=503)
    if path.endswith('/embeddings'):
        inputs = body['input'] if isinstance(body['input'], list) and not isinstance(body['input'][0], int) else [body['input']]
        if 'half' in inputs: return web.json_response({'error': {'message': 'overloaded'}}, status=503)
        form = pack if body.get('encoding_format') == 'base64' else list
        data = [{'object': 'embedding', 'index': i, 'embedding': form(vector(t))} for i, t in enumerate(inputs)]
        if body['model'] == 'short': data = data[:-1]
        return web.json_response({'object': 'list', 'data': data[::-1], 'model': body['model'] + '-v2', 'usage': {'prompt_tokens': 7 * len(inputs), 'total_tokens': 7 * len(inputs)}})
    if path.endswith(':batchEmbedContents'):
        texts = [r['content']['parts'][0]['text'] for r in body['requests']]
        return web.json_response({'embeddings': [{'values': vector(t)} for t in texts], 'usageMetadata': {'promptTokenCount': 3 * len(texts)}})
    if path.endswith(':predict'):
        return web.json_response({'predictions': [{'embeddings': {'values': vector(i['content']), 'statistics': {'token_count': 2}}} for i in body['instances']]})
    if path.endswith('/v2/embed'):
        return web.json_response({'id': 'x', 'embeddings': {'float': [vector(t) for t in body['texts']]}, 'meta': {'billed_units': {'input_tokens': 5 * len(body['texts'])}}})
    return web.json_response({'error': {'message': 'no such path ' + path}}, status=404)


up = Upstream(hosts)
base = f'http://127.0.0.1:{up.port}'
CONFIG = ''.join(f'[providers.{name}]\nbase_url = "{base}{path}"\napi_key_env = "FAKE_KEY"\n' for name, path in
                 (('openai', '/openai/v1'), ('mistral', '/mistral/v1'), ('voyage', '/voyage/v1'), ('cohere', ''), ('google', ''), ('vertex', '/vertex/v1'), ('azure', '/azure/openai')))
CONFIG += f'''[providers.copy]
dialect = "openai"
base_url = "{base}/copy/v1"
models = [{{ name = "text-embedding-3-small", mode = "embedding", price = {{ input = "1" }}, dimensions = 3 }}, {{ name = "broken", mode = "embedding", price = {{ input = "1" }} }},
          {{ name = "short", mode = "embedding", price = {{ input = "1" }} }}]
quirks = {{ embed = {{ inputs = 2 }} }}
'''

with Gateway(CONFIG) as gw:
    embed = lambda model, input, key=ADMIN, headers=None, **more: gw.call('/v1/embeddings', {'model': model, 'input': input, **more}, key=key, headers=headers)

    # OpenAI's SDK, whose default is base64.
    client = openai.OpenAI(base_url=gw.url + '/v1', api_key=ADMIN, max_retries=0)
    one = client.embeddings.create(model='sandbox/embedding', input='hello world')
    check('unit length', round(math.sqrt(sum(x * x for x in one.data[0].embedding)), 4), 1.0)
    check('length', len(one.data[0].embedding), 256)
    many = client.embeddings.create(model='sandbox/embedding', input=['hello world', 'other'], dimensions=12, encoding_format='float', user='u')
    check('order and length', [(d.index, len(d.embedding)) for d in many.data], [(0, 12), (1, 12)])
    check('usage', (one.usage.prompt_tokens, one.usage.total_tokens), (2, 2))
    tokens = client.embeddings.create(model='sandbox/embedding', input=[[1, 2, 3], [4]])
    check('tokens', (len(tokens.data), tokens.usage.prompt_tokens), (2, 4))
    check('one text as tokens', len(client.embeddings.create(model='sandbox/embedding', input=[1, 2]).data), 1)
    wide = client.embeddings.create(model='sandbox/embedding', input=[f'text {i}' for i in range(150)])
    check('150 inputs at a host that takes 64', [d.index for d in wide.data], list(range(150)))
    check('the same vector wherever it stood', wide.data[149].embedding, client.embeddings.create(model='sandbox/embedding', input='text 149').data[0].embedding)
    status, head, answer = embed('sandbox/embedding', ['a', 'b'])
    check('one record of one attempt', (status, head['x-headworks-attempts'], head['x-headworks-model'], head['x-headworks-cost-usd']), (200, '1', 'sandbox/embedding', '0.00000004'))
    try:
        from langchain_openai import OpenAIEmbeddings
        chain = OpenAIEmbeddings(model='sandbox/embedding', base_url=gw.url + '/v1', api_key=ADMIN, check_embedding_ctx_length=False)
        check('langchain', [len(v) for v in chain.embed_documents(['a', 'b c'])], [256, 256])
        check('langchain query', len(chain.embed_query('a')), 256)
    except ImportError: print('langchain-openai is not installed: not run')

    # Each host in its own form, each answer in both of ours.
    for model, each, path in (('openai/text-embedding-3-small', 7, '/openai/v1/embeddings'), ('mistral/mistral-embed', 7, '/mistral/v1/embeddings'),
                              ('voyage/voyage-3.5', 7, '/voyage/v1/embeddings'), ('cohere/embed-v4.0', 5, '/v2/embed'),
                              ('google/gemini-embedding-2', 3, '/v1beta/models/gemini-embedding-2:batchEmbedContents'),
                              ('vertex/text-embedding-005', 2, '/vertex/v1/projects/-/locations/global/publishers/google/models/text-embedding-005:predict'),
                              ('azure/text-embedding-3-small', 7, '/azure/openai/v1/embeddings')):
        for form in ('float', 'base64'):
            status, head, answer = embed(model, ['abc', 'defgh'], encoding_format=form)
            if status != 200: check(model, answer, None); continue
            got = [d['embedding'] for d in answer['data']]
            check(f'{model} {form}', got, [vector('abc'), vector('defgh')] if form == 'float' else [pack(vector('abc')), pack(vector('defgh'))])
            check(f'{model} usage', answer['usage']['prompt_tokens'], 2 * each)
            check(f'{model} path', up.seen[-1][0], path)
    check('voyage takes no "float"', next(b.get('encoding_format') for p, h, b in reversed(up.seen) if 'voyage' in p), 'base64')

    # Cut to what a host takes, joined, and billed as one.
    before = len(up.seen)
    status, head, answer = embed('cohere/embed-v4.0', ['x' * i for i in range(1, 201)])
    # They leave at once, and arrive in any order.
    check('200 at 96 are three requests', sorted(len(b['texts']) for _, _, b in up.seen[before:]), [8, 96, 96])
    check('joined in order', [d['embedding'][0] for d in answer['data']], [i / 8 for i in range(1, 201)])
    check('summed', answer['usage']['prompt_tokens'], 1000)
    record = gw.call('/v1/embeddings', {'model': 'copy/text-embedding-3-small', 'input': ['a', 'b', 'c', 'd', 'e']})
    check('exact cost of the pieces', record[1]['x-headworks-cost-usd'], '0.000035')
    status, head, answer = embed('copy/text-embedding-3-small', ['a', 'b', 'half', 'd'])
    check('a piece that fails fails the call', (status, answer['error']['headworks']['reason']), (503, 'ALL_TARGETS_FAILED'))
    check('a vector too few is no answer', embed('copy/short', ['a', 'b'])[0], 503)

    # Fallback among hosts of one model only.
    status, head, answer = embed('copy/text-embedding-3-small', ['half'], models=['copy/text-embedding-3-small', 'voyage/voyage-3.5', 'sandbox/embedding'])
    check('never to another model', status, 503)
    status, head, answer = embed('copy/broken', 'abc', models=['copy/broken', 'openai/broken'])
    check('the same name at the next host is tried', (status, head['x-headworks-attempts']), (503, '2'))

    # The same id is called once; another body under it is refused.
    before = len(up.seen)
    first, again = [embed('openai/text-embedding-3-small', 'idem', headers={'idempotency-key': 'e-1'})[2] for _ in range(2)]
    check('a repeat is played back', (first['data'], len(up.seen) - before), (again['data'], 1))
    check('another body', embed('openai/text-embedding-3-small', 'other', headers={'idempotency-key': 'e-1'})[0], 400)

    # Refusals name what is wrong.
    for model, input, more, status, reason in (('sandbox/echo', 'a', {}, 400, 'CAPABILITY_MISSING'), ('openai/gpt-5', 'a', {}, 400, 'CAPABILITY_MISSING'), ('sandbox/embedding', [], {}, 400, 'INVALID_REQUEST'),
                                               ('sandbox/embedding', 'a', {'dimensions': 0}, 400, 'INVALID_REQUEST'), ('sandbox/embedding', 'a', {'encoding_format': 'x'}, 400, 'INVALID_REQUEST'),
                                               ('cohere/embed-v4.0', [[1, 2]], {}, 400, 'CAPABILITY_MISSING'), ('sandbox/nothing-like-it', 'a', {}, 404, None)):
        got, _, answer = embed(model, input, **more)
        check(f'{model} {input!r} {more}', (got, answer['error']['headworks']['reason'] if reason else None), (status, reason))
    check('chat with a model for vectors', gw.chat('sandbox/embedding')[0], 400)

    # gRPC.
    channel = grpc.insecure_channel(f'127.0.0.1:{gw.port}')
    stub, meta = esg.EmbeddingServiceStub(channel), [('authorization', 'Bearer ' + ADMIN)]
    answer = stub.Embed(es.EmbedRequest(model='openai/text-embedding-3-small', inputs=['abc', 'de'], dimensions=3, tags=['t']), metadata=meta)
    single = lambda x: struct.unpack('<f', struct.pack('<f', x))[0]
    check('grpc vectors', [list(e.values) for e in answer.embeddings], [[single(x) for x in vector(t)] for t in ('abc', 'de')])
    check('grpc facts', (answer.served_by, answer.model, answer.usage.input_tokens, answer.usage.cost_nano_usd, len(answer.route.attempts)), ('openai/text-embedding-3-small', 'text-embedding-3-small-v2', 14, 280, 1))
    answer = stub.Embed(es.EmbedRequest(model='sandbox/embedding', token_inputs=[es.TokenInput(tokens=[1, 2])]), metadata=meta)
    check('grpc tokens', (len(answer.embeddings), len(answer.embeddings[0].values)), (1, 256))
    for request, code in ((es.EmbedRequest(model='sandbox/embedding'), grpc.StatusCode.INVALID_ARGUMENT), (es.EmbedRequest(inputs=['a']), grpc.StatusCode.INVALID_ARGUMENT),
                          (es.EmbedRequest(model='sandbox/echo', inputs=['a']), grpc.StatusCode.FAILED_PRECONDITION)):
        try: stub.Embed(request, metadata=meta); check('refused', request, None)
        except grpc.RpcError as error: check(f'grpc {request!r}', error.code(), code)

    # A budget holds before anything is sent.
    key = ksg.KeyServiceStub(channel).CreateKey(ks.CreateKeyRequest(key=ks.Key(name='poor', budget=ks.Budget(limit_nano_usd=1000))), metadata=meta)
    before = len(up.seen)
    status, _, answer = embed('openai/text-embedding-3-small', 'x' * 100000, key=key.secret)
    check('the budget refuses', (status, answer['error']['headworks']['reason'], len(up.seen) - before), (429, 'BUDGET_EXCEEDED', 0))
    check('what fits is served', embed('openai/text-embedding-3-small', 'x', key=key.secret)[0], 200)

check.end()
