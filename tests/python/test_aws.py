"""Amazon Bedrock over loopback, with botocore as the judge: our signatures are recomputed by its signer, its event-stream
parser reads what is served, every link of the credential chain is walked, and answers come out at REST and gRPC."""
import base64, concurrent.futures, datetime, json, os, pathlib, random, struct, subprocess, sys, tempfile, time, urllib.parse, zlib
import grpc
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.eventstream import EventStreamBuffer
from headworks.v1 import chat_pb2 as c, chat_service_pb2 as cs, chat_service_pb2_grpc as csg, model_service_pb2 as ms, model_service_pb2_grpc as msg
from headworks.v1 import stream_service_pb2 as ss, stream_service_pb2_grpc as ssg
from gateway import ADMIN, ROOT, Checks, Gateway, Upstream

check = Checks()
CLAUDE = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0'
ARN = 'arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/a1b2c3'
SECRET, TOKEN = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', 'FwoGZXIvYXdzEXAMPLETOKEN/+='


def frame(event, payload, kind='event'):
    """One message of an AWS event stream."""
    body = json.dumps(payload, ensure_ascii=False).encode()
    name = ':exception-type' if kind == 'exception' else ':event-type'
    head = b''.join(bytes([len(k)]) + k.encode() + b'\x07' + struct.pack('>H', len(v)) + v.encode()
                    for k, v in ((name, event), (':content-type', 'application/json'), (':message-type', kind)))
    out = struct.pack('>II', 16 + len(head) + len(body), len(head))
    out += struct.pack('>I', zlib.crc32(out)) + head + body
    return out + struct.pack('>I', zlib.crc32(out))


def says(body):
    """What the fake model answers: Converse's content and its reason for stopping."""
    answered = any('toolResult' in b for m in body['messages'] for b in m['content'])
    if body.get('toolConfig') and not answered:
        return [{'toolUse': {'toolUseId': 'tooluse_1', 'name': 'get_weather', 'input': {'city': 'Zürich'}}}], 'tool_use'
    return [{'text': 'Grüezi from '}, {'text': 'Bedrock 😀'}], 'end_turn'


USAGE = {'inputTokens': 5, 'outputTokens': 7, 'totalTokens': 18, 'cacheReadInputTokens': 4, 'cacheWriteInputTokens': 2,
         'cacheDetails': [{'ttl': '1h', 'inputTokens': 2}]}


def stream(body):
    content, stop = says(body)
    out = [('messageStart', {'role': 'assistant'})]
    for at, block in enumerate(content):
        if 'toolUse' in block:
            out.append(('contentBlockStart', {'contentBlockIndex': at, 'start': {'toolUse': {k: v for k, v in block['toolUse'].items() if k != 'input'}}}))
            text = json.dumps(block['toolUse']['input'], ensure_ascii=False)
            out += [('contentBlockDelta', {'contentBlockIndex': at, 'delta': {'toolUse': {'input': p}}, 'p': 'abc'}) for p in ('', text[:9], text[9:])]
        else:
            out += [('contentBlockDelta', {'contentBlockIndex': at, 'delta': {'text': p}, 'p': 'abcdef'}) for p in (block['text'][:3], block['text'][3:])]
        out.append(('contentBlockStop', {'contentBlockIndex': at}))
    return b''.join(frame(*e) for e in out + [('messageStop', {'stopReason': stop}), ('metadata', {'usage': USAGE, 'metrics': {'latencyMs': 1}})])


requests, behaviour = [], {}


