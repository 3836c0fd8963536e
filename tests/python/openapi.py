"""OpenAI's public OpenAPI document, which says whether an answer is one of theirs."""
import functools, json, os, pathlib

DATA = pathlib.Path(os.environ.get('HEADWORKS_SHARED_DATA', '../shared/data'))


@functools.cache
def document():
    """The document; None where it is not there."""
    path = DATA / 'openapi/openai.json'
    return nullable(json.loads(path.read_text())) if path.exists() else None


def nullable(value):
    """The older way to allow null, which the document still uses in places, in the words of JSON Schema."""
    if isinstance(value, list): return [nullable(v) for v in value]
    if not isinstance(value, dict): return value
    value = {k: nullable(v) for k, v in value.items()}
    return {'anyOf': [{k: v for k, v in value.items() if k != 'nullable'}, {'type': 'null'}]} if value.get('nullable') is True else value


@functools.cache
def validator(name):
    """Checks values against the schema of this name."""
    import jsonschema, referencing
    registry = referencing.Registry().with_resource('urn:openai', referencing.Resource(contents=document(), specification=referencing.jsonschema.DRAFT202012))
    return jsonschema.Draft202012Validator({'$ref': f'urn:openai#/components/schemas/{name}'}, registry=registry)


def unfit(value, validator):
    """What is wrong by the schema, in a line; None where nothing is."""
    errors = sorted(validator.iter_errors(value), key=lambda e: list(map(str, e.absolute_path)))
    if not errors: return None
    deepest = min(errors[0].context, key=lambda e: -len(e.absolute_path)) if errors[0].context else errors[0]
    return f'{"/".join(map(str, deepest.absolute_path))}: {deepest.message[:200]}'
