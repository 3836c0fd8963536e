"""Models and prices by API, over configuration, over the catalogue; and what /v1/models and ModelService show of them."""
import concurrent.futures, json, sys, time

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from headworks.v1 import chat_pb2 as c, key_service_pb2 as ks, key_service_pb2_grpc as ksg, model_pb2 as m
from headworks.v1 import model_service_pb2 as ms, model_service_pb2_grpc as msg, policy_service_pb2 as ps, policy_service_pb2_grpc as psg

import dialects
from gateway import ADMIN, Gateway, Upstream, providers

failed = []
def check(what, got, wanted=True):
    if got != wanted: failed.append(what); print(f'FAILED {what}: {got!r}, not {wanted!r}')
    else: print(f'ok {what}')

CONFIG = '''
[[providers.openai.models]]
name = "gpt-4o"
context = 1000
price = { input = "7", output = "9" }
[[providers.openai.models]]
name = "by-config"
price = { input = "1", output = "2" }
'''
upstream = Upstream(dialects.handler)
g = Gateway(providers(upstream.port) + CONFIG).start()
AUTH = (('authorization', 'Bearer ' + ADMIN),)
def stubs():
    channel = grpc.insecure_channel(f'127.0.0.1:{g.port}')
    return msg.ModelServiceStub(channel), ksg.KeyServiceStub(channel), psg.PolicyServiceStub(channel)
models, keys, policies = stubs()

def get(id, auth=AUTH): return models.GetModel(ms.GetModelRequest(id=id), metadata=auth).model
def rates(id):
    base = get(id).price.base
    return base.input_nano_usd, base.output_nano_usd
def create(**what): return models.CreateModel(ms.CreateModelRequest(model=m.Model(**what)), metadata=AUTH).model
def update(mask, **what): return models.UpdateModel(ms.UpdateModelRequest(model=m.Model(**what), update_mask=FieldMask(paths=mask)), metadata=AUTH).model
def delete(id, etag=''): models.DeleteModel(ms.DeleteModelRequest(id=id, etag=etag), metadata=AUTH)
def refused(what, call, *words):
    try: call(); got = 'no error'
    except grpc.RpcError as e: got = f'{e.code().name} {e.details()} {dict(e.trailing_metadata()).get("grpc-status-details-bin", b"")!r}'
    check(what, [w for w in words if w not in got] and got or True)
def price(input, output): return m.Price(base=m.Rates(input_nano_usd=input, output_nano_usd=output))
def cost(model):
    """Nano-dollars that a call cost: 11 tokens read, 7 written."""
    s, h, b = g.chat(model)
    return s, round(float(h['x-headworks-cost-usd'] or -1) * 1e9)

# --- configuration over catalogue, field by field
gpt = get('openai/gpt-4o')
check('what the configuration leaves out is as the catalogue says', (gpt.context_window, gpt.price.base.input_nano_usd, gpt.capabilities.tools, gpt.origin, gpt.mode),
      (1000, 7_000_000_000, m.CAPABILITY_YES, m.MODEL_ORIGIN_CONFIG, 'chat'))
check('a model of the configuration alone', (get('openai/by-config').origin, get('openai/gpt-4o-mini').origin), (m.MODEL_ORIGIN_CONFIG, m.MODEL_ORIGIN_BUILT_IN))
check('A11 it is billed so', cost('openai/gpt-4o'), (200, 11 * 7000 + 7 * 9000))

# --- the API over both
made = create(id='openai/gpt-4o', price=price(5_000_000_000, 6_000_000_000))
check('the API says a price, the rest stays', (made.price.base.input_nano_usd, made.context_window, made.capabilities.tools, made.origin, bool(made.etag)), (5_000_000_000, 1000, m.CAPABILITY_YES, m.MODEL_ORIGIN_API, True))
check('the next call is billed so', cost('openai/gpt-4o'), (200, 11 * 5000 + 7 * 6000))
check('a new model', create(id='openai/new', mode='chat', context_window=5000, price=price(1_000_000_000, 2_000_000_000), aliases=['openai/newest'],
                            capabilities=m.Capabilities(tools=m.CAPABILITY_NO), status=m.MODEL_STATUS_PREVIEW, deprecation_date='2020-01-01').origin, m.MODEL_ORIGIN_API)
