"""S3: a chunk is forwarded as it comes, at every door. The upstream writes its next chunk only when the client has the last
one, so that a gateway that holds anything back waits forever. Nagle's algorithm is off on both sides, by the system calls."""
import asyncio, json, os, re, shutil, stat, tempfile
import aiohttp, grpc
from headworks.v1 import chat_pb2 as c, stream_service_pb2 as ss, stream_service_pb2_grpc as ssg
import gateway
from gateway import ADMIN, Checks, Gateway, Upstream

WORDS = [f'word{n} ' for n in range(6)]
MODELS = {'openai': 'openai/gpt-4o', 'anthropic': 'anthropic/claude-sonnet-4-5', 'gemini': 'google/gemini-2.5-flash', 'responses': 'own/gpt-5', 'cohere': 'cohere/command-a-03-2025'}
check = Checks()
reached = 0                                             # how many words the client has
line = lambda o, name='': ((f'event: {name}\n' if name else '') + f'data: {json.dumps(o)}\n\n').encode()


def spelled(path):
    """(what comes first, one word, what comes last) in the dialect of a path."""
    if path.endswith('/messages'):
        event = lambda o: line(o, o['type'])
        return (event({'type': 'message_start', 'message': {'id': 'm', 'type': 'message', 'role': 'assistant', 'model': 'c', 'content': [], 'usage': {'input_tokens': 3, 'output_tokens': 1}}}) +
                event({'type': 'content_block_start', 'index': 0, 'content_block': {'type': 'text', 'text': ''}}),
                lambda w: event({'type': 'content_block_delta', 'index': 0, 'delta': {'type': 'text_delta', 'text': w}}),
                event({'type': 'content_block_stop', 'index': 0}) + event({'type': 'message_delta', 'delta': {'stop_reason': 'end_turn'}, 'usage': {'output_tokens': 6}}) + event({'type': 'message_stop'}))
    if '/v1beta/' in path:
        part = lambda p, **m: line({'candidates': [{'index': 0, 'content': {'role': 'model', 'parts': p}, **m}], 'usageMetadata': {'promptTokenCount': 3, 'candidatesTokenCount': 6}, 'modelVersion': 'g', 'responseId': 'r'})
        return b'', lambda w: part([{'text': w}]), part([], finishReason='STOP')
    if path.endswith('/responses'):
        event = lambda kind, **m: line({'type': kind, **m}, kind)
        base = {'id': 'resp_1', 'object': 'response', 'created_at': 1, 'model': 'm', 'output': []}
        return (event('response.created', sequence_number=0, response=base | {'status': 'in_progress'}) + event('response.output_item.added', output_index=0, item={'type': 'message', 'id': 'ms', 'role': 'assistant', 'status': 'in_progress', 'content': []}),
                lambda w: event('response.output_text.delta', item_id='ms', output_index=0, content_index=0, delta=w, logprobs=[]),
                event('response.completed', response=base | {'status': 'completed', 'usage': {'input_tokens': 3, 'output_tokens': 6, 'total_tokens': 9}}))
    if path.endswith('/v2/chat'):
        return (line({'type': 'message-start', 'id': 'i', 'delta': {'message': {'role': 'assistant'}}}),
                lambda w: line({'type': 'content-delta', 'index': 0, 'delta': {'message': {'content': {'text': w}}}}),
                line({'type': 'message-end', 'delta': {'finish_reason': 'COMPLETE', 'usage': {'tokens': {'input_tokens': 3, 'output_tokens': 6}}}}))
    chunk = lambda delta, **m: line({'id': 'x', 'object': 'chat.completion.chunk', 'created': 1, 'model': 'm', 'choices': [{'index': 0, 'delta': delta, 'finish_reason': None, **m}]})
    return chunk({'role': 'assistant', 'content': ''}), lambda w: chunk({'content': w}), chunk({}, finish_reason='stop') + b'data: [DONE]\n\n'


async def handler(up, request, body):
    first, word, last = spelled(request.path)
    answer = up.web.StreamResponse(headers={'content-type': 'text/event-stream'})
    await answer.prepare(request)
    if first: await answer.write(first)
    for n, text in enumerate(WORDS):
        await answer.write(word(text))
        while reached < n + 1: await asyncio.sleep(0.001)
    await answer.write(last)
    return answer


