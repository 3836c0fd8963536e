"""A real language model as upstream: a llama.cpp server with a small model answers through the gateway, unary and streamed."""
import pathlib, subprocess, sys, time, urllib.request
import openai
from gateway import ADMIN, ROOT, Checks, Gateway, free_port

check, port = Checks(), free_port()
server = subprocess.Popen([sys.executable, str(pathlib.Path(__file__).with_name('llama_server.py')), str(ROOT / 'target/tools/model.gguf'), str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    for _ in range(600):
        try: urllib.request.urlopen(f'http://127.0.0.1:{port}/health', timeout=2); break
        except OSError: time.sleep(0.2)
    config = f'[providers.llama]\ndialect = "openai"\nbase_url = "http://127.0.0.1:{port}/v1"\nmodels = [{{ name = "gemma3", price = {{ input = "0.1", output = "0.2" }} }}]\n'
    with Gateway(config) as g:
        client = openai.OpenAI(base_url=g.url + '/v1', api_key=ADMIN, timeout=120)
        ask = dict(model='llama/gemma3', messages=[{'role': 'user', 'content': 'Say something.'}], max_tokens=16, seed=1, temperature=0)
        a = client.chat.completions.create(**ask)
        check('it writes', a.usage.completion_tokens > 0 and a.usage.prompt_tokens > 0)
        text, usage = '', None
        for chunk in client.chat.completions.create(**ask, stream=True, stream_options={'include_usage': True}):
            usage = chunk.usage or usage
            for choice in chunk.choices: text += choice.delta.content or ''
        check('it streams the same', (text, usage.completion_tokens), (a.choices[0].message.content, a.usage.completion_tokens))
        # llama.cpp may read the second prompt from its cache: the tokens are the same, their kinds are not.
        check('its cost', (usage.prompt_tokens, usage.cost > 0), (a.usage.prompt_tokens, True))
        print('it said:', repr(text))
finally: server.kill()
check.end()
