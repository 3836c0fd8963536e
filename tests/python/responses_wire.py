"""OpenAI's Responses as test tools: what an answer says, whether it fits OpenAI's own schemas, and a loopback upstream."""
import functools, json
from openapi import document, unfit, validator

HOSTED_BY_CLIENT = {'custom_tool_call', 'local_shell_call', 'computer_call', 'apply_patch_call'}


def sse(raw):
    """(event name, data) of each event."""
    for block in raw.decode().replace('\r\n', '\n').split('\n\n'):
        lines = [line for line in block.split('\n') if line and not line.startswith(':')]
        name = ''.join(line[6:].strip() for line in lines if line.startswith('event:'))
        data = '\n'.join(line[5:].lstrip(' ') for line in lines if line.startswith('data:'))
        if data and data != '[DONE]': yield name, json.loads(data)


@functools.cache
def schemas():
    """Validators for `Response` and for each event of the stream, from OpenAI's public document; None where it is not there."""
    if not document(): return None
    each = document()['components']['schemas']
    events = {}
    for ref in each['ResponseStreamEvent']['anyOf']:
        name = ref['$ref'].split('/')[-1]
        kind = each[name]['properties']['type']
        events[kind.get('const') or kind['enum'][0]] = validator(name)
    return validator('Response'), events


def order(events):
    """What is wrong with the order of a stream's events; None where nothing is."""
    if not events: return 'no events'
    kinds = [data['type'] for _, data in events]
    for name, data in events:
        if name and name != data['type']: return f'event: {name} holds {data["type"]}'
    numbers = [data['sequence_number'] for _, data in events]
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))): return f'sequence numbers {numbers[:10]}'
    if kinds[0] != 'response.created': return f'begins with {kinds[0]}'
    if kinds.count('response.created') != 1: return 'created more than once'
    if kinds[-1] not in ('response.completed', 'response.incomplete', 'response.failed'): return f'ends with {kinds[-1]}'
    open_, done = {}, {}
    for _, data in events:
        kind, at = data['type'], data.get('output_index')
        if kind == 'response.output_item.added':
            if at in open_ or at in done: return f'item {at} added twice'
            open_[at] = data['item'].get('id')
        elif kind == 'response.output_item.done':
            if at not in open_: return f'item {at} done before it was added'
            open_.pop(at); done[at] = data['item']
        elif kind.endswith('.delta') and at not in open_: return f'{kind} of item {at}, which is not open'
        if data.get('item_id') and at in open_ and data['item_id'] != open_[at]: return f'{kind}: item_id {data["item_id"]} is not that of item {at}'
    if open_: return f'items {list(open_)} never done'
    return None


def said(objects, stream, answer):
    """Puts what a response (or the events of one) says into `answer`: text, calls in order, usage, error."""
    if not stream:
        response = objects[0]
        items = response.get('output') or []
    else:
        items = [o['item'] for o in objects if o.get('type') == 'response.output_item.done']
        response = next((o['response'] for o in reversed(objects) if o.get('type') in ('response.completed', 'response.incomplete', 'response.failed')), {})
        if not items: items = response.get('output') or []
        answer.text = ''.join(o['delta'] for o in objects if o.get('type') == 'response.output_text.delta')
        error = next((o for o in objects if o.get('type') == 'error'), None)
        if error or not response: answer.error = error or 'no end'
    if response.get('error') or response.get('status') in ('failed', 'queued', 'in_progress'): answer.error = response.get('error') or response['status']
    text = ''
    for item in items:
        if item['type'] == 'message': text += ''.join(part.get('text') or '' for part in item.get('content') or [])
        elif item['type'] == 'function_call': answer.tool(item['name'], item.get('arguments')); answer.ids.append(item.get('call_id'))
        elif item['type'] == 'reasoning': answer.reasoning += ''.join(part.get('text') or '' for part in item.get('summary') or [])
    answer.text = answer.text or text
    usage = response.get('usage') or {}
    if usage.get('output_tokens') is not None: answer.inp, answer.out = usage['input_tokens'], usage['output_tokens']
    answer.cached = (usage.get('input_tokens_details') or {}).get('cached_tokens')
    return answer
