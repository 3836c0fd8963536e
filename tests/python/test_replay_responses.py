"""Recorded answers through POST /v1/responses: what arrives must be what was recorded, and fit OpenAI's own schemas.
Then recorded requests of Responses clients: what reaches a Responses upstream must mean the same."""
import asyncio, collections, importlib.util, json, os, random, re, sys
import aiohttp
from aiohttp import web
from gateway import ADMIN, Gateway, free_port
from openapi import DATA, unfit
from responses_wire import order, said, schemas, sse

# recording -> (provider here, dialect of a custom provider or None: the catalogue's, path before the dialect's own)
DIALECTS = {
    'openai-responses': ('replay-responses', 'openai-responses', '/v1'),
    'xai-responses': ('replay-responses', 'openai-responses', '/v1'),
    'azure-responses': ('replay-responses', 'openai-responses', '/v1'),
    'bedrock-mantle-responses': ('replay-responses', 'openai-responses', '/v1'),
    'deepseek-responses': ('replay-responses', 'openai-responses', '/v1'),
    'openrouter-responses': ('replay-responses', 'openai-responses', '/v1'),
    'openai-chat': ('replay-openai', 'openai', '/v1'),
    'anthropic-messages': ('anthropic', None, ''),
    'gemini-generate': ('google', None, ''),
    'gemini-stream': ('google', None, ''),
}
JUDGE = DATA.parent / 'tools/replay.py'
if not JUDGE.exists():
    print(f'SKIPPED: {JUDGE} is not there (HEADWORKS_SHARED_DATA)'); sys.exit(77)
spec = importlib.util.spec_from_file_location('replay', JUDGE)
replay = importlib.util.module_from_spec(spec); spec.loader.exec_module(replay)
LIMIT = int(os.environ.get('REPLAY_LIMIT', '0'))
REQUESTS = ('openai-responses', 'xai-responses', 'azure-responses')

cases, asked = {}, {}
for dialect in DIALECTS:
    path, taken = DATA / 'traffic/dev' / f'{dialect}.jsonl', 0
    if not path.exists(): continue
    for line in path.open():
        rec = json.loads(line)
        own = dialect.endswith('-responses')
        if dialect in REQUESTS and isinstance(rec['request'].get('body'), dict): asked[rec['id']] = rec['request']['body']
        if LIMIT and taken >= LIMIT: continue
        if own:
            data = replay.body_bytes(rec['response'])
            if rec['response'].get('status') != 200: continue
            second = [m.start() for m in re.finditer(rb'(?:event: response.created\n)?data: \{"type":"response.created"', data)]
            if len(second) > 1: rec['response'] = {**rec['response'], 'body': data[:second[1]].decode(), 'body_base64': None}; data = data[:second[1]]
            stream = replay.is_sse(rec['response'])
            try: objects = list(replay.sse(data)) if stream else [json.loads(data)]
            except ValueError: continue
            if not stream and objects[0].get('object') != 'response': continue
            cases[rec['id']] = (rec, said(objects, stream, replay.Answer()), stream)
        elif u := replay.usable(rec): cases[rec['id']] = (rec, *u)
        else: continue
        taken += 1

arrived = {}


async def upstream(request):
    raw = await request.read()
    if found := re.search(r'request-([0-9a-f]{16})', raw.decode('utf-8', 'replace')):
        arrived[found.group(1)] = json.loads(raw)
        return web.json_response({'id': 'resp_1', 'object': 'response', 'created_at': 1, 'status': 'completed', 'model': 'm', 'output': [
            {'type': 'message', 'id': 'msg_1', 'role': 'assistant', 'status': 'completed', 'content': [{'type': 'output_text', 'text': 'ok', 'annotations': []}]}],
            'usage': {'input_tokens': 1, 'output_tokens': 1, 'total_tokens': 2}})
    case = (replay.CASE.search(request.path) or replay.CASE.search(raw.decode())).group(1)
    rec, _, stream = cases[case]
    if rec['dialect'].endswith('-responses'):
        if not request.path.endswith('/responses') or bool(json.loads(raw).get('stream')) != stream: return web.json_response({'error': {'message': 'asked otherwise'}}, status=404)
        data, kind = replay.body_bytes(rec['response']), 'text/event-stream' if stream else 'application/json'
    else:
        if wrong := replay.question(rec['dialect'], request.path, request.query, raw, rec, stream): return web.json_response({'error': {'message': wrong}}, status=404)
        data, kind = replay.served(rec, stream, request.query, raw)
    answer = web.StreamResponse(headers={'content-type': kind}); await answer.prepare(request)
    at, dice = 0, random.Random(case)
    try:
        while at < len(data):
            n = dice.choice((1, 3, 17, 64, 400, 3000)); await answer.write(data[at:at + n]); at += n
            if n < 100: await asyncio.sleep(0.001)
        await answer.write_eof()
    except ConnectionResetError: pass                    # the answer was complete before the recording's last byte
    return answer


