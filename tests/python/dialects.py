"""An upstream that speaks the three dialects, unary and streamed: text, a tool call, JSON, and errors by model name."""
import json


def sse(chunks, done=False, named=False):
    out = ''
    for c in chunks: out += (f'event: {c["type"]}\n' if named else '') + 'data: ' + json.dumps(c) + '\n\n'
    return (out + ('data: [DONE]\n\n' if done else '')).encode()


def say(body, dialect):
    """What the fake model answers: (text, tool call or None)."""
    if dialect == 'gemini':
        last = body['contents'][-1]['parts'][-1]
        wants = body.get('tools') and 'functionResponse' not in last
        schema = body['generationConfig'].get('responseJsonSchema')
    else:
        last = body['messages'][-1]
        content = last['content']
        answered = last['role'] == 'tool' or isinstance(content, list) and any(p.get('type') == 'tool_result' for p in content)
        wants = body.get('tools') and not answered
        schema = (body.get('response_format') or {}).get('json_schema') or (body.get('output_config') or {}).get('format')
    if wants: return '', ('get_weather', '{"city":"Zürich"}')
    return ('{"city":"Zürich","degrees":7}' if schema else 'Grüezi from ' + dialect), None


def openai(body, model):
    text, call = say(body, 'openai')
    usage = {'prompt_tokens': 11, 'completion_tokens': 7, 'total_tokens': 18, 'prompt_tokens_details': {'cached_tokens': 4}}
    calls = [{'index': 0, 'id': 'call_1', 'type': 'function', 'function': {'name': call[0], 'arguments': call[1]}}] if call else None
    finish = 'tool_calls' if call else 'stop'
    head = {'id': 'chatcmpl-1', 'object': 'chat.completion.chunk', 'created': 1750000000, 'model': model + '-2025-01-01'}
    if not body.get('stream'):
        message = {'role': 'assistant', 'content': text or None, 'refusal': None} | ({'tool_calls': [{k: v for k, v in calls[0].items() if k != 'index'}]} if calls else {})
        return json.dumps(head | {'object': 'chat.completion', 'choices': [{'index': 0, 'message': message, 'finish_reason': finish, 'logprobs': None}],
                                  'usage': usage, 'x_provider_extra': {'big': 12345678901234567890}}).encode(), 'application/json'
    chunk = lambda delta, reason=None: head | {'choices': [{'index': 0, 'delta': delta, 'finish_reason': reason}]}
    chunks = [chunk({'role': 'assistant', 'content': ''})]
    if calls: chunks += [chunk({'tool_calls': [calls[0] | {'function': {'name': call[0], 'arguments': ''}}]}), *(chunk({'tool_calls': [{'index': 0, 'function': {'arguments': p}}]}) for p in (call[1][:5], call[1][5:]))]
    chunks += [chunk({'content': w}) for w in text.split(' ') for w in (w if w == text.split(' ')[0] else ' ' + w,)]
    chunks.append(chunk({}, finish))
    if (body.get('stream_options') or {}).get('include_usage'): chunks.append(head | {'choices': [], 'usage': usage})
    return sse(chunks, done=True), 'text/event-stream'


def anthropic(body, model):
    text, call = say(body, 'anthropic')
    usage = {'input_tokens': 5, 'cache_read_input_tokens': 4, 'cache_creation_input_tokens': 2, 'output_tokens': 7}
    stop = 'tool_use' if call else 'end_turn'
    block = {'type': 'tool_use', 'id': 'toolu_1', 'name': call[0], 'input': json.loads(call[1])} if call else {'type': 'text', 'text': text}
    if not body.get('stream'):
        return json.dumps({'id': 'msg_1', 'type': 'message', 'role': 'assistant', 'model': model + '-20250101', 'content': [block], 'stop_reason': stop, 'usage': usage}).encode(), 'application/json'
    start = {'type': 'message_start', 'message': {'id': 'msg_1', 'type': 'message', 'role': 'assistant', 'model': model + '-20250101', 'content': [], 'stop_reason': None, 'usage': usage | {'output_tokens': 1}}}
    empty = block | ({'input': {}} if call else {'text': ''})
    pieces = [{'type': 'input_json_delta', 'partial_json': p} for p in ('', call[1][:6], call[1][6:])] if call else [{'type': 'text_delta', 'text': p} for p in (text[:4], text[4:])]
    return sse([start, {'type': 'ping'}, {'type': 'content_block_start', 'index': 0, 'content_block': empty},
                *({'type': 'content_block_delta', 'index': 0, 'delta': p} for p in pieces), {'type': 'content_block_stop', 'index': 0},
                {'type': 'message_delta', 'delta': {'stop_reason': stop}, 'usage': {'output_tokens': 7}}, {'type': 'message_stop'}], named=True), 'text/event-stream'


def gemini(body, model, stream):
    text, call = say(body, 'gemini')
    part = {'functionCall': {'name': call[0], 'args': json.loads(call[1])}, 'thoughtSignature': 'c2lnbmVk'} if call else {'text': text}
    usage = {'promptTokenCount': 11, 'cachedContentTokenCount': 4, 'candidatesTokenCount': 5, 'thoughtsTokenCount': 2, 'totalTokenCount': 18}
    whole = lambda p, reason: {'candidates': [{'content': {'role': 'model', 'parts': p}, 'index': 0} | ({'finishReason': reason} if reason else {})], 'usageMetadata': usage, 'modelVersion': model + '-001', 'responseId': 'r1'}
    if not stream: return json.dumps(whole([part], 'STOP')).encode(), 'application/json'
    return sse([whole([part], None), whole([], 'STOP')]), 'text/event-stream'


ERRORS = {'429': (429, {'retry-after': '1'}), '500': (500, {}), '401': (401, {}), '400': (400, {}), '529': (529, {})}


async def handler(upstream, request, body):
    web = upstream.web
    path = request.path
    dialect = 'anthropic' if path.endswith('/messages') else 'gemini' if '/v1beta/models/' in path else 'openai'
    model = path.split('/models/')[1].split(':')[0] if dialect == 'gemini' else body['model']
    for word, (status, headers) in ERRORS.items():
        if model.endswith('-' + word):
            error = {'type': 'overloaded_error' if word == '529' else 'some_error', 'message': f'fake {word} with key sk-fake-upstream-key'}
            return web.json_response({'type': 'error', 'error': error} if dialect == 'anthropic' else {'error': error | ({'status': 'FAKE', 'code': status} if dialect == 'gemini' else {'code': None, 'param': 'x'})}, status=status, headers=headers)
    data, kind = openai(body, model) if dialect == 'openai' else anthropic(body, model) if dialect == 'anthropic' else gemini(body, model, 'stream' in path)
    answer = web.StreamResponse(headers={'content-type': kind})
    await answer.prepare(request)
    for at in range(0, len(data), 37): await answer.write(data[at:at + 37])
    await answer.write_eof()
    return answer
