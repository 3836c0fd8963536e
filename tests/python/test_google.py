"""Google's and Azure's credentials, end to end: tokens are fetched from endpoints on loopback that check what they are asked,
and shown to hosts that check what they are shown. A service account's assertion is verified by PyJWT with its public key."""
import concurrent.futures, json, os, pathlib, tempfile, threading, time, urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
import dialects
from gateway import Checks, Gateway

check = Checks()
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = {name: KEY.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
       for name, form in (('pkcs8', serialization.PrivateFormat.PKCS8), ('pkcs1', serialization.PrivateFormat.TraditionalOpenSSL))}
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix='headworks-credentials-'))


class World:
    """What the endpoints saw and how they answer."""
    def __init__(self): self.reset()
    def reset(self, lasts=3600, refuse=None):
        self.asked, self.seen, self.valid, self.wrong, self.lasts, self.refuse, self.lock = [], [], set(), [], lasts, refuse, threading.Lock()
    def token(self, kind):
        with self.lock:
            self.asked.append(kind); token = f'ya29.secret-{kind}-{len(self.asked)}'
            self.valid.add(token)
        return {'access_token': token, 'token_type': 'Bearer', 'expires_in': self.lasts}
    def want(self, what, got, want):
        if got != want: self.wrong.append((what, got, want))