check('it serves, also by its other name', (cost('openai/new'), cost('openai/newest')), ((200, 11 * 1000 + 7 * 2000),) * 2)
check('its date is warned of', 'retired' in (g.chat('openai/new')[1]['x-headworks-warning'] or ''))
tool = {'type': 'function', 'function': {'name': 'f', 'parameters': {'type': 'object', 'properties': {}}}}
check('its capabilities hold', g.chat('openai/new', tools=[tool], models=['sandbox/echo'])[1]['x-headworks-model'], 'sandbox/echo')
check('vectors too', create(id='openai/vec', mode='embedding', dimensions=3, price=m.Price(base=m.Rates(input_nano_usd=20_000_000))).dimensions, 3)

# --- prices at night, by place and for a request
now = time.gmtime()
today, other = now.tm_wday + 1, (now.tm_wday + 3) % 7 + 1
def quiet(*days, start='00:00', end='24:00'): return m.OffPeak(rates=m.Rates(output_nano_usd=1_000_000_000), windows=[ps.TimeWindow(days=days, start=start, end=end)])
def full(**more): return m.Price(base=m.Rates(input_nano_usd=1_000_000_000, output_nano_usd=2_000_000_000), **more)
def cheap(off_peak): return full(off_peak=off_peak, residency_billionths={'eu': 1_100_000_000})
night = create(id='openai/night', price=cheap(quiet(other, start='01:30', end='24:00')))
check('hours and places are told back', (night.price, get('openai/night').price), (cheap(quiet(other, start='01:30', end='24:00')),) * 2)
check('out of those hours it costs as ever', cost('openai/night'), (200, 11 * 1000 + 7 * 2000))
update(['price'], id='openai/night', price=cheap(quiet(today, today % 7 + 1)))
check('in them less', cost('openai/night'), (200, 11 * 1000 + 7 * 1000))
update(['price'], id='openai/night', price=cheap(quiet(start='00:01', end='00:00')))
check('on every day, where no day is said', list(get('openai/night').price.off_peak.windows), [ps.TimeWindow(days=range(1, 8), start='00:01', end='24:00')])
update(['price'], id='openai/night', price=cheap(quiet(today, start='22:00', end='06:00')))
check('over midnight', list(get('openai/night').price.off_peak.windows), [ps.TimeWindow(days=[today], start='22:00', end='06:00')])
billed = create(id='openai/fee', price=full(), unit_prices={'per_request': '0.000005', 'per_image_input': '0.01'})
check('a fee for a request is billed, prices of other units are told', (cost('openai/fee'), dict(billed.unit_prices)), ((200, 5000 + 11 * 1000 + 7 * 2000), {'per_request': '0.000005', 'per_image_input': '0.01'}))
update(['unit_prices'], id='openai/fee', unit_prices={'per_request': '0.000001'})
check('another fee, the same tokens', cost('openai/fee'), (200, 1000 + 11 * 1000 + 7 * 2000))
create(id='openai/gpt-4o-mini', unit_prices={'per_request': '0.000002'})
check('a fee alone leaves the prices known', (get('openai/gpt-4o-mini').price.base.output_nano_usd, get('openai/gpt-4o-mini').unit_prices['per_request']), (600_000_000, '0.000002'))
for id in ('openai/night', 'openai/fee', 'openai/gpt-4o-mini'): delete(id)