async def bedrock(up, request, body):
    web, raw = up.web, await request.read()
    requests.append((request.method, request.raw_path, {k.lower(): v for k, v in request.headers.items()}, raw))
    if behaviour.get('refuse'):
        kind, status, text = behaviour.pop('refuse')
        return web.json_response({'message': text}, status=status, headers={'x-amzn-ErrorType': kind + ':http://internal.amazon.com/coral/com.amazon.bedrock/'})
    if request.raw_path.endswith('/count-tokens'): return web.json_response({'inputTokens': 42})
    if request.raw_path.endswith('/chat/completions'):
        return web.json_response({'id': 'x', 'object': 'chat.completion', 'created': 1, 'model': body['model'], 'choices': [
            {'index': 0, 'message': {'role': 'assistant', 'content': 'mantle'}, 'finish_reason': 'stop'}], 'usage': {'prompt_tokens': 1, 'completion_tokens': 1, 'total_tokens': 2}})
    if request.raw_path.endswith('/anthropic/v1/messages'):
        return web.json_response({'id': 'm', 'type': 'message', 'role': 'assistant', 'model': body['model'], 'content': [{'type': 'text', 'text': 'messages'}],
                                  'stop_reason': 'end_turn', 'usage': {'input_tokens': 1, 'output_tokens': 1}})
    if request.raw_path.endswith('/converse-stream'):
        data = behaviour.get('stream') or stream(body)
        answer = web.StreamResponse(headers={'content-type': 'application/vnd.amazon.eventstream', 'x-amzn-requestid': 'r-1'})
        await answer.prepare(request)
        for at in range(0, len(data), 11): await answer.write(data[at:at + 11])
        await answer.write_eof()
        return answer
    content, stop = says(body)
    return web.json_response({'output': {'message': {'role': 'assistant', 'content': content}}, 'stopReason': stop, 'usage': USAGE, 'metrics': {'latencyMs': 1}},
                             headers={'x-amzn-requestid': 'r-1'})


def recomputed(request, port, secret=SECRET, token=None):
    """(what was sent, what botocore signs) of one request as it was received."""
    method, path, headers, raw = request
    headers = {k.lower(): v for k, v in headers.items()}
    text = headers['authorization']
    field = lambda name: text.split(name + '=')[1].split(',')[0]
    key, date, region, service, _ = field('Credential').split('/')
    names = field('SignedHeaders').split(';')
    again = AWSRequest(method=method, url=f'http://127.0.0.1:{port}{path}', data=raw, headers={n: headers[n] for n in names if n != 'host'})
    again.context['timestamp'] = headers['x-amz-date']
    signer = SigV4Auth(Credentials(key, secret, token), service, region)
    signature = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    fresh = abs((datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.strptime(headers['x-amz-date'] + '+0000', '%Y%m%dT%H%M%SZ%z')).total_seconds()) < 120
    assert fresh and date == headers['x-amz-date'][:8] and headers['host'] == f'127.0.0.1:{port}'
    return (field('Signature'), key, service, region, headers.get('x-amz-security-token')), (signature, key, service, region, token)


up = Upstream(bedrock)
BARE = {k: '' for k in os.environ if k.startswith('AWS_')}                  # nothing of the machine's own
HOME = tempfile.mkdtemp()
BASE = BARE | {'HOME': HOME, 'AWS_EC2_METADATA_DISABLED': 'true', 'AWS_REGION': 'eu-west-1'}
CONFIG = f'[engine]\nbreaker_failures = 1000\n[providers.bedrock]\nbase_url = "http://127.0.0.1:{up.port}"\n'
KEYS = {'AWS_ACCESS_KEY_ID': 'AKIDEXAMPLE', 'AWS_SECRET_ACCESS_KEY': SECRET}


def gateway(env, config=CONFIG): return Gateway(config, env=BASE | env, store='memory')


# --- answers at every door, signatures recomputed
buffer = EventStreamBuffer()
buffer.add_data(stream({'messages': [{'role': 'user', 'content': [{'text': 'x'}]}]}))
events = list(buffer)
check('botocore reads the streams served here', [e.headers[':event-type'] for e in events][-2:] + [len(events)], ['messageStop', 'metadata', 9])

