"""pydantic-ai's agents through the gateway: OpenAI's chat and Responses and Anthropic's messages, each to three dialects:
run, stream, a tool that is run, structured output, errors."""
import asyncio
import pydantic
from pydantic_ai import Agent, ModelHTTPError, NativeOutput
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from gateway import ADMIN, Checks, Gateway, Upstream, providers
from responses_upstream import handler

MODELS = {'openai': 'openai/gpt-4o', 'anthropic': 'anthropic/claude-sonnet-4-5', 'gemini': 'google/gemini-2.5-flash'}
check = Checks()


class Weather(pydantic.BaseModel):
    city: str
    degrees: int


async def one(door, dialect, model):
    what = f'{door} to {dialect}'
    # OpenAI's models are asked in the dialect of the client.
    text = 'Grüezi from ' + ('responses' if (door, dialect) == ('responses', 'openai') else dialect)
    agent = Agent(model, instructions='Be brief.')
    ran = await agent.run('Hello')
    check(f'{what}: text', ran.output, text)
    check(f'{what}: usage F4', (ran.usage.input_tokens, ran.usage.output_tokens, ran.usage.cache_read_tokens), (11, 7, 4))
    async with agent.run_stream('Hello') as stream:
        check(f'{what}: stream', await stream.get_output(), text)
        check(f'{what}: A1 the stream counts the same', (stream.usage.input_tokens, stream.usage.output_tokens), (11, 7))
    again = await agent.run('And again', message_history=ran.all_messages())
    check(f'{what}: a second turn', again.output, text)
    asked = []
    armed = Agent(model)

    @armed.tool_plain
    def get_weather(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return f'7 degrees in {city}'
    check(f'{what}: a tool is run', ((await armed.run('Weather?')).output, asked), (text, ['Zürich']))
    asked.clear()
    async with armed.run_stream('Weather?') as stream:
        check(f'{what}: a tool is run, streamed', (await stream.get_output(), asked), (text, ['Zürich']))
    shaped = await Agent(model, output_type=NativeOutput(Weather)).run('Weather?')
    check(f'{what}: structured output', shaped.output, Weather(city='Zürich', degrees=7))


async def main(g):
    openai = OpenAIProvider(base_url=g.url + '/v1', api_key=ADMIN)
    anthropic = AnthropicProvider(base_url=g.url, api_key=ADMIN)
    for dialect, name in MODELS.items():
        await one('chat', dialect, OpenAIChatModel(name, provider=openai))
        await one('responses', dialect, OpenAIResponsesModel(name, provider=openai))
        # By the name of a model alone its class knows what Claude can do, and nothing of the others.
        await one('messages', dialect, AnthropicModel(name, provider=anthropic, profile=ModelProfile(supports_json_schema_output=True)))
    for door, model in (('chat', OpenAIChatModel('openai/x-400', provider=openai)), ('responses', OpenAIResponsesModel('anthropic/x-400', provider=openai)),
                        ('messages', AnthropicModel('anthropic/x-400', provider=anthropic))):
        try: await Agent(model).run('Hello'); check(f'{door}: a refusal is an error', False)
        except ModelHTTPError as e: check(f'{door}: a refusal is an error', e.status_code, 400)


up = Upstream(handler)
with Gateway('[engine]\nfailure_rest_ms = 0\n' + providers(up.port)) as g: asyncio.run(main(g))
check.end()
