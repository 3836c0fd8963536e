#!/usr/bin/env python3
"""Writes the catalogue files beside it from the facts in ../shared/data/catalog.

usage: refresh.py [FACTS_FOLDER [INTO]]     (default: $HEADWORKS_SHARED_DATA/catalog or ../shared/data/catalog)

One file per provider: what the host is, then one line per model. Prices stay decimal strings, US dollars per million tokens.
"""
import json, os, pathlib, re, sys

HERE = pathlib.Path(__file__).resolve().parent
DIALECTS = {'openai-chat': 'openai', 'openai-responses': 'openai-responses', 'anthropic-messages': 'anthropic', 'gemini': 'gemini',
            'azure-openai': 'azure', 'bedrock-converse': 'bedrock', 'cohere-v2': 'cohere', 'voyage': 'voyage'}
# They make the models they serve: bare names resolve to them.
MAKERS = {'ai21', 'alibaba', 'anthropic', 'cohere', 'deepseek', 'google', 'inception', 'meta', 'minimax', 'mistral', 'moonshot', 'openai',
          'perplexity', 'stepfun', 'upstage', 'voyage', 'xai', 'xiaomi', 'zai'}
VERSION_IN_PATH = {'anthropic': '/v1', 'gemini': '/v1beta', 'cohere': '/v2'}
REGIONS = {'ovhcloud': ['eu'], 'scaleway': ['eu'], 'stackit': ['eu']}
CLOUD_AUTH = {'oauth-service-account': 'google', 'sigv4': 'aws'}
# A region that stands before a model's name: it is served there.
IN_REGION = re.compile(r'([a-z]+(?:-[a-z]+)+-\d)/(.+)')
# Words of the facts for dialects inside a cloud's own paths.
INSIDE = {'vertex': {'anthropic-vertex-rawpredict': 'anthropic', 'vertex-rawpredict': 'openai'}}
# What each host does otherwise than its dialect: from `quirks` of the facts, one line per statement there.
# Other hosts' words, answered by "Unrecognized request argument".
UNKNOWN_TO_OPENAI = ['top_k', 'min_p', 'repetition_penalty']

QUIRKS = {
    'alibaba': {'reasoning_option': 'enable_thinking', 'stream_only': ['qwq', 'qvq']},
    'azure': {'developer_role': True, 'responses': True, 'rejects': UNKNOWN_TO_OPENAI},
    'cerebras': {'reasoning_field': 'reasoning'},
    'deepinfra': {'reasoning_beside_completion': True, 'required_word': '', 'named_tool_choice': False, 'plain_text_content': True},
    'deepseek': {'reasoning_field': 'reasoning_content', 'echo_reasoning': True, 'plain_text_content': True},
    'fireworks': {'required_word': 'any', 'tools_or_format': True},
    'groq': {'reasoning_field': 'reasoning'},
    'minimax': {'always': {'reasoning_split': 'true'}},
    # Recorded requests show that it takes a tool by name, tools' messages without names, and the user after a tool.
    'mistral': {'seed_field': 'random_seed', 'stream_usage_option': False, 'required_word': 'any', 'short_call_ids': True,
                'assistant_prefix': True, 'prefill': True, 'thinking_parts': True, 'document_parts': True, 'rejects': ['logit_bias', 'user']},
    'moonshot': {'echo_reasoning': True, 'plain_text_content': True, 'required_word': ''},
    'ollama': {'reasoning_field': 'reasoning', 'prefill': True},
    'openai': {'developer_role': True, 'responses': True, 'rejects': UNKNOWN_TO_OPENAI},
    'openrouter': {'reasoning_field': 'reasoning', 'reasoning_option': 'reasoning', 'responses': True},
    'perplexity': {'stream_usage_option': False, 'reasoning_beside_completion': True, 'alternate': True,
                   'rejects': ['tools', 'tool_choice', 'parallel_tool_calls']},
    'sambanova': {'plain_text_content': True},
    'together': {'reasoning_field': 'reasoning'},
    'vllm': {'reasoning_field': 'reasoning'},
    'xai': {'reasoning_beside_completion': True, 'no_names': True, 'reasoning_rejects': ['stop', 'presence_penalty', 'frequency_penalty'], 'responses': True},
    'zai': {'reasoning_option': 'thinking'},
}
# How hosts take requests for vectors, from their API references: most inputs and tokens in a request, what they take and how they call it.
EMBED = {
    'azure': {'inputs': 2048, 'tokens': 300000, 'base64': True},
    'cohere': {'inputs': 96},
    'google': {'inputs': 100},
    'mistral': {'inputs': 256, 'tokens': 16384, 'text_only': True, 'base64': True, 'dimensions_field': 'output_dimension'},
    'nvidia': {'text_only': True, 'purpose_field': 'input_type', 'document_word': 'passage'},
    'openai': {'inputs': 2048, 'tokens': 300000, 'base64': True},
    'openrouter': {'base64': True, 'purpose_field': 'input_type'},
    'perplexity': {'inputs': 512, 'tokens': 120000, 'text_only': True, 'int8': True},
    'vertex': {'inputs': 250, 'tokens': 20000},
    'vllm': {'base64': True},
    'voyage': {'inputs': 1000, 'tokens': 120000, 'text_only': True, 'base64': True, 'dimensions_field': 'output_dimension', 'purpose_field': 'input_type'},
}
RATES = ['input', 'output', 'cache_read', 'cache_write_5m', 'cache_write_1h', 'cache_write_12h', 'reasoning', 'input_audio', 'output_audio',
         'cache_read_audio', 'image', 'output_image']
