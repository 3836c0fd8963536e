"""Groups, budgets, rate limits and alerts as users meet them, at both doors."""
import hashlib, hmac, json, base64, signal, tempfile, time
import grpc
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from headworks.v1 import (chat_pb2 as c, chat_service_pb2 as cs, chat_service_pb2_grpc as csg, key_service_pb2 as ks, key_service_pb2_grpc as ksg,
                          stream_service_pb2 as ss, stream_service_pb2_grpc as ssg, usage_service_pb2 as us, usage_service_pb2_grpc as usg)
from gateway import ADMIN, Checks, Gateway, Upstream

check = Checks()
USD = 1_000_000_000
fails = 2


async def hook(upstream, request, body):
    """A webhook that is not there at first."""
    global fails
    if fails: fails -= 1; return upstream.web.Response(status=503, text='not yet')
    taken.append((dict(request.headers), await request.read()))
    return upstream.web.Response()

taken = []
def hooks(key): return [(headers, body) for headers, body in taken if json.loads(body)['payer_id'] == key.id]
receiver = Upstream(hook)
folder = tempfile.mkdtemp(prefix='headworks-money-')
CONFIG = f'[alerts]\nwebhook_url = "http://127.0.0.1:{receiver.port}/hook"\nsecret_env = "HOOK_SECRET"\n'


def auth(secret): return (('authorization', 'Bearer ' + secret),)

def reason(error):
    for detail in rpc_status.from_call(error).details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info): return info.reason

def details(error, kind):
    return [m for m in (kind() for _ in range(1)) for d in rpc_status.from_call(error).details if d.Unpack(m)]

def until(what, true):
    for _ in range(300):
        if true(): return check(what, True)
        time.sleep(0.1)
    check(what, False)


class Money:
    def __init__(self, g):
        self.g, self.channel = g, grpc.insecure_channel(f'127.0.0.1:{g.port}')
        self.keys, self.chats, self.streams, self.usage = (stub(self.channel) for stub in (ksg.KeyServiceStub, csg.ChatServiceStub, ssg.StreamServiceStub, usg.UsageServiceStub))
    def key(self, **fields):
        made = self.keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(**fields)), metadata=auth(ADMIN))
        return made.key, made.secret
    def group(self, **fields): return self.keys.CreateGroup(ks.CreateGroupRequest(group=ks.Group(**fields)), metadata=auth(ADMIN)).group
    def budget(self, **which): return self.keys.GetBudget(ks.GetBudgetRequest(**which), metadata=auth(ADMIN))
    def chat(self, secret, text='hi', model='sandbox/echo', max_tokens=None):
        chat = c.Chat(model=model, messages=[c.Message(role=c.ROLE_USER, parts=[c.Part(text=text)])])
        if max_tokens is not None: chat.sampling.max_output_tokens = max_tokens
        return self.chats.Complete.with_call(cs.CompleteRequest(chat=chat), metadata=auth(secret))
    def refused(self, call):
        try: call()
        except grpc.RpcError as error: return error
        raise AssertionError('not refused')


def groups_and_rotation(m):
    g = m.g
    org = m.group(name='org', allowed_models=['sandbox/*'], labels={'cost': '42'})
    team = m.group(name='team', parent=org.id, allowed_providers=['sand*'])
    key, secret = m.key(name='app', group=team.id)
    check('a key in a group works', g.chat(key=secret)[0], 200)
    check('only what the group allows', g.chat(key=secret, model='openai/gpt-5')[2]['error']['headworks']['reason'], 'MODEL_FORBIDDEN')
    circle = m.refused(lambda: m.keys.UpdateGroup(ks.UpdateGroupRequest(group=ks.Group(id=org.id, parent=team.id), update_mask={'paths': ['parent']}), metadata=auth(ADMIN)))
    check('no circles of groups', (circle.code(), reason(circle)), (grpc.StatusCode.INVALID_ARGUMENT, 'INVALID_REQUEST'))
    stale = m.refused(lambda: m.keys.UpdateGroup(ks.UpdateGroupRequest(group=ks.Group(id=org.id, name='x', etag='v999999'), update_mask={'paths': ['name']}), metadata=auth(ADMIN)))
    check('an old etag', reason(stale), 'CONFLICT')
    full = m.refused(lambda: m.keys.DeleteGroup(ks.DeleteGroupRequest(id=org.id), metadata=auth(ADMIN)))
    check('a group with groups stays', reason(full), 'CONFLICT')
    # L3: a change counts for the next call, also one of a group two levels up.
    m.keys.UpdateGroup(ks.UpdateGroupRequest(group=ks.Group(id=org.id, allowed_models=['openai/*']), update_mask={'paths': ['allowed_models']}), metadata=auth(ADMIN))
    check('L3 the next call sees the group\'s change', g.chat(key=secret)[2]['error']['headworks']['reason'], 'MODEL_FORBIDDEN')
    m.keys.UpdateGroup(ks.UpdateGroupRequest(group=ks.Group(id=org.id), update_mask={'paths': ['allowed_models']}), metadata=auth(ADMIN))
    # Rotation: both work while they overlap, and what was spent stays.
    spent = m.budget(key_id=key.id).spent_nano_usd
    second = m.keys.RotateKey(ks.RotateKeyRequest(id=key.id, overlap=duration_pb2.Duration(seconds=60)), metadata=auth(ADMIN))
    check('both secrets work', (g.chat(key=secret)[0], g.chat(key=second.secret)[0], second.key.HasField('previous_secret_expire_time')), (200, 200, True))
    third = m.keys.RotateKey(ks.RotateKeyRequest(id=key.id), metadata=auth(ADMIN))
    check('without overlap the old one ends', (g.chat(key=second.secret)[0], g.chat(key=secret)[0], g.chat(key=third.secret)[0]), (401, 401, 200))
    check('L3 rotation keeps spend', m.budget(key_id=key.id).spent_nano_usd > spent > 0)
    m.keys.RevokeKey(ks.RevokeKeyRequest(id=key.id), metadata=auth(ADMIN))
    status, _, body = g.chat(key=third.secret)
    check('L3 revoked for the next call', (status, body['error']['headworks']['reason']), (401, 'KEY_REVOKED'))
    page = m.keys.ListGroups(ks.ListGroupsRequest(parent=org.id), metadata=auth(ADMIN))
    check('groups in a group', [group.id for group in page.groups], [team.id])


