"""LangChain's OpenAI classes against upstreams of three dialects: invoke, stream, tools, structured output, both of OpenAI's APIs, errors."""
import openai, pydantic
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from gateway import ADMIN, Checks, Gateway, Upstream, providers
from responses_upstream import handler

MODELS = {'openai': 'openai/gpt-4o', 'anthropic': 'anthropic/claude-sonnet-4-5', 'gemini': 'google/gemini-2.5-flash'}
check = Checks()


class Weather(pydantic.BaseModel):
    """What the weather is."""
    city: str
    degrees: int


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f'7 degrees in {city}'


up = Upstream(handler)
with Gateway('[engine]\nfailure_rest_ms = 0\n' + providers(up.port)) as g:
    said = [SystemMessage('Be brief.'), HumanMessage('Hello')]
    for dialect, model in MODELS.items():
        # OpenAI's models are asked in the dialect of the client.
        by_responses = 'Grüezi from ' + ('responses' if dialect == 'openai' else dialect)
        # With a base URL of one's own LangChain asks for no usage unless told to.
        chat = ChatOpenAI(model=model, base_url=g.url + '/v1', api_key=ADMIN, max_retries=0, stream_usage=True)
        a = chat.invoke(said)
        check(f'{dialect}: text', (a.content, a.response_metadata['finish_reason']), (f'Grüezi from {dialect}', 'stop'))
        check(f'{dialect}: usage F4', (a.usage_metadata['input_tokens'], a.usage_metadata['output_tokens'], a.usage_metadata['input_token_details']['cache_read']), (11, 7, 4))
        check(f'{dialect}: served model', a.response_metadata['model_name'].startswith(model.split('/')[1]))
        whole = None
        for chunk in chat.stream(said): whole = chunk if whole is None else whole + chunk
        check(f'{dialect}: stream F11', (whole.content, whole.usage_metadata), (a.content, a.usage_metadata))
        silent = ChatOpenAI(model=model, base_url=g.url + '/v1', api_key=ADMIN, max_retries=0)
        check(f'{dialect}: A14 no usage unless asked', [c.usage_metadata for c in silent.stream(said) if c.usage_metadata], [])
        armed = chat.bind_tools([get_weather])
        asked = armed.invoke(said)
        check(f'{dialect}: a call', [(c['name'], c['args']) for c in asked.tool_calls], [('get_weather', {'city': 'Zürich'})])
        whole = None
        for chunk in armed.stream(said): whole = chunk if whole is None else whole + chunk
        check(f'{dialect}: a call, streamed', [(c['name'], c['args']) for c in whole.tool_calls], [('get_weather', {'city': 'Zürich'})])
        answered = armed.invoke([*said, asked, ToolMessage(get_weather.invoke(asked.tool_calls[0]['args']), tool_call_id=asked.tool_calls[0]['id'])])
        check(f'{dialect}: round trip of a tool', answered.content, f'Grüezi from {dialect}')
        check(f'{dialect}: structured', chat.with_structured_output(Weather, method='json_schema').invoke(said), Weather(city='Zürich', degrees=7))
        kept = ChatOpenAI(model=model, base_url=g.url + '/v1', api_key=ADMIN, max_retries=0, use_responses_api=True)
        check(f'{dialect}: Responses', kept.invoke(said).text, by_responses)
        check(f'{dialect}: Responses, streamed', ''.join(c.text for c in kept.stream(said)), by_responses)
        check(f'{dialect}: Responses, a call', [(c['name'], c['args']) for c in kept.bind_tools([get_weather]).invoke(said).tool_calls], [('get_weather', {'city': 'Zürich'})])
        check(f'{dialect}: three at once', [m.content for m in chat.batch([said] * 3)], [f'Grüezi from {dialect}'] * 3)
    # Token ids are LangChain's default; a text travels as numbers.
    vectors = OpenAIEmbeddings(model='sandbox/embedding', base_url=g.url + '/v1', api_key=ADMIN, check_embedding_ctx_length=False)
    check('vectors', [len(v) for v in vectors.embed_documents(['a', 'b c'])], [256, 256])
    try: ChatOpenAI(model='openai/x-429', base_url=g.url + '/v1', api_key=ADMIN, max_retries=0).invoke(said); check('429 is an error', False)
    except openai.RateLimitError as e: check('429: F13 retry-after', e.response.headers.get('retry-after'), '1')
    try: list(ChatOpenAI(model='sandbox/break-mid-stream', base_url=g.url + '/v1', api_key=ADMIN, max_retries=0).stream(said)); check('a broken stream is an error', False)
    except openai.APIError as e: check('a broken stream is an error', 'broke off' in str(e))
check.end()