world = World()
AZURE_SCOPE = 'https://cognitiveservices.azure.com/.default'


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *_): pass

    def reply(self, status, body, kind='application/json'):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status); self.send_header('content-type', kind); self.send_header('content-length', str(len(data))); self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        at = urllib.parse.urlsplit(self.path); query = dict(urllib.parse.parse_qsl(at.query))
        if at.path == '/computeMetadata/v1/instance/service-accounts/default/token':
            world.want('metadata flavor', self.headers['metadata-flavor'], 'Google')
            return self.reply(200, world.token('metadata'))
        if at.path in ('/metadata/identity/oauth2/token', '/msi'):
            world.want('resource', query.get('resource'), 'https://cognitiveservices.azure.com')
            if at.path == '/msi':
                world.want('identity header', self.headers['x-identity-header'], 'id-header-secret')
                world.want('api version', query.get('api-version'), '2019-08-01')
                token = world.token('app'); del token['expires_in']
                return self.reply(200, token | {'expires_on': str(int(time.time()) + world.lasts)})
            world.want('metadata', self.headers['metadata'], 'true')
            world.want('api version', query.get('api-version'), '2018-02-01')
            token = world.token('machine')
            return self.reply(200, token | {'expires_in': str(token['expires_in'])})
        self.reply(404, {'error': {'message': 'no ' + self.path}})

    def do_POST(self):
        raw = self.rfile.read(int(self.headers['content-length'] or 0))
        if self.path == '/token' or self.path.endswith('/oauth2/v2.0/token'):
            form = dict(urllib.parse.parse_qsl(raw.decode()))
            world.want('form', self.headers['content-type'], 'application/x-www-form-urlencoded')
            if world.refuse: return self.reply(*world.refuse)
            if self.path != '/token':
                world.want('tenant', self.path, '/my-tenant/oauth2/v2.0/token')
                world.want('client', (form['client_id'], form['scope'], form['grant_type']), ('my-client', AZURE_SCOPE, 'client_credentials'))
                if 'client_secret' in form:
                    world.want('secret', form['client_secret'], 'azure client+secret&='); return self.reply(200, world.token('secret'))
                world.want('assertion', (form['client_assertion'], form['client_assertion_type']), ('federated.token.1', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'))
                return self.reply(200, world.token('federated'))
            if form['grant_type'] == 'refresh_token':
                world.want('user', (form['client_id'], form['client_secret'], form['refresh_token']), ('user-client', 'user-secret', 'user-refresh'))
                return self.reply(200, world.token('user'))
            world.want('grant', form['grant_type'], 'urn:ietf:params:oauth:grant-type:jwt-bearer')
            claims = jwt.decode(form['assertion'], KEY.public_key(), algorithms=['RS256'], audience=URL + '/token', issuer='robot@project.example')
            world.want('scope', claims['scope'], 'https://www.googleapis.com/auth/cloud-platform')
            world.want('life', claims['exp'] - claims['iat'], 3600)
            world.want('key id', jwt.get_unverified_header(form['assertion'])['kid'], 'key-1')
            return self.reply(200, world.token('account'))
        body = json.loads(raw)
        shown = self.headers['authorization'] or ''
        with world.lock: world.seen.append((self.path, shown, self.headers['api-key'], body))
        if self.headers['api-key'] != 'azure-key' and shown != 'Bearer ready-token' and shown.removeprefix('Bearer ') not in world.valid:
            return self.reply(401, {'error': {'code': 401, 'message': 'Request had invalid credentials: ' + shown, 'status': 'UNAUTHENTICATED'}})
        if 'publishers/google' in self.path: data, kind = dialects.gemini(body, 'gemini-2.5-flash', 'stream' in self.path)
        elif 'anthropic' in self.path: data, kind = dialects.anthropic(body, body.get('model', 'claude'))
        else: data, kind = dialects.openai(body, body['model'])
        self.reply(200, data, kind)


server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
PORT = server.server_address[1]
URL = f'http://127.0.0.1:{PORT}'
NOTHING = {name: '' for name in ('GOOGLE_APPLICATION_CREDENTIALS', 'GOOGLE_VERTEX_PROJECT', 'GOOGLE_VERTEX_LOCATION', 'GOOGLE_CLOUD_PROJECT', 'GCE_METADATA_HOST', 'CLOUDSDK_CONFIG',
                                 'AZURE_API_KEY', 'AZURE_OPENAI_API_KEY', 'AZURE_TENANT_ID', 'AZURE_CLIENT_ID', 'AZURE_CLIENT_SECRET', 'AZURE_FEDERATED_TOKEN_FILE',
                                 'AZURE_AUTHORITY_HOST', 'AZURE_POD_IDENTITY_AUTHORITY_HOST', 'IDENTITY_ENDPOINT', 'IDENTITY_HEADER')} | {'HOME': str(FOLDER)}
VERTEX = f'[providers.vertex]\nbase_url = "{URL}/v1"\nproject = "my-project"\nlocation = "europe-west4"\n'
AZURE = f'[providers.azure]\nbase_url = "{URL}/openai"\n'


def file(name, **content):
    path = FOLDER / name; path.write_text(json.dumps(content)); return str(path)


def account(name='account.json', pem='pkcs8', **more):
    return file(name, type='service_account', client_email='robot@project.example', private_key=PEM[pem], private_key_id='key-1', token_uri=URL + '/token', **more)


def run(title, config, env, model, wanted_asked, bearer=None, answer=None, calls=1, **world_is):
    """One gateway with these credentials; every call must be answered, with tokens asked for as said."""
    world.reset(**world_is)
    with Gateway(config, env=NOTHING | env, store='memory') as g:
        for _ in range(calls):
            status, _, body = g.chat(model)
            check(f'{title}: answered', (status, body.get('choices', [{}])[0].get('message', {}).get('content')), (200, answer or 'Grüezi from gemini'))
        log = (g.folder / 'log').read_text()
    check(f'{title}: tokens asked for', world.asked, wanted_asked)
    check(f'{title}: what endpoints were asked is right', world.wrong, [])
    if bearer: check(f'{title}: shown', {s[1] for s in world.seen}, {bearer})
    check(f'{title}: no secret in the log', [w for w in ('ya29.secret', 'PRIVATE KEY', 'azure client', 'user-secret', 'id-header-secret') if w in log], [])


GEMINI, GPT = 'vertex/gemini-2.5-flash', 'azure/gpt-4o'
# Google
run('service account', VERTEX, {'GOOGLE_APPLICATION_CREDENTIALS': account()}, GEMINI, ['account'], 'Bearer ya29.secret-account-1', calls=3)
check('Vertex path', world.seen[0][0], '/v1/projects/my-project/locations/europe-west4/publishers/google/models/gemini-2.5-flash:generateContent')
run('service account, PKCS #1 key', VERTEX, {'GOOGLE_APPLICATION_CREDENTIALS': account('old.json', 'pkcs1')}, GEMINI, ['account'])
run('a token that has ended is not shown again', VERTEX, {'GOOGLE_APPLICATION_CREDENTIALS': account()}, GEMINI, ['account'] * 3, calls=3, lasts=0)
check('each call had its own', [s[1] for s in world.seen], [f'Bearer ya29.secret-account-{n}' for n in (1, 2, 3)])
user = file('user.json', type='authorized_user', client_id='user-client', client_secret='user-secret', refresh_token='user-refresh', token_uri=URL + '/token')
run('user', VERTEX, {'GOOGLE_APPLICATION_CREDENTIALS': user}, GEMINI, ['user'], calls=2)
(FOLDER / '.config/gcloud').mkdir(parents=True)
(FOLDER / '.config/gcloud/application_default_credentials.json').write_text(pathlib.Path(user).read_text())
run("gcloud's own file", VERTEX, {}, GEMINI, ['user'])
(FOLDER / '.config/gcloud/application_default_credentials.json').unlink()
run('metadata server', VERTEX, {'GCE_METADATA_HOST': f'127.0.0.1:{PORT}'}, GEMINI, ['metadata'], calls=2)
run('a ready token', VERTEX + 'api_key_env = "READY"\n', {'READY': 'ready-token', 'GOOGLE_APPLICATION_CREDENTIALS': account()}, GEMINI, [], 'Bearer ready-token')
run('Claude on Vertex', VERTEX, {'GOOGLE_APPLICATION_CREDENTIALS': account()}, 'vertex/claude-sonnet-4-5', ['account'], answer='Grüezi from anthropic')
check('Claude path', (world.seen[0][0].split('/publishers/')[1], world.seen[0][3]['anthropic_version'], 'model' in world.seen[0][3]), ('anthropic/models/claude-sonnet-4-5:rawPredict', 'vertex-2023-10-16', False))
run('open model on Vertex', VERTEX, {'GOOGLE_APPLICATION_CREDENTIALS': account()}, 'vertex/openai/gpt-oss-120b-maas', ['account'], answer='Grüezi from openai')
check('open model path', (world.seen[0][0].split('/europe-west4')[1], world.seen[0][3]['model']), ('/endpoints/openapi/chat/completions', 'openai/gpt-oss-120b-maas'))

# Many calls at once ask for one token.
world.reset()
with Gateway(VERTEX, env=NOTHING | {'GOOGLE_APPLICATION_CREDENTIALS': account()}, store='memory') as g, concurrent.futures.ThreadPoolExecutor(16) as pool:
    statuses = [r[0] for r in pool.map(lambda _: g.chat(GEMINI), range(32))]
    check('32 calls at once', (statuses, world.asked), ([200] * 32, ['account']))
    # A token taken back: told, forgotten, and the next call is served by a new one.
    world.valid.clear()
    status, _, body = g.chat(GEMINI)
    check('a token taken back is the operator\'s matter', (status, body['error']['headworks']['reason']), (502, 'UPSTREAM_CREDENTIALS'))
    check('and not repeated', 'ya29' in json.dumps(body), False)
    status, _, body = g.chat(GEMINI)
    check('the next call has a new one', (status, world.asked), (200, ['account', 'account']))
    # Streamed, on the same token.
    status, headers, text = g.call('/v1/chat/completions', {'model': GEMINI, 'stream': True, 'messages': [{'role': 'user', 'content': 'hi'}]})
    check('streamed', (status, text.rstrip().endswith('data: [DONE]'), world.seen[-1][0].endswith(':streamGenerateContent?alt=sse')), (200, True, True))


def fails(title, config, env, model, words, secrets=(), **world_is):
    world.reset(**world_is)
    with Gateway(config, env=NOTHING | env, store='memory') as g:
        status, _, body = g.chat(model)
        text = json.dumps(body) + (g.folder / 'log').read_text()
    check(f'{title}: told', (status, body['error']['headworks']['reason'], [w for w in words if w not in body['error']['message']]), (502, 'UPSTREAM_CREDENTIALS', []))
    check(f'{title}: keeps secrets', [s for s in secrets if s in text], [])


fails('no file', VERTEX, {'GOOGLE_APPLICATION_CREDENTIALS': '/nowhere.json'}, GEMINI, ['/nowhere.json', 'GOOGLE_APPLICATION_CREDENTIALS'])
fails('a file that is none', VERTEX, {'GOOGLE_APPLICATION_CREDENTIALS': file('list.json', type='impersonated')}, GEMINI, ['list.json', 'impersonated'])
bad = file('bad.json', type='service_account', client_email='x', private_key='-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n', token_uri=URL + '/token')
fails('a key that is none', VERTEX, {'GOOGLE_APPLICATION_CREDENTIALS': bad}, GEMINI, ['bad.json', 'private_key'], ['c2VjcmV0'])
fails('refused', VERTEX, {'GOOGLE_APPLICATION_CREDENTIALS': account()}, GEMINI, ['/token', 'Invalid JWT Signature'], ['BEGIN'],
      refuse=(400, {'error': 'invalid_grant', 'error_description': 'Invalid JWT Signature.'}))
fails('nothing at all', VERTEX, {'GCE_METADATA_HOST': '127.0.0.1:1'}, GEMINI, ['GOOGLE_APPLICATION_CREDENTIALS'])

# Azure
ENTRA = {'AZURE_TENANT_ID': 'my-tenant', 'AZURE_CLIENT_ID': 'my-client', 'AZURE_AUTHORITY_HOST': URL + '/'}
FEDERATED = FOLDER / 'federated'; FEDERATED.write_text('federated.token.1\n')
say = {'answer': 'Grüezi from openai'}
run('Azure key', AZURE, {'AZURE_API_KEY': 'azure-key'}, GPT, [], **say)
check('Azure key in its header', (world.seen[0][:3]), ('/openai/v1/chat/completions', '', 'azure-key'))
run('client secret', AZURE, ENTRA | {'AZURE_CLIENT_SECRET': 'azure client+secret&='}, GPT, ['secret'], 'Bearer ya29.secret-secret-1', calls=3, **say)
run('workload identity', AZURE, ENTRA | {'AZURE_FEDERATED_TOKEN_FILE': str(FEDERATED)}, GPT, ['federated'], calls=2, **say)
run('an ended Entra token', AZURE, ENTRA | {'AZURE_CLIENT_SECRET': 'azure client+secret&='}, GPT, ['secret'] * 2, calls=2, lasts=0, **say)
run('identity of an app', AZURE, {'IDENTITY_ENDPOINT': URL + '/msi', 'IDENTITY_HEADER': 'id-header-secret'}, GPT, ['app'], calls=2, **say)
run('identity of a machine', AZURE, {'AZURE_POD_IDENTITY_AUTHORITY_HOST': URL}, GPT, ['machine'], calls=2, **say)
run('a deployment', AZURE + 'api_version = "2024-10-21"\ndeployments = { "gpt-4o" = "mine" }\n', {'AZURE_API_KEY': 'azure-key'}, GPT, [], **say)
check('deployment path', world.seen[0][0], '/openai/deployments/mine/chat/completions?api-version=2024-10-21')
run('Claude in Foundry', AZURE, {'AZURE_API_KEY': 'azure-key'}, 'azure/claude-sonnet-5', [], answer='Grüezi from anthropic')
check('Foundry path', world.seen[0][0], '/anthropic/v1/messages')
fails('Entra refuses', AZURE, ENTRA | {'AZURE_CLIENT_SECRET': 'azure client+secret&='}, GPT, ['my-tenant', 'AADSTS7000215'], ['azure client'],
      refuse=(401, {'error': 'invalid_client', 'error_description': 'AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1'}))
check.end()