def budgets(m):
    g = m.g
    cap = ks.Budget(limit_nano_usd=3_000_000, window=ks.BUDGET_WINDOW_DAY)      # a model's whole output costs 32_768_000
    org = m.group(name='org', budget=cap)
    key, secret = m.key(name='app', group=org.id, markup_basis_points=1000)
    # fit: the answer comes, shorter, and says so everywhere.
    status, headers, body = g.chat(key=secret)
    adjusted = headers['x-headworks-adjusted']
    check('lowered to fit', (status, adjusted is not None and adjusted.startswith('max_tokens=')), (200, True))
    check('the route says so', any('max_tokens was lowered' in note and 'org' in note for note in body['headworks']['notes']))
    streamed, call = None, m.streams.Stream(ss.StreamRequest(chat=c.Chat(model='sandbox/echo', messages=[c.Message(role=c.ROLE_USER, parts=[c.Part(text='hi')])])), metadata=auth(secret))
    check('gRPC says so before the answer', dict(call.initial_metadata()).get('headworks-adjusted', '').startswith('max_tokens='))
    for event in call: streamed = event
    check('and in its route', any('max_tokens was lowered' in note for note in streamed.event.completed.route.notes))
    # A11: markup is apart, and budgets count both.
    usage = streamed.event.completed.usage
    check('A11 markup apart', (usage.markup_nano_usd, usage.cost_nano_usd > 0), ((usage.cost_nano_usd * 1000 + 5000) // 10000, True))
    record = m.usage.GetRequest(us.GetRequestRequest(id=streamed.event.completed.route.request_id), metadata=auth(secret)).request
    check('A11 in the record too', (record.usage.cost_nano_usd, record.usage.markup_nano_usd), (usage.cost_nano_usd, usage.markup_nano_usd))
    left = m.budget(group_id=org.id)
    all_ = m.usage.ListRequests(us.ListRequestsRequest(filter=us.RequestFilter(key_id=key.id)), metadata=auth(ADMIN)).requests
    check('L4 the group\'s counter is the sum of records', left.spent_nano_usd, sum(r.usage.cost_nano_usd + r.usage.markup_nano_usd for r in all_))
    check('held returns to nothing', (left.held_nano_usd, left.remaining_nano_usd), (0, cap.limit_nano_usd - left.spent_nano_usd))
    check('a day\'s window', left.window_end_time.seconds - left.window_start_time.seconds, 86400)
    own = m.keys.GetBudget(ks.GetBudgetRequest(key_id='self'), metadata=auth(secret))
    check('a key reads what is left for it', (own.HasField('budget'), own.available_nano_usd), (False, left.remaining_nano_usd))
    # Not for what must be whole.
    status, _, body = g.chat(key=secret, response_format={'type': 'json_schema', 'json_schema': {'name': 'x', 'schema': {'type': 'object'}}})
    check('not for a JSON Schema', (status, body['error']['headworks']['reason'], body['error']['code']), (429, 'BUDGET_EXCEEDED', 'budget_exceeded'))
    check('not for reasoning', g.chat(key=secret, model='sandbox/reasoning', reasoning_effort='high')[0], 429)
    check('a small call that says so passes', g.chat(key=secret, max_tokens=20)[1]['x-headworks-adjusted'], None)
    refused = m.refused(lambda: m.chat(secret, text='word ' * 700_000, max_tokens=10))
    check('gRPC: BUDGET_EXCEEDED', (refused.code(), reason(refused), len(details(refused, error_details_pb2.QuotaFailure))), (grpc.StatusCode.RESOURCE_EXHAUSTED, 'BUDGET_EXCEEDED', 1))
    # refuse
    _, strict = m.key(name='strict', budget=ks.Budget(limit_nano_usd=3_000_000, fit=ks.BUDGET_FIT_REFUSE))
    check('fit = refuse', g.chat(key=strict)[0], 429)
    # A dear target is passed over for a cheap one.
    _, small = m.key(name='small', budget=ks.Budget(limit_nano_usd=40_000_000, fit=ks.BUDGET_FIT_REFUSE))
    status, headers, body = g.chat(key=small, model='sandbox/long', models=['sandbox/echo'])
    check('a dear target is skipped', (status, headers['x-headworks-model']), (200, 'sandbox/echo'))
    # L6
    _, capped = m.key(name='capped', budget=ks.Budget(limit_nano_usd=USD))
    check('L6 an unknown price', g.chat(key=capped, model='sandbox/brand-new')[2]['error']['headworks']['reason'], 'PRICE_UNKNOWN')
    lax, lax_secret = m.key(name='lax', budget=ks.Budget(limit_nano_usd=USD, allow_unknown_price=True))
    check('L6 unless allowed', g.chat(key=lax_secret, model='sandbox/brand-new')[2].get('error', {}).get('headworks', {}).get('reason') != 'PRICE_UNKNOWN')
    hosted = [{'type': 'web_search_preview'}]
    body = g.chat(key=capped, tools=hosted)[2]
    check('COST_UNBOUNDED', body.get('error', {}).get('headworks', {}).get('reason'), 'COST_UNBOUNDED') if 'INVALID' not in json.dumps(body) else None
    # soft
    _, soft = m.key(name='soft', budget=ks.Budget(limit_nano_usd=1, soft=True))
    status, _, body = g.chat(key=soft)
    check('a soft budget lets through', status, 200)
    check('a budget of 0 lets nothing through that costs', g.chat(key=m.key(budget=ks.Budget())[1], max_tokens=5)[0], 429)


def limits(m):
    g = m.g
    team = m.group(name='team', requests_per_minute=5)
    keys = [m.key(group=team.id)[1] for _ in range(2)]
    got = [g.chat(key=keys[n % 2]) for n in range(6)]
    check('a group\'s requests a minute', [status for status, *_ in got].count(200) in (5, 6))
    headers = got[0][1]
    check('x-ratelimit', (headers['x-ratelimit-limit-requests'], headers['x-ratelimit-remaining-requests'], headers['x-ratelimit-limit-tokens']), ('5', '4', None))
    while (last := g.chat(key=keys[0]))[0] == 200: pass
    status, headers, body = last
    check('429 with a hint', (body['error']['type'], body['error']['code'], int(headers['retry-after']) >= 1, headers['x-should-retry'], headers['x-ratelimit-remaining-requests']),
          ('rate_limit_error', 'rate_limit_exceeded', True, 'true', '0'))
    error = m.refused(lambda: m.chat(keys[1]))
    retry = details(error, error_details_pb2.RetryInfo)
    check('gRPC: RetryInfo', (error.code(), reason(error), retry[0].retry_delay.ToMilliseconds() > 0), (grpc.StatusCode.RESOURCE_EXHAUSTED, 'RATE_LIMITED', True))
    # L5
    key, secret = m.key(tokens_per_minute=1000)
    status, headers, body = g.chat(key=secret, max_tokens=500)
    remaining = int(headers['x-ratelimit-remaining-tokens'])
    check('L5 reserved', (status, remaining < 500), (200, True))
    _, headers, _ = g.chat(key=secret, max_tokens=500)
    check('L5 and corrected: the second sees what the first used, not what it reserved', int(headers['x-ratelimit-remaining-tokens']) > 450)
    status, headers, body = g.chat(key=secret, max_tokens=5000)
    check('L5 what can never fit is told so', (status, headers['retry-after'], 'smaller max_tokens' in body['error']['message']), (429, None, True))
    # concurrent calls
    _, one = m.key(concurrent_calls=1)
    hold = m.streams.Stream(ss.StreamRequest(chat=c.Chat(model='sandbox/slow', messages=[c.Message(role=c.ROLE_USER, parts=[c.Part(text='word ' * 50)])])), metadata=auth(one))
    next(iter(hold))
    check('calls at once', g.chat(key=one)[2]['error']['headworks']['reason'], 'RATE_LIMITED')
    hold.cancel()
    until('given back when the caller goes', lambda: g.chat(key=one)[0] == 200)
    # by model: the next target is tried
    _, picky = m.key(rate_limits=[ks.RateLimit(unit=ks.RATE_UNIT_REQUESTS, window=ks.RATE_WINDOW_DAY, limit=1, model='sandbox/tools')])
    served = [g.chat(key=picky, model='sandbox/tools', models=['sandbox/echo'])[1]['x-headworks-model'] for _ in range(2)]
    check('a model\'s limit leads to the next', served, ['sandbox/tools', 'sandbox/echo'])
    check('and alone refuses', g.chat(key=picky, model='sandbox/tools')[0], 429)


def alerts(m):
    g = m.g
    watched = m.keys.WatchAlerts(ks.WatchAlertsRequest(), metadata=auth(ADMIN))
    watched.initial_metadata()
    key, secret = m.key(name='watched', budget=ks.Budget(limit_nano_usd=100_000, window=ks.BUDGET_WINDOW_MONTH, alert_percents=[10, 20], soft=True))
    while m.budget(key_id=key.id).spent_nano_usd < 25_000: g.chat(key=secret, content='word ' * 20)
    told = [next(watched).alert for _ in range(2)]
    watched.cancel()
    check('watched', [(a.key_id, a.percent, a.limit_nano_usd) for a in told], [(key.id, 10, 100_000), (key.id, 20, 100_000)])
    mine = lambda secret=ADMIN, **which: list(m.keys.ListAlerts(ks.ListAlertsRequest(**which), metadata=auth(secret)).alerts)
    until('delivered though the webhook was away at first', lambda: [a.delivery for a in mine(key_id=key.id)] == [ks.ALERT_DELIVERY_DELIVERED] * 2)
    check('a key sees its own alerts', sorted(a.percent for a in mine(secret)), [10, 20])
    check('and no others', mine(m.key()[1]), [])
    check('it was tried again', sum(a.attempts for a in mine()) > len(mine()))
    for headers, body in hooks(key):
        lower = {name.lower(): value for name, value in headers.items()}
        signed = base64.b64encode(hmac.new(b'a-secret-for-hooks', f"{lower['webhook-id']}.{lower['webhook-timestamp']}.".encode() + body, hashlib.sha256).digest()).decode()
        check('signed', lower['webhook-signature'], 'v1,' + signed)
        said = json.loads(body)
        check('the body says what happened', (said['payer_id'], said['limit_usd'], said['window'], 'of its budget' in said['text']), (key.id, '0.0001', 'month', True))
    check('in the log', '"watched" has spent 10 % of its budget' in (g.folder / 'log').read_text().replace('\\"', '"'))
    return key, secret


with Gateway(CONFIG, env={'HOOK_SECRET': 'a-secret-for-hooks'}, folder=folder) as g:
    m = Money(g)
    groups_and_rotation(m); budgets(m); limits(m)
    key, secret = alerts(m)
    before = m.budget(key_id=key.id)
    g.stop(signal.SIGKILL)
with Gateway(CONFIG, env={'HOOK_SECRET': 'a-secret-for-hooks'}, folder=folder) as g:
    m = Money(g)
    check('counters are there after kill -9', m.budget(key_id=key.id).spent_nano_usd >= before.spent_nano_usd)
    g.chat(key=secret); time.sleep(0.5)
    check('no alert twice, also across a restart', len(m.keys.ListAlerts(ks.ListAlertsRequest(key_id=key.id), metadata=auth(ADMIN)).alerts), 2)
    check('nor at the webhook', len(hooks(key)), 2)

# An alert that met no webhook is kept, can be read, and reaches the webhook that is configured later.
folder = tempfile.mkdtemp(prefix='headworks-money-')
with Gateway(folder=folder) as g:
    m = Money(g)
    key, secret = m.key(name='early', budget=ks.Budget(limit_nano_usd=1_000, alert_percents=[100], soft=True))
    g.chat(key=secret)
    told = lambda: list(m.keys.ListAlerts(ks.ListAlertsRequest(key_id=key.id), metadata=auth(ADMIN)).alerts)
    until('kept without a webhook', lambda: [(a.percent, a.delivery, a.attempts) for a in told()] == [(100, ks.ALERT_DELIVERY_UNSPECIFIED, 0)])
    check('nothing was sent', hooks(key), [])
with Gateway(CONFIG, env={'HOOK_SECRET': 'a-secret-for-hooks'}, folder=folder) as g:
    m = Money(g)
    until('sent once there is a webhook', lambda: [a.delivery for a in told()] == [ks.ALERT_DELIVERY_DELIVERED] and len(hooks(key)) == 1)
check.end()