async def rest(session, path, body):
    """Reads until a word is whole, then lets the upstream write the next."""
    global reached
    seen = ''
    async with session.post(path, json=body | {'stream': True}, headers={'authorization': 'Bearer ' + ADMIN}) as r:
        async for piece in r.content.iter_any():
            seen += piece.decode()
            while reached < len(WORDS) and WORDS[reached] in seen: reached += 1
    return seen


async def by_grpc(port, model):
    global reached
    said = ''
    async with grpc.aio.insecure_channel(f'127.0.0.1:{port}') as channel:
        chat = c.Chat(model=model, messages=[c.Message(role=c.ROLE_USER, parts=[c.Part(text='x')])])
        async for message in ssg.StreamServiceStub(channel).Stream(ss.StreamRequest(chat=chat), metadata=(('authorization', 'Bearer ' + ADMIN),), timeout=60):
            said += message.event.text if message.event.WhichOneof('kind') == 'text' else ''
            while reached < len(WORDS) and WORDS[reached] in said: reached += 1
    return said


async def main(g):
    global reached
    message = {'messages': [{'role': 'user', 'content': 'x'}]}
    doors = {'chat': ('/v1/chat/completions', message), 'responses': ('/v1/responses', {'input': 'x'}), 'messages': ('/v1/messages', message | {'max_tokens': 99})}
    async with aiohttp.ClientSession(g.url, timeout=aiohttp.ClientTimeout(total=60)) as session:
        for dialect, model in MODELS.items():
            for door, (path, body) in doors.items():
                reached = 0
                try: text = await rest(session, path, body | {'model': model})
                except asyncio.TimeoutError: text = ''
                check(f'S3 {dialect} at the door of {door}: words that came before the next was written', (reached, all(w in text for w in WORDS)), (len(WORDS), True))
            reached = 0
            try: text = await by_grpc(g.port, model)
            except grpc.aio.AioRpcError as e: text = e.details()
            check(f'S3 {dialect} by gRPC', (reached, text), (len(WORDS), ''.join(WORDS)))


up = Upstream(handler)
base = f'http://127.0.0.1:{up.port}'
CONFIG = ''.join(f'[providers.{name}]\nbase_url = "{base}{path}"\napi_key_env = "FAKE_KEY"\n' for name, path in (('openai', '/v1'), ('anthropic', ''), ('google', ''), ('cohere', '')))
CONFIG += f'[providers.own]\ndialect = "openai-responses"\nbase_url = "{base}/v1"\napi_key_env = "FAKE_KEY"\n'
strace = shutil.which('strace')
if strace:
    # The gateway under strace, by a program that stands in its place.
    folder = tempfile.mkdtemp(prefix='headworks-')
    with open(f'{folder}/headworks', 'w') as f: f.write(f'#!/bin/sh\nexec {strace} -f -D -yy -e trace=accept4,connect,setsockopt -o {folder}/trace {gateway.BINARY} "$@"\n')
    os.chmod(f'{folder}/headworks', os.stat(f'{folder}/headworks').st_mode | stat.S_IXUSR)
    gateway.BINARY = f'{folder}/headworks'
with Gateway(CONFIG) as g: asyncio.run(main(g))
if strace:
    trace = open(f'{folder}/trace').read().splitlines()
    quick = [t for t in trace if 'TCP_NODELAY, [1]' in t]
    taken = {s for t in trace if 'accept4' in t for s in re.findall(rf'\[127\.0\.0\.1:{g.port}->127\.0\.0\.1:\d+\]', t)}
    check('S3 every connection that was taken sends at once', (len(taken) > 1, [s for s in taken if not any(s in t for t in quick)]), (True, []))
    # Before a connection stands its socket is known by its number, behind that by its ends.
    made = [t for t in trace if 'connect(' in t and f'sin_port=htons({up.port})' in t]
    numbers = [re.search(r'TCP:(\[\d+\])', t).group(1) for t in made]
    ours = [t for t in quick if f'->127.0.0.1:{up.port}]' in t or any(number in t for number in numbers)]
    check('S3 every connection to an upstream sends at once', (len(made) > 0, len(ours) >= len(made)), (True, True))
else: print('not run: the system calls (strace is not installed)')
check.end()
