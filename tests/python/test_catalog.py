"""`headworks catalog`: what is wrong is told with file, model and field; and the files are what refresh.py makes of the facts."""
import os, pathlib, subprocess, sys, tempfile

from gateway import BINARY, ROOT

failed = []
def check(what, got, wanted=True):
    if got != wanted: failed.append(what); print(f'FAILED {what}: {got!r}, not {wanted!r}')
    else: print(f'ok {what}')

folder = pathlib.Path(tempfile.mkdtemp(prefix='headworks-'))
def run(*args, config=''):
    file = folder / 'headworks.toml'
    file.write_text(config)
    done = subprocess.run([BINARY, '--config', str(file), 'catalog', *args], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr

code, out, err = run('check')
check('the catalogue as it is', (code, 'providers' in out, 'models' in out, err), (0, True, True, ''))
NEW = '[providers.x]\ndialect = "openai"\nbase_url = "http://h/v1"\n'
MODEL = NEW + '[[providers.x.models]]\nname = "m"\n'
for what, config, words in (
    ('A11 a price per token', MODEL + 'price = { input = "0.000003" }', ['headworks.toml', 'x/m', 'price.input', 'per million']),
    ('A11 a price far from the known one', '[[providers.openai.models]]\nname = "gpt-4o"\nprice = { input = "0.0025" }', ['headworks.toml', 'openai/gpt-4o', 'price.input', 'another unit']),
    ('no number', MODEL + 'context = -1', ['x/m', 'context']),
    ('no date', MODEL + 'deprecation = "2026-02-30"', ['x/m', 'deprecation', '2026-02-30', 'YYYY-MM-DD']),
    ('no dialect', MODEL + 'dialect = "klingon"', ['x/m', 'dialect', 'klingon']),
    ('no region', MODEL + 'regions = ["Europe!"]', ['x/m', 'regions', 'Europe!']),
    ('tiers that begin together', MODEL + 'price = { input = "1", tiers = [{ above = 5, input = "2" }, { above = 5, input = "3" }] }', ['x/m', 'price.tiers']),
    ('a name that is taken', MODEL + 'aliases = ["openai/gpt-4o"]', ['x/m', 'aliases', 'openai/gpt-4o']),
    ('a name for two', MODEL + 'aliases = ["x/a"]\n[[providers.x.models]]\nname = "n"\naliases = ["x/a"]', ['x/n', 'aliases', 'x/a', 'x/m']),
    ('a name that leads nowhere', MODEL + 'aliases = ["short"]', ['x/m', 'aliases', 'short', 'provider/model']),
    ('a host without an address', '[providers.x]\ndialect = "openai"\n', ['providers.x.base_url']),
    ('a capability that is none', MODEL + 'can = ["fly"]', ['x/m', 'can', 'fly']),
):
    code, out, err = run('check', config=config)
    check(what, (code, [w for w in words if w not in out], '1 problem' in err), (1, [], True))
code, out, err = run('check', config=MODEL + 'context = -1\n[[providers.x.models]]\nname = "n"\nmode = "y"')
check('every problem is told', (code, 'x/m' in out and 'x/n' in out, '2 problems' in err), (1, True, True))
code, out, err = run('check', config=MODEL + '[[providers.openai.models]]\nname = "gpt-4o"\nprice = { input = "3", output = "12" }')
check('what the configuration says is counted', (code, '2 by ' in out), (0, True))
code, out, err = run('list', 'openai/gpt-4o*')
check('list', (code, all(line.startswith('openai/gpt-4o') for line in out.splitlines()), len(out.splitlines()) > 2), (0, True, True))
check('list nothing', (lambda r: (r[0], 'did you mean' in r[2]))(run('list', 'openai/gpt-4oo')), (1, True))
code, out, err = run('show', 'gpt-4o', config='[[providers.openai.models]]\nname = "gpt-4o"\ncontext = 77')
check('show', (code, [w for w in ('openai/gpt-4o', '77', 'per million tokens', 'tools', 'temperature', 'configuration') if w not in out]), (0, []))
check('show nothing', (lambda r: (r[0], 'did you mean openai/gpt-4o' in r[2]))(run('show', 'openai/gpt-4oo')), (1, True))

facts = pathlib.Path(os.environ.get('HEADWORKS_SHARED_DATA', ROOT.parent / 'shared' / 'data')) / 'catalog'
if not (facts / 'models.json').exists(): print(f'SKIPPED: {facts} is not there (HEADWORKS_SHARED_DATA)')
else:
    catalog, into = ROOT / 'server/providers/catalog', folder / 'made'
    into.mkdir()
    subprocess.run([sys.executable, str(catalog / 'refresh.py'), str(facts), str(into)], check=True, capture_output=True)
    # The sandbox is our own.
    ours = {p.name: p.read_text() for p in catalog.glob('*.toml') if p.name != 'sandbox.toml'}
    made = {p.name: p.read_text() for p in into.glob('*.toml')}
    check('the files are what refresh.py writes from the facts', sorted(n for n in ours.keys() | made.keys() if ours.get(n) != made.get(n)), [])

print(f'{len(failed)} failed' if failed else 'all passed')
sys.exit(bool(failed))
