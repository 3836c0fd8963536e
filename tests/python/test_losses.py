"""T11: what a target cannot express is left out with a note, refused or passed over, at every door; and ModelService tells it before."""
import json, sys

import grpc
from headworks.v1 import chat_pb2 as c, chat_service_pb2 as cs, chat_service_pb2_grpc as csg, key_service_pb2 as ks, key_service_pb2_grpc as ksg
from headworks.v1 import model_service_pb2 as ms, model_service_pb2_grpc as msg, policy_service_pb2 as ps, policy_service_pb2_grpc as psg
from headworks.v1 import usage_service_pb2 as us, usage_service_pb2_grpc as usg, model_pb2 as m

import dialects
from gateway import ADMIN, Gateway, Upstream, providers

failed = []
def check(what, got, wanted=True):
    if got != wanted: failed.append(what); print(f'FAILED {what}: {got!r}, not {wanted!r}')
    else: print(f'ok {what}')


async def handler(upstream, request, body):
    if not request.path.endswith('/responses'): return await dialects.handler(upstream, request, body)
    said = {'type': 'message', 'id': 'msg_1', 'role': 'assistant', 'status': 'completed', 'content': [{'type': 'output_text', 'text': 'hello', 'annotations': []}]}
    return upstream.web.json_response({'id': 'resp_1', 'object': 'response', 'created_at': 1, 'status': 'completed', 'model': body['model'], 'output': [said],
                                       'usage': {'input_tokens': 11, 'output_tokens': 7, 'total_tokens': 18}})


upstream = Upstream(handler)
OLD = '\n[[providers.openai.models]]\nname = "old"\ndeprecation = "2020-01-01"\n[[providers.openai.models]]\nname = "withdrawn"\nstatus = "hidden"\n'
g = Gateway(providers(upstream.port) + OLD).start()
AUTH = (('authorization', 'Bearer ' + ADMIN),)
channel = grpc.insecure_channel(f'127.0.0.1:{g.port}')
chat, keys, models = csg.ChatServiceStub(channel), ksg.KeyServiceStub(channel), msg.ModelServiceStub(channel)
policies, usage = psg.PolicyServiceStub(channel), usg.UsageServiceStub(channel)
CLAUDE, GEMINI, GPT = 'anthropic/claude-sonnet-4-5', 'google/gemini-2.5-flash', 'openai/gpt-4o'
WORDS = {'drop': c.ON_LOSS_DROP, 'refuse': c.ON_LOSS_REFUSE, 'skip': c.ON_LOSS_SKIP, None: c.ON_LOSS_UNSPECIFIED}


def route(request_id):
    for _ in range(200):
        try: return usage.GetRequest(us.GetRequestRequest(id=request_id), metadata=AUTH).request.route
        except grpc.RpcError: continue
    return None


def by_rest(path, said, key, headers=None):
    """(status, who served, reason, field, message, id)"""
    s, h, b = g.call(path, said, key=key, headers=headers)
    error = b.get('error', {}) if s != 200 else {}
    ours = error.get('headworks', b.get('headworks', {})) if s != 200 else {}
    return s, h.get('x-headworks-model'), ours.get('reason'), error.get('message', ''), h.get('x-headworks-request-id')


def at(door, model, others, on_loss, key=ADMIN, header=None):
    """One call that sets `seed` (chat, gRPC) or what the door has that Claude lacks; who served it or why nobody did."""
    ours = {'headworks': {'on_loss': on_loss}} if on_loss else {}
    headers = {'x-headworks-on-loss': header} if header else None
    if door == 'chat':
        return by_rest('/v1/chat/completions', {'model': model, 'models': others, 'seed': 7, 'max_tokens': 99, 'messages': [{'role': 'user', 'content': 'hi'}], **ours}, key, headers)
    if door == 'responses':
        return by_rest('/v1/responses', {'model': model, 'models': others, 'truncation': 'auto', 'max_output_tokens': 99, 'input': 'hi', **ours}, key, headers)
    if door == 'messages':
        return by_rest('/v1/messages', {'model': model, 'models': others, 'container': 'x', 'max_tokens': 99, 'messages': [{'role': 'user', 'content': 'hi'}], **ours}, key, headers)
    try:
        ask = c.Chat(model=model, messages=[c.Message(role=c.ROLE_USER, parts=[c.Part(text='hi')])], sampling=c.Sampling(seed=7, max_output_tokens=99),
                     routing=c.Routing(models=others, on_loss=WORDS[on_loss]))
        r = chat.Complete(cs.CompleteRequest(chat=ask), metadata=(('authorization', 'Bearer ' + key),)).reply
        return 200, r.served_by, None, '', r.request_id
    except grpc.RpcError as e:
        return e.code().name, None, 'CAPABILITY_MISSING' if 'CAPABILITY_MISSING' in str(dict(e.trailing_metadata())) else None, e.details(), None