TOOL = {'type': 'function', 'function': {'name': 'get_weather', 'parameters': {'type': 'object', 'properties': {'city': {'type': 'string'}}}}}
PROMPT = {'prompt_tokens': 11, 'completion_tokens': 7}
with gateway(KEYS | {'AWS_SESSION_TOKEN': TOKEN}) as g:
    for model, path in ((CLAUDE, urllib.parse.quote(CLAUDE, safe='')), (ARN, urllib.parse.quote(ARN, safe='')), ('amazon.nova-pro-v1:0', 'amazon.nova-pro-v1%3A0'), ('odd name~(1)*é', urllib.parse.quote('odd name~(1)*é', safe='~'))):
        status, head, body = g.chat('bedrock/' + model)
        check(f'{model}: text', (status, body['choices'][0]['message']['content'] if status == 200 else body), (200, 'Grüezi from Bedrock 😀'))
        check(f'{model}: path', requests[-1][1], f'/model/{path}/converse')
        sent, again = recomputed(requests[-1], up.port, token=TOKEN)
        check(f'{model}: botocore signs the same', sent, again)
        check(f'{model}: scope', sent[1:4], ('AKIDEXAMPLE', 'bedrock', 'eu-west-1'))
    check('usage and reason', ({k: body['usage'][k] for k in PROMPT}, body['usage']['prompt_tokens_details'].get('cached_tokens'), body['choices'][0]['finish_reason']), (PROMPT, 4, 'stop'))
    whole = g.chat('bedrock/' + CLAUDE, tools=[TOOL])[2]
    call = whole['choices'][0]['message']['tool_calls'][0]
    check('a call, whole', (call['id'], call['function']['name'], json.loads(call['function']['arguments']), whole['choices'][0]['finish_reason']),
          ('tooluse_1', 'get_weather', {'city': 'Zürich'}, 'tool_calls'))
    round_trip = [{'role': 'user', 'content': 'hi'}, whole['choices'][0]['message'], {'role': 'tool', 'tool_call_id': call['id'], 'content': '7'}]
    check('a round trip of a tool', g.call('/v1/chat/completions', {'model': 'bedrock/' + CLAUDE, 'tools': [TOOL], 'messages': round_trip})[2]['choices'][0]['message']['content'], 'Grüezi from Bedrock 😀')
    for tools in (None, [TOOL]):
        text = g.chat('bedrock/' + CLAUDE, stream=True, stream_options={'include_usage': True}, **({'tools': tools} if tools else {}))[2]
        chunks = [json.loads(l[6:]) for l in text.splitlines() if l.startswith('data: {')]
        deltas = [ch['choices'][0]['delta'] for ch in chunks if ch['choices']]
        said = ''.join(d.get('content') or '' for d in deltas)
        args = ''.join(t['function'].get('arguments') or '' for d in deltas for t in d.get('tool_calls') or [])
        check('streamed', (said, args and json.loads(args), chunks[-1]['usage']['prompt_tokens'], chunks[-1]['usage']['completion_tokens'], 'data: [DONE]' in text),
              ('', {'city': 'Zürich'}, 11, 7, True) if tools else ('Grüezi from Bedrock 😀', '', 11, 7, True))
        check('streamed: botocore signs the same', *recomputed(requests[-1], up.port, token=TOKEN))
    channel = grpc.insecure_channel(f'127.0.0.1:{g.port}')
    meta = (('authorization', 'Bearer ' + ADMIN),)
    chat = c.Chat(model='bedrock/' + CLAUDE, messages=[c.Message(role=c.ROLE_USER, parts=[c.Part(text='x')])])
    reply = csg.ChatServiceStub(channel).Complete(cs.CompleteRequest(chat=chat), metadata=meta).reply
    check('gRPC, whole', ''.join(part.text for part in reply.choices[0].message.parts), 'Grüezi from Bedrock 😀')
    pieces = list(ssg.StreamServiceStub(channel).Stream(ss.StreamRequest(chat=chat), metadata=meta))
    check('gRPC, streamed', (''.join(p.event.text for p in pieces), pieces[-1].event.WhichOneof('kind')), ('Grüezi from Bedrock 😀', 'completed'))
    for model, path, said in (('deepseek.v3.1', '/v1/chat/completions', 'mantle'), ('anthropic.claude-opus-5-5', '/anthropic/v1/messages', 'messages')):
        status, _, body = g.chat('bedrock/' + model)
        check(f'{model} in its own dialect', (status, requests[-1][1], body['choices'][0]['message']['content']), (200, path, said))
        sent, again = recomputed(requests[-1], up.port, token=TOKEN)
        check(f'{model}: signed for the other endpoint', (sent, sent[2]), (again, 'bedrock-mantle'))

    # --- what goes wrong
    behaviour['refuse'] = ('ThrottlingException', 429, 'Too many tokens, please wait before trying again.')
    status, head, body = g.chat('bedrock/' + CLAUDE)
    check('throttled', (status, body['error']['headworks']['reason']), (429, 'RATE_LIMITED'))
    behaviour['refuse'] = ('ValidationException', 400, 'Input is too long for requested model.')
    status, head, body = g.chat('bedrock/' + CLAUDE)
    check('too long', (status, body['error']['headworks']['reason']), (400, 'CONTEXT_TOO_LONG'))
    behaviour['refuse'] = ('ValidationException', 400, f'bad {SECRET} and {TOKEN}')
    body = json.dumps(g.chat('bedrock/' + CLAUDE)[2])
    check('no credential is repeated', SECRET in body or TOKEN in body, False)
    text = frame('contentBlockDelta', {'contentBlockIndex': 0, 'delta': {'text': 'half'}})
    good = stream({'messages': [{'role': 'user', 'content': [{'text': 'x'}]}]})
    damaged = bytearray(good); damaged[len(good) // 2] ^= 1
    for what, data in (('an exception in mid-stream', text + frame('modelStreamErrorException', {'message': 'broke'}, 'exception')), ('an end in mid-stream', text), ('a damaged frame', bytes(damaged))):
        behaviour['stream'] = data
        out = g.chat('bedrock/' + CLAUDE, stream=True)[2]
        check(f'{what} is told (F3)', ('"error"' in str(out), '[DONE]' in str(out)), (True, False))
    behaviour['stream'] = good[:-len(frame('metadata', {'usage': USAGE, 'metrics': {'latencyMs': 1}}))]
    out = g.chat('bedrock/' + CLAUDE, stream=True)[2]
    check('no metadata, and still a good end (F10)', ('"error"' in out, 'data: [DONE]' in out, '"finish_reason":"stop"' in out), (False, True, True))
    behaviour.clear()

# --- a ready token
for env, config in (({'AWS_BEARER_TOKEN_BEDROCK': 'bedrock-api-key-x'}, CONFIG), ({'MINE': 'bedrock-api-key-x'}, CONFIG + 'api_key_env = "MINE"\n')):
    with gateway(env | KEYS, config) as g:
        check('a bearer token goes before the chain', (g.chat('bedrock/' + CLAUDE)[0], requests[-1][2].get('authorization')), (200, 'Bearer bedrock-api-key-x'))


# --- every link of the chain
asked = []
answers = {'delay': 0, 'lasts': 3600}


def credentials(who):
    ends = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=answers['lasts'])).strftime('%Y-%m-%dT%H:%M:%SZ')
    return {'AccessKeyId': f'ASIA{who}', 'SecretAccessKey': f'secret-of-{who}/+', 'Token': f'token-of-{who}==', 'Expiration': ends}


