"""Runs one client's runner over the scenarios: a live gateway, the fake, and a check that nothing was left out.

A runner prints one line per scenario: `PASS id`, `FAIL id: why` or `UNSERVED id` (the gateway said NOT_IMPLEMENTED,
which no gateway of this version does: it counts as a failure).
"""
import json, os, pathlib, subprocess, sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / 'tests/python'), str(HERE), str(ROOT / 'target/tools/stubs')]
from gateway import ADMIN, Gateway
import fake

SCENARIOS = HERE / 'scenarios.json'


def run(name, *runs, cwd=ROOT, env=None):
    """Runs each command over the scenarios, or over those `at` a place, as a pair. Exits 0 if every scenario passed."""
    good = [once(name, *(one if isinstance(one, tuple) else (one, None)), cwd, env) for one in runs]
    sys.exit(0 if all(good) else 1)


def once(name, command, at, cwd, env):
    wanted = {s['id']: s for s in json.loads(SCENARIOS.read_text()) if at in (None, s['at'])}
    server, port = fake.serve()
    with Gateway() as gateway:
        facts = {'HEADWORKS_URL': gateway.url, 'HEADWORKS_API_KEY': ADMIN, 'HEADWORKS_FAKE_URL': f'http://127.0.0.1:{port}', 'HEADWORKS_SCENARIOS': str(SCENARIOS)}
        done = subprocess.run(command, cwd=cwd, env={**os.environ, **facts, **(env or {})}, stdout=subprocess.PIPE, text=True, timeout=540)
    server.stop(None)
    told, failed = {}, 0
    for line in done.stdout.splitlines():
        word, _, rest = line.partition(' ')
        if word in ('PASS', 'FAIL', 'UNSERVED'): told[rest.split(':')[0].strip()] = (word, line)
        else: print(line)
    for id_, scenario in wanted.items():
        word, line = told.get(id_, ('MISSING', f'MISSING {id_}: the runner did not run it'))
        if word == 'PASS': print(f'ok {id_}: {scenario["what"]}')
        else:
            failed += 1
            print(line)
    for id_ in told.keys() - wanted.keys():
        failed += 1
        print(f'{id_} is not in scenarios.json')
    if done.returncode and not failed:
        failed += 1
        print(f'the runner ended with {done.returncode}')
    passed = sum(word == 'PASS' for word, _ in told.values())
    print(f'{name}: {passed} passed, {failed} failed')
    return passed >= 15 and not failed