# --- what is refused, with the field
refused('hours after the day', lambda: create(id='openai/p', price=full(off_peak=quiet(1, start='24:00'))), 'INVALID_ARGUMENT', 'price.off_peak.windows', '24:00-24:00')
refused('a ninth day', lambda: create(id='openai/p', price=full(off_peak=quiet(9))), 'INVALID_ARGUMENT', 'price.off_peak.windows', 'day 9')
refused('hours that are none', lambda: create(id='openai/p', price=full(off_peak=quiet(1, start='noon'))), 'INVALID_ARGUMENT', 'noon-24:00', '04:00-06:00')
refused('no hours at all', lambda: create(id='openai/p', price=full(off_peak=m.OffPeak(rates=m.Rates(output_nano_usd=1_000_000_000)))), 'INVALID_ARGUMENT', 'off-peak rates need hours')
refused('a factor below nothing', lambda: create(id='openai/p', price=full(residency_billionths={'eu': -1})), 'INVALID_ARGUMENT', 'price.residency_billionths.eu')
refused('a factor that is no factor', lambda: create(id='openai/p', price=full(residency_billionths={'eu': 11})), 'INVALID_ARGUMENT', 'price.residency_billionths.eu', '1100000000')
refused('a unit that is none', lambda: create(id='openai/p', price=full(), unit_prices={'image': '1'}), 'INVALID_ARGUMENT', 'model.unit_prices.image', 'per_image_input')
refused('twice', lambda: create(id='openai/new'), 'ALREADY_EXISTS')
refused('an unknown provider', lambda: create(id='nobody/x'), 'INVALID_ARGUMENT', 'nobody', 'model.id')
refused('no id', lambda: create(id='x'), 'INVALID_ARGUMENT', 'provider/model')
refused("A11 dollars for nano-dollars", lambda: create(id='openai/p', price=price(3, 15)), 'INVALID_ARGUMENT', 'price.input', '3000000000')
refused('A11 per token for per million', lambda: create(id='openai/p', price=price(3_000_000_000_000_000, 1)), 'INVALID_ARGUMENT', 'price.input')
refused('A11 a thousandth of the known price', lambda: create(id='openai/gpt-4o-mini', price=price(150_000, 600_000)), 'INVALID_ARGUMENT', 'price.input', 'another unit')
refused('a negative price', lambda: create(id='openai/p', price=price(-1, 1)), 'INVALID_ARGUMENT', 'price.input')
refused('no date', lambda: create(id='openai/p', deprecation_date='soon'), 'INVALID_ARGUMENT', 'deprecation', 'YYYY-MM-DD')
refused('no mode', lambda: create(id='openai/p', mode='chatting'), 'INVALID_ARGUMENT', 'mode')
refused('no dialect', lambda: create(id='openai/p', dialect='klingon'), 'INVALID_ARGUMENT', 'dialect')
refused("another's name", lambda: create(id='openai/p', aliases=['openai/gpt-4o']), 'INVALID_ARGUMENT', 'model.aliases[0]')
refused('a number of nothing', lambda: create(id='openai/p', context_window=-5), 'INVALID_ARGUMENT', 'context')
check('and nothing of it was kept', [x.id for x in models.ListModels(ms.ListModelsRequest(origin=m.MODEL_ORIGIN_API, page_size=1000, include_hidden=True), metadata=AUTH).models], ['openai/gpt-4o', 'openai/new', 'openai/vec'])
caller = keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(name='caller', allowed_models=['openai/gpt-4o', 'openai/vec', 'policy/mine'])), metadata=AUTH)
MINE = (('authorization', 'Bearer ' + caller.secret),)
refused('only admins', lambda: models.CreateModel(ms.CreateModelRequest(model=m.Model(id='openai/z')), metadata=MINE), 'PERMISSION_DENIED')
refused('only admins take back', lambda: models.DeleteModel(ms.DeleteModelRequest(id='openai/new'), metadata=MINE), 'PERMISSION_DENIED')