CAPABILITIES = ['tools', 'parallel_tools', 'vision', 'pdf', 'audio', 'structured_output', 'reasoning', 'streaming']


def text(value): return json.dumps(value, ensure_ascii=False)


def inline(pairs): return '{ ' + ', '.join(f'{k if k.replace("_", "").replace("-", "").isalnum() else text(k)} = {v}' for k, v in pairs) + ' }'


def texts(values): return '[' + ', '.join(map(text, values)) + ']'


def rates(prices):
    names = {'image': 'input_image', 'cache_write': 'cache_write_5m'}
    return [(names.get(k, k), text(prices[k])) for k in RATES + ['cache_write'] if isinstance(prices.get(k), str)]


def price(prices):
    out = rates(prices)
    if prices.get('tiers'):
        out.append(('tiers', '[' + ', '.join(inline([('above', t['above_input_tokens'])] + rates(t)) for t in prices['tiers']) + ']'))
    tiers = [(name, inline(rates(t))) for name, t in sorted((prices.get('service_tiers') or {}).items()) if rates(t)]
    if tiers: out.append(('service_tiers', inline(tiers)))
    quiet = prices.get('off_peak')
    if quiet:
        spans = []
        for w in quiet['windows_utc']:
            hours = w['hours_utc'] if isinstance(w['hours_utc'], list) else [w['hours_utc']]
            spans.append(inline([('days', '[' + ', '.join(map(str, w['weekdays'])) + ']'), ('hours', texts(hours))]))
        out.append(('off_peak', inline(rates(quiet) + [('windows', '[' + ', '.join(spans) + ']')])))
    places = prices.get('residency_multipliers')
    if places: out.append(('residency', inline([(place, text(factor)) for place, factor in sorted(places.items())])))
    return inline(out) if out else None


def model(m, host_word, ids):
    provider, name = m['id'].split('/', 1)
    out = [('name', text(name))]
    placed = IN_REGION.fullmatch(m['upstream_model'])
    upstream = placed[2] if placed else m['upstream_model']
    if upstream != name: out.append(('upstream', text(upstream)))
    if m['mode'] != 'chat': out.append(('mode', text(m['mode'])))
    if m.get('wire_dialect') and m['wire_dialect'] != host_word:
        known = INSIDE.get(provider, {}).get(m['wire_dialect']) or DIALECTS.get(m['wire_dialect'])
        out.append(('dialect', text(known)) if known else ('foreign', text(m['wire_dialect'])))
    for key, short in (('context_window', 'context'), ('max_input_tokens', 'max_input'), ('max_output_tokens', 'max_output')):
        if m.get(key): out.append((short, m[key]))
    cost = price(m['prices'] or {})
    if cost: out.append(('price', cost))
    caps = m['capabilities'] or {}
    for word, value in (('can', True), ('cannot', False)):
        names = [c for c in CAPABILITIES if caps.get(c) is value]
        if word == 'cannot' and m.get('temperature') is False: names.append('sampling')
        if names: out.append((word, texts(names)))
    if caps.get('prompt_caching'): out.append(('caching', text(caps['prompt_caching'])))
    for option in m.get('reasoning_options') or []:
        if option['type'] == 'effort' and option.get('values'):
            out.append(('efforts', texts([v for v in option['values'] if isinstance(v, str) and v != 'default'])))
        if option['type'] == 'budget_tokens': out.append(('thinking_budget', f"[{option.get('min') or 0}, {option.get('max') or 0}]"))
        if option['type'] == 'toggle': out.append(('thinking_toggle', 'true'))
    if m.get('cache_min_tokens'): out.append(('cache_min', m['cache_min_tokens']))
    regions = m.get('regions') or (['eu'] if m.get('eu') is True else [])
    if regions: out.append(('regions', texts(regions)))
    if m['status'] != 'active': out.append(('status', text(m['status'] if m['status'] in ('preview', 'deprecated') else 'hidden')))
    if m.get('deprecation_date'): out.append(('deprecation', text(m['deprecation_date'])))
    if m.get('release_date'): out.append(('release', text(m['release_date'])))
    if m.get('aliases'): out.append(('aliases', texts(m['aliases'])))
    # Only what names another model of the catalogue says that both are one.
    if m.get('canonical_model') in ids and m['canonical_model'] != m['id']: out.append(('canonical', text(m['canonical_model'])))
    if m.get('embedding_dimensions'): out.append(('dimensions', m['embedding_dimensions']))
    units = (m['prices'] or {}).get('unit_prices')
    if units: out.append(('units', inline([(unit, text(amount)) for unit, amount in sorted(units.items())])))
    return inline(out)