def differs(want, got):
    """What the request that arrived says otherwise than the one that was sent, beyond what the gateway is there to change."""
    out = []
    listed = want.get('input') if isinstance(want.get('input'), list) else []
    if want.get('previous_response_id') or any(i.get('type') == 'item_reference' for i in listed):
        # What was referred to stands in its place; what was sent follows it.
        own = [i for i in listed if i.get('type') not in ('item_reference', 'reasoning')]
        rest = [i for i in got['input'] if i in own]
        if rest != own or any(i.get('type') == 'item_reference' for i in got['input']): out.append(f'input: {own} arrives as {got["input"]}'[:300])
        want = {**want, 'input': got['input']}
    for name in sorted(set(want) | set(got)):
        if name in ('model', 'store', 'previous_response_id', 'provider', 'background'): continue
        a, b = want.get(name), got.get(name)
        if name == 'input' and isinstance(a, list):      # bare ids of reasoning that an upstream was to keep
            a = [i for i in a if i.get('type') != 'reasoning' or i.get('encrypted_content') or i.get('content')]
        if a != b: out.append(f'{name}: {json.dumps(a)[:150]} arrives as {json.dumps(b)[:150]}')
    return out


async def main():
    port = free_port()
    app = web.Application(client_max_size=64 << 20); app.router.add_route('*', '/{tail:.*}', upstream)
    runner = web.AppRunner(app, access_log=None); await runner.setup(); await web.TCPSite(runner, '127.0.0.1', port).start()
    config = ''.join(f'[providers.{name}]\nbase_url = "http://127.0.0.1:{port}{base}"\napi_key_env = "FAKE_KEY"\n' + (f'dialect = "{dialect}"\n' if dialect else '')
                     for name, dialect, base in sorted(set(DIALECTS.values()), key=str))
    gateway = Gateway(config); await asyncio.to_thread(gateway.start)
    ok, bad, shapes = collections.Counter(), collections.defaultdict(list), collections.defaultdict(list)
    limit, session = asyncio.Semaphore(8), aiohttp.ClientSession(headers={'authorization': 'Bearer ' + ADMIN}, timeout=aiohttp.ClientTimeout(total=60))

    async def ask(case):
        rec, want, stream = cases[case]; dialect = rec['dialect']
        body = {'model': f'{DIALECTS[dialect][0]}/case-{case}', 'input': 'hi', 'stream': stream}
        if want.tools: body['tools'] = [{'type': 'function', 'name': n, 'parameters': {'type': 'object', 'properties': {}}, 'strict': False} for n in sorted({t[0] for t in want.tools})]
        async with session.post(gateway.url + '/v1/responses', json=body) as r: raw = await r.read()
        if r.status != 200: return None if want.error else (f'status {r.status}', raw[:300])
        events = list(sse(raw)) if stream else []
        objects = [data for _, data in events] if stream else [json.loads(raw)]
        if validators := schemas():
            whole, each = validators
            if not dialect.endswith('-responses'):       # what an upstream of this very dialect says is passed on as it is
                wrong = order(events) if stream else None
                wrong = wrong or next((w for o in objects if (w := unfit(o, each[o['type']] if stream else whole))), None)
                if wrong: shapes[wrong].append(case)
        return replay.compare(dialect, want, said(objects, stream, replay.Answer()))

    async def one(case):
        async with limit:
            try: fault = await ask(case)
            except Exception as e: fault = ('unreadable', repr(e)[:200])
        dialect = cases[case][0]['dialect']
        if fault: bad[dialect].append((case, fault))
        else: ok[dialect] += 1
    await asyncio.gather(*map(one, cases))
    total = collections.Counter(r[0]['dialect'] for r in cases.values())
    for d in total:
        print(f'{d:26} {ok[d]:5} / {total[d]}')
        for case, why in bad[d][:12]: print('     ', case, str(why)[:300])
    for wrong, those in shapes.items(): print(f'  not by the schema ({len(those)}, {those[0]}): {wrong}')
    share = sum(ok.values()) / max(1, len(cases))
    print(f'{sum(ok.values())} of {len(cases)} recorded answers arrive intact by Responses ({100 * share:.1f} %)')

    # requests
    refused, unlike = collections.Counter(), []
    async def send(case, body):
        sent = {**body, 'model': f'replay-responses/request-{case}', 'stream': False}
        async with limit:
            async with session.post(gateway.url + '/v1/responses', json=sent) as r: text = await r.text()
        if r.status != 200:
            why = json.loads(text)['error']['message']
            refused[re.sub(r'"[^"]*"|\d+', '..', why)[:90]] += 1
        elif lines := differs({**body, 'stream': False}, arrived[case]): unlike.append((case, lines))
    await asyncio.gather(*(send(c, b) for c, b in asked.items()))
    print(f'{len(arrived)} of {len(asked)} recorded requests reach the upstream, {len(arrived) - len(unlike)} with the same meaning')
    for case, lines in unlike[:20]: print('     ', case, lines)
    for why, n in refused.most_common(): print(f'      refused {n}: {why}')
    await session.close(); await asyncio.to_thread(gateway.stop); await runner.cleanup()
    return 0 if cases and share >= 0.995 and not shapes and not unlike and len(arrived) >= 0.9 * len(asked) else 1

sys.exit(asyncio.run(main()))