# --- changes: mask and etag
changed = update(['price', 'context_window'], id='openai/new', etag=get('openai/new').etag, price=price(4_000_000_000, 4_000_000_000), context_window=6000)
check('a change of two fields', (changed.price.base.input_nano_usd, changed.context_window, changed.status, list(changed.aliases)), (4_000_000_000, 6000, m.MODEL_STATUS_PREVIEW, ['openai/newest']))
refused('an old etag', lambda: update(['mode'], id='openai/new', etag=made.etag, mode='chat'), 'CONFLICT' if False else 'ABORTED', 'changed since')
refused('an unknown path', lambda: update(['colour'], id='openai/new'), 'INVALID_ARGUMENT', 'colour', 'context_window')
refused('no path', lambda: update([], id='openai/new'), 'INVALID_ARGUMENT', 'update_mask')
refused('a model of which the API says nothing', lambda: update(['mode'], id='openai/by-config', mode='chat'), 'NOT_FOUND', 'openai/by-config')
update(['price'], id='openai/gpt-4o')
check('a field taken back is as the configuration says', rates('openai/gpt-4o'), (7_000_000_000, 9_000_000_000))
update(['price'], id='openai/gpt-4o', price=price(5_000_000_000, 6_000_000_000))

# --- many at once: every change is kept
with concurrent.futures.ThreadPoolExecutor(8) as pool: list(pool.map(lambda n: create(id=f'openai/n{n}'), range(16)))
check('sixteen at once', len([x for x in models.ListModels(ms.ListModelsRequest(origin=m.MODEL_ORIGIN_API, page_size=1000), metadata=AUTH).models if x.id.startswith('openai/n')]), 17)
for n in range(16): delete(f'openai/n{n}')

# --- kept over a restart, and neither evicts the other
g.stop(); g.start(); models, keys, policies = stubs()
check('after a restart', (rates('openai/gpt-4o'), rates('openai/by-config'), rates('openai/new'), get('openai/newest').id), ((5_000_000_000, 6_000_000_000), (1_000_000_000, 2_000_000_000), (4_000_000_000, 4_000_000_000), 'openai/new'))
g.stop(); text = g.file.read_text(); g.file.write_text(text.replace('name = "by-config"', 'name = "new"')); g.start(); models, keys, policies = stubs()
check('the API stands above a new entry of the configuration', (rates('openai/new'), get('openai/new').origin), ((4_000_000_000, 4_000_000_000), m.MODEL_ORIGIN_API))
delete('openai/new', get('openai/new').etag)
check('what was said by API is taken back: the configuration stands again', (rates('openai/new'), get('openai/new').origin, get('openai/new').etag), ((1_000_000_000, 2_000_000_000), m.MODEL_ORIGIN_CONFIG, ''))
refused('twice taken back', lambda: delete('openai/new'), 'NOT_FOUND')
g.stop(); g.file.write_text(text.replace('[providers.openai]', '[providers.openai]\nenabled = false')); g.start(); models, keys, policies = stubs()
check('a provider that is gone stops nobody', (g.chat()[0], 'openai/gpt-4o' in (g.folder / 'log').read_text()), (200, True))
g.stop(); g.file.write_text(text); g.start(); models, keys, policies = stubs()
check('and what was said of it is still there', rates('openai/gpt-4o'), (5_000_000_000, 6_000_000_000))

# --- /v1/models: what the key may use, as OpenAI's and OpenRouter's users know it
policies.CreatePolicy(ps.CreatePolicyRequest(policy=ps.Policy(name='mine', fallback=ps.FallbackChain(targets=[ps.PolicyTarget(model='sandbox/echo')]))), metadata=AUTH)
policies.CreatePolicy(ps.CreatePolicyRequest(policy=ps.Policy(name='other', fallback=ps.FallbackChain(targets=[ps.PolicyTarget(model='sandbox/echo')]))), metadata=AUTH)
s, _, b = g.call('/v1/models', key=caller.secret)
check('only what the key may use, vectors and policies too', (s, b['object'], [x['id'] for x in b['data']]), (200, 'list', ['openai/gpt-4o', 'openai/vec', 'policy/mine']))
one = b['data'][0]
check("OpenAI's members", (one['object'], one['owned_by'], type(one['created'])), ('model', 'openai', int))
check("OpenRouter's members", (one['context_length'], one['pricing']['prompt'], one['pricing']['completion'], one['architecture']['modality'], one['top_provider']['max_completion_tokens'] > 0),
      (1000, '0.000005', '0.000006', '+'.join(one['architecture']['input_modalities']) + '->text', True))
