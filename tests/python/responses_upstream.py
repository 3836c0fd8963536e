"""An upstream that speaks OpenAI's Responses, unary and streamed, and at other paths the three dialects of chat."""
import json
from dialects import handler as chat_handler

USAGE = {'input_tokens': 11, 'input_tokens_details': {'cached_tokens': 4, 'cache_write_tokens': 0}, 'output_tokens': 7, 'output_tokens_details': {'reasoning_tokens': 0}, 'total_tokens': 18}


async def handler(up, request, body):
    """A Responses upstream; other paths speak chat dialects."""
    if not request.path.endswith('/responses'): return await chat_handler(up, request, body)
    if body['model'].endswith('-failed') or body['model'].endswith('-429'):
        if body['model'].endswith('-429'): return up.web.json_response({'error': {'message': 'slow down', 'type': 'rate_limit', 'code': 'rate_limit_exceeded', 'param': None}}, status=429, headers={'retry-after': '1'})
        text = ''.join(f'event: {e["type"]}\ndata: {json.dumps(e)}\n\n' for e in (
            {'type': 'response.created', 'sequence_number': 0, 'response': {'id': 'resp_f', 'object': 'response', 'created_at': 1, 'model': 'x', 'status': 'in_progress', 'output': []}},
            {'type': 'error', 'sequence_number': 1, 'error': {'type': 'server_error', 'code': 'server_error', 'message': 'oops', 'param': None}}))
        return up.web.Response(text=text, content_type='text/event-stream')
    last = body['input'][-1] if isinstance(body['input'], list) else {}
    wants = body.get('tools') and last.get('type') != 'function_call_output'
    schema = (body.get('text') or {}).get('format', {}).get('type') == 'json_schema'
    number = len([1 for path, *_ in up.seen if path.endswith('/responses')])
    text = '{"city":"Zürich","degrees":7}' if schema else 'Grüezi from responses'
    item = {'type': 'function_call', 'id': f'fc_{number}', 'call_id': 'call_1', 'name': 'get_weather', 'arguments': '{"city":"Zürich"}', 'status': 'completed'} if wants else \
        {'type': 'message', 'id': f'msg_{number}', 'role': 'assistant', 'status': 'completed', 'content': [{'type': 'output_text', 'text': text, 'annotations': [], 'logprobs': []}]}
    sealed = {'type': 'reasoning', 'id': f'rs_{number}', 'summary': [], 'encrypted_content': 'gAAAAABsealed'}
    base = {'id': f'resp_up{number}', 'object': 'response', 'created_at': 1750000000, 'model': body['model'] + '-2025', 'error': None, 'incomplete_details': None, 'instructions': None, 'metadata': {},
            'parallel_tool_calls': True, 'temperature': 1.0, 'top_p': 1.0, 'tool_choice': 'auto', 'tools': body.get('tools') or [], 'store': False, 'previous_response_id': None, 'x_extra': {'big': 12345678901234567890}}
    done = base | {'status': 'completed', 'output': [sealed, item], 'usage': USAGE}
    if not body.get('stream'): return up.web.json_response(done)
    events = [{'type': 'response.created', 'response': base | {'status': 'in_progress', 'output': []}}, {'type': 'response.in_progress', 'response': base | {'status': 'in_progress', 'output': []}},
              {'type': 'response.output_item.added', 'output_index': 0, 'item': sealed}, {'type': 'response.output_item.done', 'output_index': 0, 'item': sealed}]
    here = {'item_id': item['id'], 'output_index': 1}
    if wants:
        events += [{'type': 'response.output_item.added', 'output_index': 1, 'item': item | {'arguments': '', 'status': 'in_progress'}},
                   *({'type': 'response.function_call_arguments.delta', **here, 'delta': p} for p in ('{"city":', '"Zürich"}')),
                   {'type': 'response.function_call_arguments.done', **here, 'name': 'get_weather', 'arguments': item['arguments']}]
    else:
        at = here | {'content_index': 0}
        events += [{'type': 'response.output_item.added', 'output_index': 1, 'item': item | {'content': [], 'status': 'in_progress'}}, {'type': 'response.content_part.added', **at, 'part': item['content'][0] | {'text': ''}},
                   *({'type': 'response.output_text.delta', **at, 'delta': p, 'logprobs': [], 'obfuscation': 'xyz'} for p in (text[:6], text[6:])),
                   {'type': 'response.output_text.done', **at, 'text': text, 'logprobs': []}, {'type': 'response.content_part.done', **at, 'part': item['content'][0]}]
    events += [{'type': 'response.output_item.done', 'output_index': 1, 'item': item}, {'type': 'response.completed', 'response': done}]
    answer = up.web.StreamResponse(headers={'content-type': 'text/event-stream'})
    await answer.prepare(request)
    data = ''.join(f'event: {e["type"]}\ndata: {json.dumps(e | {"sequence_number": n}, ensure_ascii=False)}\n\n' for n, e in enumerate(events)).encode()
    for at in range(0, len(data), 41): await answer.write(data[at:at + 41])
    await answer.write_eof()
    return answer