async def endpoints(up, request, body=None):
    import asyncio
    raw = (await request.read()).decode()
    web, path, headers = up.web, request.path, request.headers
    asked.append((request.method, request.raw_path, dict(headers), raw))
    await asyncio.sleep(answers['delay'])
    if path == '/latest/api/token':
        return web.Response(text='imds-session', status=200 if request.method == 'PUT' and headers.get('x-aws-ec2-metadata-token-ttl-seconds') else 400)
    if path.startswith('/latest/meta-data/iam/security-credentials/'):
        if headers.get('x-aws-ec2-metadata-token') != 'imds-session': return web.Response(status=401)
        role = path.rsplit('/', 1)[1]
        return web.json_response({'Code': 'Success', 'Type': 'AWS-HMAC'} | credentials('IMDS')) if role else web.Response(text='my-role')
    if path == '/container':
        return web.json_response({'RoleArn': 'arn'} | credentials('BOX')) if headers.get('authorization') == 'box-token' else web.Response(status=401)
    form = dict(urllib.parse.parse_qsl(raw))
    if form.get('Action') == 'AssumeRoleWithWebIdentity' and form.get('WebIdentityToken') != 'web.identity.token': return web.Response(status=400, text='<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>no</Message></Error></ErrorResponse>')
    x = credentials('WEB' if 'Web' in form['Action'] else 'ROLE')
    inner = f'<AccessKeyId>{x["AccessKeyId"]}</AccessKeyId><SecretAccessKey>{x["SecretAccessKey"]}</SecretAccessKey><SessionToken>{x["Token"]}</SessionToken><Expiration>{x["Expiration"]}</Expiration>'
    return web.Response(text=f'<{form["Action"]}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{form["Action"]}Result><Credentials>{inner}</Credentials></{form["Action"]}Result></{form["Action"]}Response>', content_type='text/xml')