# --- every door: what the first target lacks, the parameter by name, the target after it
DOORS = {'chat': (CLAUDE, 'seed', GPT), 'grpc': (CLAUDE, 'seed', GPT), 'responses': (CLAUDE, 'truncation', GPT), 'messages': (GPT, 'container', CLAUDE)}
for door, (lacks, name, takes) in DOORS.items():
    for said in (None, 'drop'):
        s, served, *_, rid = at(door, lacks, [takes], said)
        notes = list(route(rid).notes) if rid else []
        check(f'{door} {said}: served, with a note', (s, served, any(name in n and lacks in n for n in notes)), (200, lacks, True))
    s, served, *_, rid = at(door, lacks, [takes], 'skip')
    skipped = [(t.target, name in t.message) for t in route(rid).skipped] if rid else []
    check(f'{door} skip: the next one, and why', (s, served, skipped), (200, takes, [(lacks, True)]))
    before = len(upstream.seen)
    s, _, reason, message, _ = at(door, lacks, [takes], 'refuse')
    check(f'{door} refuse: names parameter and target, calls nobody', (s in (400, 'FAILED_PRECONDITION'), name in message, lacks in message, len(upstream.seen)), (True, True, True, before))
    s, served, *_ = at(door, takes, [], 'refuse')
    check(f'{door} refuse: nothing to refuse', (s, served), (200, takes))
    s, _, reason, message, _ = at(door, lacks, [], 'skip')
    check(f'{door} skip: nobody is left', (s in (400, 'FAILED_PRECONDITION'), name in message), (True, True))
    if door != 'grpc':
        check(f'{door}: by header', at(door, lacks, [takes], None, header='skip')[1], takes)
        check(f'{door}: the body stands above the header', at(door, lacks, [takes], 'drop', header='skip')[1], lacks)
        s, *_, message, _ = at(door, lacks, [takes], 'perhaps')
        check(f'{door}: an unknown word', (s, 'none of drop, refuse and skip' in message), (400, True))

# --- the key's default, inherited from its group
group = keys.CreateGroup(ks.CreateGroupRequest(group=ks.Group(name='strict', on_loss=c.ON_LOSS_SKIP)), metadata=AUTH).group
made = keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(name='in it', group=group.id)), metadata=AUTH)
for door, (lacks, name, takes) in DOORS.items():
    check(f'{door}: the group says SKIP', at(door, lacks, [takes], None, key=made.secret)[1], takes)
    check(f'{door}: the call stands above it', at(door, lacks, [takes], 'drop', key=made.secret)[1], lacks)
from google.protobuf.field_mask_pb2 import FieldMask
changed = keys.UpdateKey(ks.UpdateKeyRequest(key=ks.Key(id=made.key.id, on_loss=c.ON_LOSS_REFUSE), update_mask=FieldMask(paths=['on_loss'])), metadata=AUTH).key
check('the key is changed', (changed.on_loss, keys.GetKey(ks.GetKeyRequest(id=made.key.id), metadata=AUTH).key.on_loss), (c.ON_LOSS_REFUSE,) * 2)
check('the key stands above its group', at('chat', CLAUDE, [GPT], None, key=made.secret)[0], 400)
g.stop(); g.start()
check('and still does after a restart', at('chat', CLAUDE, [GPT], None, key=made.secret)[0], 400)
channel = grpc.insecure_channel(f'127.0.0.1:{g.port}')
chat, keys, models = csg.ChatServiceStub(channel), ksg.KeyServiceStub(channel), msg.ModelServiceStub(channel)
policies, usage = psg.PolicyServiceStub(channel), usg.UsageServiceStub(channel)

# --- what cannot be left out never is: tools, sound, the form of the answer
HOSTED = [{'type': 'web_search_20250305', 'name': 'web_search'}]
s, h, b = g.call('/v1/messages', {'model': GPT, 'models': [CLAUDE], 'max_tokens': 99, 'tools': HOSTED, 'headworks': {'on_loss': 'drop'}, 'messages': [{'role': 'user', 'content': 'hi'}]})
check("T13 a provider's own tool goes to that provider", (s, h['x-headworks-model'], h['x-headworks-attempts']), (200, CLAUDE, '1'))
s, h, b = g.call('/v1/messages', {'model': GPT, 'max_tokens': 99, 'tools': HOSTED, 'messages': [{'role': 'user', 'content': 'hi'}]})
check('T13 or is refused', (s, 'tool' in json.dumps(b)), (400, True))
SOUND = [{'role': 'user', 'content': [{'type': 'input_audio', 'input_audio': {'data': 'UklGRg==', 'format': 'wav'}}]}]
s, h, b = g.call('/v1/chat/completions', {'model': CLAUDE, 'models': ['openai/gpt-audio'], 'messages': SOUND})
check('sound goes to who hears', (s, h['x-headworks-model']), (200, 'openai/gpt-audio'))
check('n above 1 goes to who offers it', g.chat(CLAUDE, models=[GPT], n=2)[1]['x-headworks-model'], GPT)

# --- T11 at a target of the client's own dialect: temperature is gated by the table of models
s, h, _ = g.chat('openai/o3', temperature=0.2)
check('T11 a reasoning model is not sent temperature', (s, 'temperature' in upstream.seen[-1][2]), (200, False))
check('T11 and the route says so', any('temperature' in n for n in route(h['x-headworks-request-id']).notes))