check('pictures are a modality', 'image' in one['architecture']['input_modalities'])
check('parameters that it takes', ('temperature' in one['supported_parameters'], 'tools' in one['supported_parameters'], 'top_k' in one['supported_parameters']), (True, True, False))
check('and ours', (one['headworks']['origin'], one['headworks']['nano_usd_per_million_tokens']['input'], one['headworks']['capabilities']['tools']), ('api', 5_000_000_000, True))
check('vectors have a length', (b['data'][1]['headworks']['dimensions'], b['data'][1]['architecture']['modality']), (3, 'text->embeddings'))
for id in ('openai/gpt-4o', 'gpt-4o', 'policy/mine'): check(f'GET /v1/models/{id}', (lambda r: (r[0], r[2]['id']))(g.call('/v1/models/' + id, key=caller.secret)), (200, 'policy/mine' if 'policy' in id else 'openai/gpt-4o'))
for id in ('openai/by-config', 'policy/other', 'nobody/x', 'policy/none'):
    s, _, b = g.call('/v1/models/' + id, key=caller.secret)
    check(f'GET /v1/models/{id} is not for this key', (s, b['error']['headworks']['reason']), (404, 'MODEL_NOT_FOUND'))
listed = models.ListModels(ms.ListModelsRequest(page_size=1000), metadata=MINE)
check('ListModels: the same', ([x.id for x in listed.models], list(listed.policies)), (['openai/gpt-4o', 'openai/vec'], ['policy/mine']))
check('with all that is known', (listed.models[1].dimensions, 'dimensions' in listed.models[1].supported_parameters, listed.models[0].etag != ''), (3, True, True))
european = keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(name='eu', regions=['eu'])), metadata=AUTH).secret
check('a key of one region is shown what stays there', [x['id'] for x in g.call('/v1/models', key=european)[2]['data'] if x['id'].startswith(('openai/', 'google/'))], [])
s, _, b = g.call('/v1/models')
check('an admin sees them all', (s, len(b['data']) > 50, [x['id'] for x in b['data']] == sorted(x['id'] for x in b['data'])), (200, True, True))
check('hidden ones are not listed', any(x['headworks'].get('status') == 'hidden' for x in b['data']), False)
check('no price is a float', all(isinstance(v, str) and 'e' not in v for x in b['data'] for v in (x.get('pricing') or {}).values()))

try: import openai
except ImportError: print('SKIPPED: the openai client is not installed')
else:
    client = openai.OpenAI(base_url=g.url + '/v1', api_key=caller.secret)
    check("OpenAI's client lists them", [x.id for x in client.models.list()], ['openai/gpt-4o', 'openai/vec', 'policy/mine'])
    check("OpenAI's client finds one", client.models.retrieve('openai/gpt-4o').id, 'openai/gpt-4o')
try: import anthropic
except ImportError: print('SKIPPED: the anthropic client is not installed')
else:
    client = anthropic.Anthropic(base_url=g.url, api_key=caller.secret)
    check("Anthropic's client lists them", [(x.id, x.type) for x in client.models.list()], [(x, 'model') for x in ('openai/gpt-4o', 'openai/vec', 'policy/mine')])

g.stop()
print(f'{len(failed)} failed' if failed else 'all passed')
sys.exit(bool(failed))