class Plain(Upstream):
    def _run(self):
        import asyncio
        asyncio.set_event_loop(self.loop)
        app = self.web.Application()
        async def answer(request): return await endpoints(self, request)
        app.router.add_route('*', '/{tail:.*}', answer)
        runner = self.web.AppRunner(app, access_log=None)
        self.loop.run_until_complete(runner.setup())
        self.loop.run_until_complete(self.web.TCPSite(runner, '127.0.0.1', self.port).start())
        self.loop.run_forever()


cloud = Plain(None)
AT = f'http://127.0.0.1:{cloud.port}'
files = pathlib.Path(tempfile.mkdtemp())
(files / 'web').write_text('web.identity.token\n')
(files / 'box').write_text('box-token\n')
(files / 'process').write_text(f'#!/bin/sh\necho \'{{"Version":1,"AccessKeyId":"ASIAPROC","SecretAccessKey":"secret-of-PROC/+","SessionToken":"token-of-PROC==","Note":"\'"$1"\'"}}\'\n')
(files / 'process').chmod(0o755)
(files / 'credentials').write_text(f'[default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = {SECRET}\n[plain]\naws_access_key_id = AKIDPLAIN\naws_secret_access_key = {SECRET}\n')
(files / 'config').write_text(f'[profile plain]\nregion = us-west-2\n[profile role]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = plain\nexternal_id = ext\n'
                              f'[profile web]\nrole_arn = arn:aws:iam::1:role/x\nweb_identity_token_file = {files / "web"}\n[profile proc]\ncredential_process = {files / "process"} "a b"\n'
                              f'[profile loop]\nrole_arn = arn\nsource_profile = loop2\n[profile loop2]\nrole_arn = arn\nsource_profile = loop\n[profile sso]\nsso_start_url = https://x\n')
