"""Recorded answers through the gRPC door: what a stock grpcio client reads must be what was recorded."""
import asyncio, collections, importlib.util, json, os, pathlib, random, sys
import grpc
from aiohttp import web
from headworks.v1 import chat_pb2 as c, chat_service_pb2 as cs, chat_service_pb2_grpc as csg, stream_service_pb2 as ss, stream_service_pb2_grpc as ssg
from gateway import ADMIN, Gateway, free_port, providers

DATA = pathlib.Path(os.environ.get('HEADWORKS_SHARED_DATA', '../shared/data'))
JUDGE = DATA.parent / 'tools/replay.py'
DIALECTS = ('openai-chat', 'anthropic-messages', 'gemini-generate', 'gemini-stream')
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
    case = (replay.CASE.search(request.path) or replay.CASE.search(raw.decode())).group(1)
    rec, _, stream = cases[case]
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


def arguments(text): return replay.norm_args(text)


async def main():
    port = free_port()
    app = web.Application(client_max_size=64 << 20); app.router.add_route('*', '/{tail:.*}', upstream)
    runner = web.AppRunner(app, access_log=None); await runner.setup(); await web.TCPSite(runner, '127.0.0.1', port).start()
    gateway = Gateway(providers(port)); await asyncio.to_thread(gateway.start)
    channel = grpc.aio.insecure_channel(f'127.0.0.1:{gateway.port}', options=[('grpc.max_receive_message_length', 64 << 20)])
    meta, limit = (('authorization', 'Bearer ' + ADMIN),), asyncio.Semaphore(8)
    ok, bad = collections.Counter(), collections.defaultdict(list)

    async def ask(case):
        rec, want, stream = cases[case]; dialect = rec['dialect']; got = replay.Answer()
        chat = c.Chat(model=f'{replay.HOSTS[dialect][0]}/case-{case}', messages=[c.Message(role=c.ROLE_USER, parts=[c.Part(text='hi')])])
        for name in sorted({t[0] for t in want.tools}): chat.tools.append(c.Tool(function=c.FunctionTool(name=name, parameters_json='{"type":"object","properties":{}}')))
        try:
            if stream:
                calls, usage, complete = {}, None, False
                async for message in ssg.StreamServiceStub(channel).Stream(ss.StreamRequest(chat=chat), metadata=meta, timeout=60):
                    e = message.event; kind = e.WhichOneof('kind')
                    if e.choice: continue
                    if kind == 'text': got.text += e.text
                    elif kind == 'tool_call_started': calls[e.tool_call_started.index] = [e.tool_call_started.name, '']
                    elif kind == 'tool_call_arguments': calls[e.tool_call_arguments.index][1] += e.tool_call_arguments.piece
                    elif kind == 'completed': usage, complete = e.completed.usage, True
                if not complete: return 'no completed event', ''
                for name, args in calls.values(): got.tool(name, args)
            else:
                reply = (await csg.ChatServiceStub(channel).Complete(cs.CompleteRequest(chat=chat), metadata=meta, timeout=60)).reply
                usage = reply.usage
                for part in reply.choices[0].message.parts:
                    if part.WhichOneof('kind') == 'text': got.text += part.text
                    elif part.WhichOneof('kind') == 'tool_call': got.tool(part.tool_call.name, part.tool_call.arguments_json)
            if not usage.estimated: got.inp, got.out = usage.prompt_tokens, usage.completion_tokens
        except grpc.RpcError as e:
            return None if want.error else ('status', f'{e.code()} {e.details()}')
        return replay.compare(dialect, want, got)

    async def one(case):
        async with limit: fault = await ask(case)
        dialect = cases[case][0]['dialect']
        if fault: bad[dialect].append((case, fault))
        else: ok[dialect] += 1
    await asyncio.gather(*map(one, cases))
    await channel.close(); await asyncio.to_thread(gateway.stop); await runner.cleanup()
    total = collections.Counter(r[0]['dialect'] for r in cases.values())
    for d in DIALECTS:
        print(f'{d:22} {ok[d]:5} / {total[d]}')
        for case, why in bad[d]: print('     ', case, str(why)[:300])
    share = sum(ok.values()) / max(1, len(cases))
    print(f'{sum(ok.values())} of {len(cases)} recorded answers arrive intact by gRPC ({100 * share:.1f} %)')
    return 0 if cases and share >= 0.99 else 1

sys.exit(asyncio.run(main()))
