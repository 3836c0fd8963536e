"""What clients/MIGRATING.md promises: each row of its tables that can be run is run, with the other side's own words."""
import json, os, pathlib, re, subprocess
import openai
from gateway import ADMIN, ROOT, Checks, Gateway

check = Checks()
page = (ROOT / 'clients/MIGRATING.md').read_text()
g = Gateway('').start()
ask = [{'role': 'user', 'content': 'Hi'}]

# --- from the OpenAI SDK: the one line, as it stands in the page
[line] = re.findall(r'^client = OpenAI.*$', page, re.M)
scope = {'OpenAI': openai.OpenAI, 'KEY': ADMIN}
exec(line.replace('http://127.0.0.1:8080', g.url), scope)
client = scope['client']
check('the one line is all', client.chat.completions.create(model='sandbox/echo', messages=ask).choices[0].message.content, 'Hi')
pieces = [c.choices[0].delta.content for c in client.chat.completions.create(model='sandbox/echo', messages=ask, stream=True) if c.choices]
check('stream=True', ''.join(p or '' for p in pieces), 'Hi')
try: client.with_options(max_retries=0).chat.completions.create(model='sandbox/error-429', messages=ask)
except openai.RateLimitError as error: check('RateLimitError', error.status_code, 429)
refused = g.chat('sandbox/error-500')[1]
check('after attempts of its own it says not to retry', refused['x-should-retry'], 'false')

# --- the typed side of every row: the names are there, and do what the row says
typed = '''
import os
from headworks import Headworks, HeadworksError, Reason, function, json_schema, tool_result, user
from headworks.v1 import ReasoningEffort, ReasoningOptions, Routing, Sampling
client = Headworks(os.environ['URL'], os.environ['KEY'], timeout=20, max_retries=1)
reply = client.complete(model='sandbox/echo', messages=[user('Hi')], sampling=Sampling(max_output_tokens=50, temperature=0.5, top_p=0.9, seed=1, stop=['x'], n=1))
assert reply.text == 'Hi' and reply.usage.completion_tokens > 0 and reply.cost > 0, reply
with client.stream(model='sandbox/echo', messages=[user('Hi')]) as answer: assert ''.join(answer.text()) == 'Hi'
assert client.stream(model='sandbox/echo', messages=[user('Hi')]).collect().text == 'Hi'
tools = [function('get_weather', 'Tells the weather', {'type': 'object', 'properties': {'city': {'type': 'string'}}})]
called = client.complete(model='sandbox/tools', messages=[user('Oslo?')], tools=tools)
assert called.tool_calls[0].arguments_json
client.complete(model='sandbox/tools', messages=[user('Oslo?'), called.message, tool_result(called.tool_calls[0], 'sunny')], tools=tools)
client.complete(model='sandbox/json', messages=[user('x')], output=json_schema({'type': 'object', 'properties': {'a': {'type': 'integer'}}, 'required': ['a']}))
client.complete(model='sandbox/reasoning', messages=[user('x')], reasoning=ReasoningOptions(effort=ReasoningEffort.REASONING_EFFORT_LOW))
try: Headworks(os.environ['URL'], os.environ['KEY'], max_retries=0).complete(model='sandbox/error-429', messages=[user('x')])
except HeadworksError as e: assert e.reason == Reason.RATE_LIMITED, e.reason
else: raise AssertionError('it did not fail')
fallen = client.complete(model='sandbox/error-500', messages=[user('Hi')], routing=Routing(models=['sandbox/echo']), tags=['a'], metadata={'b': 'c'})
# One that failed a moment ago rests, and is not tried first again.
assert fallen.text == 'Hi' and fallen.served_by == 'sandbox/echo' and [a.outcome for a in fallen.route.attempts]
print('typed ok')
'''
done = subprocess.run([ROOT / 'target/tools/sdk/python/bin/python', '-c', typed], text=True, capture_output=True, timeout=60,
                      env={**os.environ, 'PYTHONPATH': str(ROOT / 'clients/python/src'), 'URL': g.url, 'KEY': ADMIN})
check(f'the typed side of the tables {done.stderr[-1500:]}', done.stdout.strip(), 'typed ok')

# --- from Requesty
s, h, b = g.chat('sandbox/echo', requesty={'auto_cache': True, 'tags': ['t'], 'user_id': 'u', 'trace_id': 'tr', 'extra': {'k': 'v'}},
                 headers={'X-Requesty-Team': 'blue', 'HTTP-Referer': 'https://app', 'X-Title': 'App'})
check('requesty: the body object is taken', s, 200)
check('requesty: the headers of the answer', all(h[name] for name in ('x-headworks-provider', 'x-headworks-cache', 'x-headworks-request-id', 'x-headworks-model', 'x-headworks-attempts')))
check('requesty: usage.cost', b['usage']['cost'] > 0)
check('requesty: errors', g.chat('nobody/x')[2]['error']['headworks']['reason'], 'MODEL_NOT_FOUND')

# --- from OpenRouter
s, h, b = g.chat('sandbox/error-500', models=['sandbox/echo'], provider={'order': ['sandbox'], 'only': ['sandbox'], 'ignore': ['groq'], 'allow_fallbacks': True, 'require_parameters': False,
                 'max_price': {'prompt': 100, 'completion': 100}, 'sort': 'price'}, usage={'include': True})
check('openrouter: models and provider', (s, h['x-headworks-model']), (200, 'sandbox/echo'))
check('openrouter: usage is there', b['usage']['total_tokens'] > 0)
broken = g.chat('sandbox/break-mid-stream', stream=True)[2]
check('openrouter: a break is a chunk with error', any('error' in json.loads(line[5:]) for line in broken.splitlines() if line.startswith('data:') and '[DONE]' not in line))

# --- every name of ours in the page exists
reference = ''.join(p.read_text() for p in (ROOT / 'proto/reference').glob('*.md'))
for service, method in re.findall(r'`(\w+Service)\.(\w+)`', page): check(f'{service}.{method}', f'{method}' in (ROOT / f'proto/reference/{re.sub(r"(?<!^)(?=[A-Z])", "_", service).lower()}.md').read_text())
for field in ('limit_nano_usd', 'window', 'max_output_tokens', 'extra_json', 'cost_nano_usd', 'require_parameters'): check(field, f'`{field}`' in reference)
for link in re.findall(r'\]\((\.\.?/[^)#]+)\)', page): check(link, (ROOT / 'clients' / link).exists())
g.stop()
check.end()