SHARED = {'AWS_CONFIG_FILE': str(files / 'config'), 'AWS_SHARED_CREDENTIALS_FILE': str(files / 'credentials'), 'AWS_ENDPOINT_URL_STS': AT}
WEB = {'AWS_WEB_IDENTITY_TOKEN_FILE': str(files / 'web'), 'AWS_ROLE_ARN': 'arn:aws:iam::1:role/x', 'AWS_ENDPOINT_URL_STS': AT}
BOX = {'AWS_CONTAINER_CREDENTIALS_FULL_URI': AT + '/container', 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE': str(files / 'box')}
IMDS = {'AWS_EC2_METADATA_DISABLED': 'false', 'AWS_EC2_METADATA_SERVICE_ENDPOINT': AT}
for name, env, key, secret, token, count in (
        ('environment', KEYS, 'AKIDEXAMPLE', SECRET, None, 0),
        ('environment before all else', KEYS | SHARED | WEB | BOX | IMDS, 'AKIDEXAMPLE', SECRET, None, 0),
        ('default profile', SHARED | WEB, 'AKIDDEFAULT', SECRET, None, 0),
        ('profile', SHARED | {'AWS_PROFILE': 'plain'}, 'AKIDPLAIN', SECRET, None, 0),
        ('profile with a role', SHARED | {'AWS_PROFILE': 'role'}, 'ASIAROLE', 'secret-of-ROLE/+', 'token-of-ROLE==', 1),
        ('profile with a web identity', SHARED | {'AWS_PROFILE': 'web'}, 'ASIAWEB', 'secret-of-WEB/+', 'token-of-WEB==', 1),
        ('profile with a process', SHARED | {'AWS_PROFILE': 'proc'}, 'ASIAPROC', 'secret-of-PROC/+', 'token-of-PROC==', 0),
        ('web identity', WEB | BOX | IMDS, 'ASIAWEB', 'secret-of-WEB/+', 'token-of-WEB==', 1),
        ('container', BOX | IMDS, 'ASIABOX', 'secret-of-BOX/+', 'token-of-BOX==', 1),
        ('container with a token in its variable', {'AWS_CONTAINER_CREDENTIALS_FULL_URI': AT + '/container', 'AWS_CONTAINER_AUTHORIZATION_TOKEN': 'box-token'}, 'ASIABOX', 'secret-of-BOX/+', 'token-of-BOX==', 1),
        ('instance', IMDS, 'ASIAIMDS', 'secret-of-IMDS/+', 'token-of-IMDS==', 3)):
    asked.clear(); answers.update(delay=0.2, lasts=3600)
    with gateway(env) as g, concurrent.futures.ThreadPoolExecutor(8) as pool:
        del requests[:]
        got = [f.result() for f in [pool.submit(g.chat, 'bedrock/' + CLAUDE) for _ in range(8)]]
        check(f'{name}: all served', [s for s, _, _ in got], [200] * 8)
        sent, again = recomputed(requests[-1], up.port, secret, token)
        check(f'{name}: botocore signs the same', (sent, sent[1]), (again, key))
        check(f'{name}: asked once for all', len(asked), count)
        if name == 'profile with a role':
            method, path, headers, raw = asked[0]
            sent, again = recomputed((method, path, headers, raw.encode()), cloud.port)
            check('the role is asked for with a signature', (sent, sent[1:3], dict(urllib.parse.parse_qsl(raw))['ExternalId']), (again, ('AKIDPLAIN', 'sts'), 'ext'))

answers['delay'] = 0
for name, env, words in (
        ('nothing', {}, 'found no credentials'), ('an unknown profile', SHARED | {'AWS_PROFILE': 'nobody'}, 'no profile \\"nobody\\"'),
        ('profiles in a ring', SHARED | {'AWS_PROFILE': 'loop'}, 'too many profiles'), ('a profile of another kind', SHARED | {'AWS_PROFILE': 'sso'}, 'credential_process'),
        ('a wrong container token', BOX | {'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE': str(files / 'web')}, 'status 401'),
        ('a far container without TLS', {'AWS_CONTAINER_CREDENTIALS_FULL_URI': 'http://example.com/x'}, 'neither https'),
        ('a refused web identity', WEB | {'AWS_WEB_IDENTITY_TOKEN_FILE': str(files / 'box')}, 'InvalidIdentityToken')):
    with gateway(env) as g:
        status, _, body = g.chat('bedrock/' + CLAUDE)
        log = (g.folder / 'log').read_text()
        check(f'{name}: told', (status, body['error']['headworks']['reason'], words in json.dumps(body) or words in log), (502, 'UPSTREAM_CREDENTIALS', True))

answers['lasts'] = 1
with gateway(BOX) as g:
    asked.clear()
    check('short-lived', g.chat('bedrock/' + CLAUDE)[0], 200)
    time.sleep(1.2)
    check('renewed after its end', (g.chat('bedrock/' + CLAUDE)[0], len(asked)), (200, 2))
    answers['lasts'] = 3600
    time.sleep(1.2); g.chat('bedrock/' + CLAUDE); asked.clear()
    behaviour['refuse'] = ('ExpiredTokenException', 403, 'The security token included in the request is expired token-of-BOX==')
    status, _, body = g.chat('bedrock/' + CLAUDE)
    check('an expired token is refused', (status, 'token-of-BOX' in json.dumps(body)), (502, False))

with Gateway('', env=BARE | {'HOME': HOME}, store='memory') as g:
    stub = msg.ModelServiceStub(grpc.insecure_channel(f'127.0.0.1:{g.port}'))
    host = next(p for p in stub.ListProviders(ms.ListProvidersRequest(page_size=200), metadata=(('authorization', 'Bearer ' + ADMIN),)).providers if p.id == 'bedrock')
    check('what is missing is told', (host.supported, host.configured, 'AWS_REGION' in host.missing, 'AWS_PROFILE' in host.missing), (True, False, True, True))

# --- recorded streams: botocore's parser and ours read the same
DATA = pathlib.Path(os.environ.get('HEADWORKS_SHARED_DATA', ROOT.parent / 'shared/data')) / 'traffic/dev/bedrock-converse-stream.jsonl'
if DATA.exists():
    with gateway(KEYS) as g:
        count = 0
        for line in DATA.open():
            answer = json.loads(line)['response']
            if answer['body_kind'] != 'aws-eventstream': continue
            data = base64.b64decode(answer['body_base64'])
            if data[:4] == b'AAAA': data = base64.b64decode(data)
            buffer = EventStreamBuffer(); buffer.add_data(data)
            want = ''.join(json.loads(e.payload)['delta'].get('text', '') for e in buffer if e.headers[':event-type'] == 'contentBlockDelta')
            behaviour['stream'] = data
            out = g.chat('bedrock/' + CLAUDE, stream=True)[2]
            got = ''.join(json.loads(l[6:])['choices'][0]['delta'].get('content') or '' for l in out.splitlines() if l.startswith('data: {') and json.loads(l[6:])['choices'])
            check('a recorded stream', got, want); count += 1
        behaviour.clear()
        print(f'{count} recorded streams read as botocore reads them')
else:
    print(f'SKIPPED: {DATA} is not there (HEADWORKS_SHARED_DATA)')

# --- botocore as signer: requests made at random, signed by it, compared with ours in a test of the crate
dice, vectors = random.Random(7), []
for n in range(60):
    path = '/model/' + urllib.parse.quote(''.join(dice.choice('ab.:/-_~ é*()=+') for _ in range(dice.randint(1, 30))), safe='') + dice.choice(['/converse', '/converse-stream', ''])
    query = dice.choice(['', '', '?b=2&a=1', '?x=%20%2F&x=1', '?flag'])
    headers = {'content-type': dice.choice(['application/json', 'text/plain;  charset=utf-8'])} | dice.choice([{}, {'x-amz-target': 'A.b'}, {'x-amz-meta': ' a   b '}])
    body, token = ''.join(dice.choice('{}":é😀a ') for _ in range(dice.randint(0, 200))), dice.choice([None, TOKEN])
    host = dice.choice(['https://bedrock-runtime.eu-west-1.amazonaws.com', 'http://127.0.0.1:8099', 'https://h.example:8443'])
    region, service, stamp = dice.choice(['us-east-1', 'eu-west-1']), dice.choice(['bedrock', 'bedrock-mantle', 'sts']), dice.randint(1_400_000_000, 1_900_000_000)
    request = AWSRequest(method='POST', url=host + path + query, data=body.encode(), headers=dict(headers))
    at = datetime.datetime.fromtimestamp(stamp, datetime.timezone.utc).strftime('%Y%m%dT%H%M%SZ')
    request.context['timestamp'] = at
    request.headers['X-Amz-Date'] = at
    if token: request.headers['X-Amz-Security-Token'] = token
    signer = SigV4Auth(Credentials('AKIDEXAMPLE', SECRET, token), service, region)
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    vectors.append({'url': host + path + query, 'headers': headers, 'body': body, 'token': token, 'region': region, 'service': service, 'unix': stamp, 'signature': signature})
file = files / 'vectors.json'
file.write_text(json.dumps({'id': 'AKIDEXAMPLE', 'secret': SECRET, 'cases': vectors}))
done = subprocess.run(['cargo', 'test', '-q', '-p', 'headworks-upstream', '--lib', 'signatures_agree_with_botocore', '--', '--nocapture'], cwd=ROOT, env=os.environ | {'HEADWORKS_SIGV4_VECTORS': str(file)}, capture_output=True, text=True)
check('60 requests that botocore signed', (done.returncode, '60 signatures agree' in done.stdout), (0, True))
if done.returncode: print(done.stdout[-2000:], done.stderr[-3000:])
check.end()