# --- ModelService tells before
def told(ask, *names):
    return {(t.asked, t.target): t for t in models.CheckChat(ms.CheckChatRequest(chat=ask, models=names), metadata=AUTH).targets}
SAID = dict(messages=[c.Message(role=c.ROLE_USER, parts=[c.Part(text='hi')])], sampling=c.Sampling(seed=7))
before = len(upstream.seen)
got = told(c.Chat(model=CLAUDE, routing=c.Routing(models=[GPT]), **SAID))
check('a loss is told', [(t.ok, t.outcome, [(l.kind, l.name, l.essential) for l in t.losses]) for t in got.values()],
      [(False, ms.CHECK_OUTCOME_SENT_WITH_LOSS, [(ms.LOSS_KIND_PARAMETER, 'seed', False)]), (True, ms.CHECK_OUTCOME_SENT, [])])
got = told(c.Chat(routing=c.Routing(on_loss=c.ON_LOSS_SKIP, models=[]), model='x', **SAID), CLAUDE, GPT, GEMINI)
check('what would be skipped or refused', {k[1]: t.outcome for k, t in got.items()}, {CLAUDE: ms.CHECK_OUTCOME_REFUSED, GPT: ms.CHECK_OUTCOME_SENT, GEMINI: ms.CHECK_OUTCOME_SENT})
policies.CreatePolicy(ps.CreatePolicyRequest(policy=ps.Policy(name='two', fallback=ps.FallbackChain(targets=[ps.PolicyTarget(model=CLAUDE), ps.PolicyTarget(model=GPT)]))), metadata=AUTH)
got = told(c.Chat(model='policy/two', routing=c.Routing(on_loss=c.ON_LOSS_SKIP), **SAID))
check('of a policy', {k: (t.outcome, 'seed' in t.message) for k, t in got.items()}, {('policy/two', GPT): (ms.CHECK_OUTCOME_SENT, False), ('policy/two', CLAUDE): (ms.CHECK_OUTCOME_SKIPPED, True)})
got = told(c.Chat(model='policy/two', routing=c.Routing(on_loss=c.ON_LOSS_REFUSE), **SAID))
check('a policy that would be refused', [(k[1], t.outcome, [l.name for l in t.losses]) for k, t in got.items()], [(CLAUDE, ms.CHECK_OUTCOME_REFUSED, ['seed'])])
schema = c.Tool(function=c.FunctionTool(name='f', parameters_json='{"type":"object","properties":{"a":{"type":"string","pattern":"^x"}}}'))
got = told(c.Chat(model=GEMINI, tools=[schema], messages=SAID['messages']))
check('a keyword of a schema', [(l.kind, l.name) for l in got[GEMINI, GEMINI].losses], [(ms.LOSS_KIND_SCHEMA_KEYWORD, 'pattern')])
audio = [c.Message(role=c.ROLE_USER, parts=[c.Part(audio=c.Audio(data=b'RIFF', format='wav'))])]
got = told(c.Chat(model=CLAUDE, messages=audio))
check('a part of a message', [(t.outcome, l.kind, l.essential, l.name) for t in got.values() for l in t.losses], [(ms.CHECK_OUTCOME_REFUSED, ms.LOSS_KIND_PART, True, 'messages[0]')])
got = told(c.Chat(model='nobody/x', **SAID))
check('an unknown name', [(t.target, t.outcome, t.ok) for t in got.values()], [('nobody/x', ms.CHECK_OUTCOME_REFUSED, False)])
check('nobody was called', len(upstream.seen), before)

# --- retirement: warned of by today's date, never blocked
for model, words in (('openai/old', 'was to be retired on 2020-01-01'), ('openai/withdrawn', 'withdrawn')):
    s, h, b = g.chat(model)
    check(f'{model} is warned of', (s, words in (h['x-headworks-warning'] or ''), any(words in n for n in route(h['x-headworks-request-id']).notes)), (200, True, True))
    r, call = chat.Complete.with_call(cs.CompleteRequest(chat=c.Chat(model=model, messages=SAID['messages'])), metadata=AUTH)
    check(f'{model} is warned of by gRPC', words in dict(call.initial_metadata()).get('headworks-warning', ''))
    check(f'{model} is warned of before', words in told(c.Chat(model=model, messages=SAID['messages']))[model, model].warning)
s, h, b = g.call('/v1/messages', {'model': 'openai/old', 'max_tokens': 9, 'messages': [{'role': 'user', 'content': 'hi'}], 'stream': True})
check('and in a stream', (s, 'retired' in (h['x-headworks-warning'] or '')), (200, True))
check('others are not', g.chat(GPT)[1]['x-headworks-warning'], None)
s, h, b = g.chat('sandbox/error-500', models=['openai/old', GPT])
check('the model that serves is warned of, no other', (h['x-headworks-model'], 'openai/old' in (h['x-headworks-warning'] or '')), ('openai/old', True))

g.stop()
print(f'{len(failed)} failed' if failed else 'all passed')
sys.exit(bool(failed))
