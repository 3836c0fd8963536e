"""Recorded answers through the messages door: what an Anthropic client reads must be what was recorded, whichever dialect it was recorded in."""
import asyncio, collections, importlib.util, json, os, pathlib, random, sys
from aiohttp import ClientSession, ClientTimeout, web
from gateway import ADMIN, Gateway, free_port

DATA = pathlib.Path(os.environ.get('HEADWORKS_SHARED_DATA', '../shared/data'))
JUDGE = DATA.parent / 'tools/replay.py'
# A dialect that this build learns to speak is one more line here.
DIALECTS = (
    'openai-chat',
    'anthropic-messages',
    'gemini-generate',
    'gemini-stream',
    'mistral',
    'groq',
    'deepseek',
    'openrouter-chat',
    'xai-chat',
    'perplexity-chat',
    'cohere-v2',
    'azure-chat',
    'vertex-gemini-generate',
    'vertex-gemini-stream',
    'llamacpp-chat',
    'ollama-chat',
    'bedrock-converse',
    'bedrock-converse-stream',
)
# Answers that an Anthropic client cannot get as they were recorded, and why.
KNOWN = {}
LEAST = 0.995
if not JUDGE.exists():
    print(f'SKIPPED: {JUDGE} is not there (HEADWORKS_SHARED_DATA)'); sys.exit(77)
spec = importlib.util.spec_from_file_location('replay', JUDGE)
replay = importlib.util.module_from_spec(spec); spec.loader.exec_module(replay)

cases = {}
for d in DIALECTS:
    for line in (DATA / 'traffic/dev' / f'{d}.jsonl').open():
        rec = json.loads(line)
        if u := replay.usable(rec): cases[rec['id']] = (rec, *u)


async def upstream(request):
    raw = await request.read()
    if request.path == '/token': return web.json_response({'access_token': 'ya29.k', 'expires_in': 3600, 'token_type': 'Bearer'})
    case = (replay.CASE.search(request.path) or replay.CASE.search(raw.decode())).group(1)
    rec, _, stream = cases[case]
    if wrong := replay.question(rec['dialect'], request.path, request.query, raw, rec, stream): return web.json_response({'error': {'message': wrong}}, status=404)
    data, kind = replay.served(rec, stream, request.query, raw)
    answer = web.StreamResponse(status=rec['response'].get('status') or 200, headers={'content-type': kind}); await answer.prepare(request)
    at, dice = 0, random.Random(case)
    try:
        while at < len(data):
            n = dice.choice((1, 3, 17, 64, 400, 3000)); await answer.write(data[at:at + n]); at += n
            if n < 100: await asyncio.sleep(0.001)
        await answer.write_eof()
    except ConnectionResetError: pass                    # the answer was complete before the recording's last byte
    return answer


def configuration(port):
    """Every host of these dialects at the one upstream."""
    paths = {'openai': '/v1', 'mistral': '/v1', 'xai': '/v1', 'groq': '/openai/v1', 'openrouter': '/api/v1'}
    out = ''
    for host, custom in sorted({replay.HOSTS[d] for d in DIALECTS}, key=str):
        out += f'[providers.{host}]\nbase_url = "http://127.0.0.1:{port}{paths.get(host, "")}"\napi_key_env = "FAKE_KEY"\n' + (f'dialect = "{custom}"\n' if custom else '')
    return out


def read(text, stream):
    """What an Anthropic client holds at the end; an error where the order or the end is not what its SDKs take."""
    if not stream: return replay.from_anthropic([json.loads(text)], False), None
    events, got = [], None
    for block in text.split('\n\n'):
        if not block.strip(): continue
        name, _, data = block.partition('\n')
        if not name.startswith('event: ') or not data.startswith('data: '): return None, f'an event without a name: {block[:80]}'
        events.append(json.loads(data[6:]))
        if events[-1]['type'] != name[7:]: return None, 'name and type differ'
    events = [e for e in events if e['type'] != 'ping']
    if any(e['type'] == 'error' for e in events): return None, f'error: {events[-1]}'
    if not events or events[0]['type'] != 'message_start' or events[-1]['type'] != 'message_stop': return None, f'begins or ends wrongly: {[e["type"] for e in events][:3]}'
    open_blocks, begun = set(), 0
    for e in events:
        if e['type'] == 'content_block_start':
            if e['index'] != begun: return None, 'blocks begin out of order'
            begun += 1; open_blocks.add(e['index'])
        elif e['type'] in ('content_block_delta', 'content_block_stop') and e['index'] not in open_blocks: return None, f'{e["type"]} for a block that is not open'
        if e['type'] == 'content_block_stop': open_blocks.remove(e['index'])
        if e['type'] == 'message_delta' and open_blocks: return None, 'a block is open at the end'
    return replay.from_anthropic(events, True), None


async def main():
    port = free_port()
    app = web.Application(client_max_size=64 << 20); app.router.add_route('*', '/{tail:.*}', upstream)
    runner = web.AppRunner(app, access_log=None); await runner.setup(); await web.TCPSite(runner, '127.0.0.1', port).start()
    gateway = Gateway(configuration(port)); await asyncio.to_thread(gateway.start)
    limit, ok, bad = asyncio.Semaphore(8), collections.Counter(), collections.defaultdict(list)
    session = ClientSession(timeout=ClientTimeout(60))

    async def ask(case):
        rec, want, stream = cases[case]; dialect = rec['dialect']
        body = {'model': f'{replay.HOSTS[dialect][0]}/case-{case}', 'max_tokens': 4000, 'stream': stream, 'messages': [{'role': 'user', 'content': 'hi'}]}
        if want.tools: body['tools'] = [{'name': n, 'input_schema': {'type': 'object', 'properties': {}}} for n in sorted({t[0] for t in want.tools})]
        async with session.post(gateway.url + '/v1/messages', json=body, headers={'x-api-key': ADMIN, 'anthropic-version': '2023-06-01'}) as r: status, text = r.status, await r.text()
        if status != 200: return None if want.error else ('status', f'{status} {text[:300]}')
        got, wrong = read(text, stream)
        if wrong: return None if want.error and wrong.startswith('error') else ('stream', wrong)
        # What the host did not count is the gateway's estimate here, since the dialect has no answer without counts.
        if want.out is None: got.inp = got.out = None
        return replay.compare(dialect, want, got)

    async def one(case):
        async with limit: fault = await ask(case)
        dialect = cases[case][0]['dialect']
        if fault: bad[dialect].append((case, fault))
        else: ok[dialect] += 1
    await asyncio.gather(*map(one, cases))
    await session.close(); await asyncio.to_thread(gateway.stop); await runner.cleanup()
    total = collections.Counter(r[0]['dialect'] for r in cases.values())
    for d in DIALECTS:
        print(f'{d:22} {ok[d]:5} / {total[d]}')
        for case, why in bad[d]: print('     ', case, KNOWN.get(case, ''), str(why)[:300])
    share = sum(ok.values()) / max(1, len(cases))
    print(f'{sum(ok.values())} of {len(cases)} recorded answers arrive intact by the messages door ({100 * share:.2f} %)')
    return 0 if cases and share >= LEAST else 1

sys.exit(asyncio.run(main()))
