"""The cap test (L1, L2, L4): 200 callers at once, unary, streamed, cancelled, failing and failing over, against one budget with room for a
few hundred calls: spent never passes the cap, held returns to zero, the records' sum is the counter to the nano-dollar. Then
the same under SIGKILL at random moments, CAP_KILLS times (default 20)."""
import json, os, random, signal, tempfile, threading, time, urllib.request
import grpc
from headworks.v1 import key_service_pb2 as ks, key_service_pb2_grpc as ksg, usage_service_pb2 as us, usage_service_pb2_grpc as usg
from gateway import ADMIN, Checks, Gateway

KILLS, CALLERS = int(os.environ.get('CAP_KILLS', 20)), 200
META = (('authorization', 'Bearer ' + ADMIN),)
check = Checks()
dice = random.Random(int(os.environ.get('SEED', '0')) or time.time_ns())


class Admin:
    def __init__(self, g):
        channel = grpc.insecure_channel(f'127.0.0.1:{g.port}', options=[('grpc.max_receive_message_length', 64 << 20)])
        self.keys, self.usage = ksg.KeyServiceStub(channel), usg.UsageServiceStub(channel)

    def make(self, limit):
        """A key of its own, in a group that has the cap: both are counted in one step."""
        group = self.keys.CreateGroup(ks.CreateGroupRequest(group=ks.Group(name='capped', budget=ks.Budget(limit_nano_usd=limit, window=ks.BUDGET_WINDOW_LIFETIME))), metadata=META).group
        made = self.keys.CreateKey(ks.CreateKeyRequest(key=ks.Key(name='capped', group=group.id)), metadata=META)
        return group.id, made.key.id, made.secret

    def budget(self, group): return self.keys.GetBudget(ks.GetBudgetRequest(group_id=group), metadata=META)

    def records(self, key):
        found, token = [], ''
        while True:
            page = self.usage.ListRequests(us.ListRequestsRequest(page_size=1000, page_token=token, filter=us.RequestFilter(key_id=key)), metadata=META)
            found += page.requests; token = page.next_page_token
            if not token: return found


def one(g, secret, counts):
    """One call of a kind drawn by lot; counts how it went."""
    kind = dice.choice(('unary', 'stream', 'cancel', 'fail', 'failover', 'break'))
    model = {'fail': 'sandbox/error-500', 'failover': 'sandbox/error-429', 'break': 'sandbox/break-mid-stream', 'cancel': 'sandbox/long'}.get(kind, 'sandbox/echo')
    body = {'model': model, 'models': ['sandbox/echo'] if kind == 'failover' else [], 'stream': kind in ('stream', 'cancel', 'break'), 'max_tokens': dice.choice((50, 300)),
            'messages': [{'role': 'user', 'content': 'word ' * dice.randrange(1, 60)}]}
    request = urllib.request.Request(g.url + '/v1/chat/completions', json.dumps(body).encode(), {'authorization': 'Bearer ' + secret})
    try:
        with urllib.request.urlopen(request, timeout=20) as r:
            if kind == 'cancel': r.read(200)
            else: r.read()
        counts['served'] += 1
    except urllib.error.HTTPError as e:
        said = e.read()
        counts['over' if b'BUDGET' in said else 'failed'] += 1
    except Exception: counts['cut'] += 1                         # killed under it, or broken off as asked


def load(g, secret, calls, stop):
    counts = dict.fromkeys(('served', 'over', 'failed', 'cut'), 0)
    def work():
        for _ in range(calls):
            if stop.is_set(): return
            one(g, secret, counts)
    threads = [threading.Thread(target=work, daemon=True) for _ in range(CALLERS)]
    for t in threads: t.start()
    return threads, counts


def settled(admin, group, limit, what):
    """Waits until nothing is held; on the way and at the end nothing may be above the cap."""
    for _ in range(300):
        now = admin.budget(group)
        if now.spent_nano_usd > limit: check(f'L1 {what}: never above the cap', now.spent_nano_usd, limit)
        if now.held_nano_usd == 0: break
        time.sleep(0.05)
    check(f'L2 {what}: held returns to zero', now.held_nano_usd, 0)
    check(f'L1 {what}: spent is within the cap', 0 < now.spent_nano_usd <= limit)
    return now


def add_up(admin, group, key, what):
    total = sum(r.usage.cost_nano_usd for r in admin.records(key))
    check(f'L4 {what}: the sum of the records is the counter to the nano-dollar', total, admin.budget(group).spent_nano_usd)


LIMIT = 100_000_000
with Gateway() as g:
    admin = Admin(g)
    group, key, secret = admin.make(LIMIT)
    stop, peak = threading.Event(), []
    threads, counts = load(g, secret, 12, stop)
    while any(t.is_alive() for t in threads):
        now = admin.budget(group)
        peak.append(now.spent_nano_usd + now.held_nano_usd)
        time.sleep(0.02)
    settled(admin, group, LIMIT, 'together')
    add_up(admin, group, key, 'together')
    check('L1 together: spent and held never passed the cap', max(peak) <= LIMIT)
    check('together: the cap was met, and calls were served before', (counts['over'] > 50, counts['served'] > 100), (True, True))
    print(f'{CALLERS} callers: {counts}, {len(peak)} looks, most spent and held ${max(peak) / 1e9:.6f} of ${LIMIT / 1e9:.6f}')

folder = tempfile.mkdtemp(prefix='headworks-cap-')
group = None
for kill in range(KILLS + 1):
    g = Gateway(folder=folder).start()
    admin = Admin(g)
    if group is None: group, key, secret = admin.make(LIMIT * 2)
    else:
        settled(admin, group, LIMIT * 2, f'after kill {kill}')
        add_up(admin, group, key, f'after kill {kill}')
    if kill == KILLS: g.stop(); break
    stop = threading.Event()
    threads, counts = load(g, secret, 1000, stop)
    time.sleep(dice.uniform(0.2, 1.0))
    g.stop(signal.SIGKILL); stop.set()
    for t in threads: t.join(25)
print(f'{KILLS} kills under {CALLERS} callers, counters and records in step after each')
check.end()