def host(p, models, ids):
    word = p['wire_dialect']
    dialect = 'vertex' if p['id'] == 'vertex' else DIALECTS.get(word)
    url = p['base_urls']['default']
    if not url.startswith('http'): url = ''
    suffix = VERSION_IN_PATH.get(dialect)
    if suffix and url.rstrip('/').endswith(suffix): url = url.rstrip('/')[:-len(suffix)]
    auth = p['auth']
    scheme = {'bearer': 'bearer', 'none': 'none'}.get(auth['scheme'])
    if auth['scheme'] == 'api-key-header': scheme = 'header:' + auth['header']
    if p['id'] == 'azure': scheme = 'azure'
    scheme = scheme or CLOUD_AUTH.get(auth['scheme'])
    out = [f'# Facts about {p["name"]}; written by refresh.py.', f'name = {text(p["name"])}']
    if dialect: out.append(f'dialect = {text(dialect)}')
    out += [f'dialect_word = {text(word)}', f'base_url = {text(url.rstrip("/"))}', f'auth = {text(scheme or "unsupported:" + auth["scheme"])}']
    keys = [e for e in p.get('env') or [] if e.endswith(('KEY', 'TOKEN'))]
    # What is signed with is no key to show.
    if scheme == 'aws': keys = [auth['alternative']['env']]
    if keys: out.append(f'key_env = {texts(keys)}')
    if p['id'] in REGIONS: out.append(f'regions = {texts(REGIONS[p["id"]])}')
    if p['id'] not in MAKERS: out.append('reseller = true')
    quirks = []
    if 'max_completion_tokens' in p['quirks'].get('max_tokens_param', ''): quirks.append(('max_tokens_field', text('max_completion_tokens')))
    for key, value in QUIRKS.get(p['id'], {}).items():
        quirks.append((key, inline([(k, text(v)) for k, v in value.items()]) if isinstance(value, dict) else texts(value) if isinstance(value, list) else text(value)))
    if p['id'] in EMBED: quirks.append(('embed', inline([(k, text(v)) for k, v in EMBED[p['id']].items()])))
    if auth.get('extra_headers'): quirks.append(('headers', inline([(k, text(v)) for k, v in auth['extra_headers'].items()])))
    if quirks: out += ['', '[quirks]'] + [f'{k} = {v}' for k, v in quirks]
    mantle = p['base_urls'].get('mantle', '').split(' ')[0]
    if mantle: tail = '\n[endpoints]\n' + ''.join(f'{k} = {text(v)}\n' for k, v in
        (('openai', mantle), ('openai-responses', mantle), ('anthropic', mantle.removesuffix('/v1') + '/anthropic')))
    else: tail = ''
    for m in models: out.append(f'[[models]]\nm = {model(m, word, ids)}')
    body = '\n'.join(out)
    # one array of inline tables reads better than a thousand headers
    head, *rest = body.split('\n[[models]]\nm = ')
    quirk = ''
    if '\n\n[quirks]' in head: head, quirk = head.split('\n\n[quirks]'); quirk = '\n\n[quirks]' + quirk
    return head + '\n\nmodels = [\n' + ''.join(f'  {line},\n' for line in rest) + ']' + quirk + '\n' + tail


def main():
    shared = os.environ.get('HEADWORKS_SHARED_DATA') or HERE.parents[2].parent / 'shared' / 'data'
    facts = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(shared) / 'catalog'
    into = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else HERE
    models = json.loads((facts / 'models.json').read_text())
    for p in json.loads((facts / 'providers.json').read_text()):
        mine = sorted((m for m in models if m['provider'] == p['id']), key=lambda m: m['id'])
        (into / f'{p["id"]}.toml').write_text(host(p, mine, {m['id'] for m in models}))
        print(f'{p["id"]}: {len(mine)} models')


if __name__ == '__main__': main()
