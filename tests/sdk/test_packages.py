"""Each package is built as it would be published, installed into an empty project, and its README's code runs there."""
import os, pathlib, re, shutil, subprocess, sys, tarfile, tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / 'tests/python')]
from gateway import ADMIN, Gateway

TOOLS, NODE = ROOT / 'target/tools/sdk', ROOT / 'sdk-gen/plugins/node/node_modules'
CLIENTS = ROOT / 'clients'


def run(*command, cwd=None, **more):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1500, **more)
    if done.returncode: raise SystemExit(f'FAILED: {" ".join(map(str, command))}\n{done.stdout[-4000:]}')
    return done.stdout


def code(language, fence):
    [block] = re.findall(rf'^```{fence}\n(.*?)^```', (CLIENTS / language / 'README.md').read_text(), re.S | re.M)
    return block


def python(folder, env):
    python = TOOLS / 'python/bin/python'
    shutil.copytree(CLIENTS / 'python', folder / 'source', ignore=shutil.ignore_patterns('build', '*.egg-info', '__pycache__'))
    run(python, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', folder, folder / 'source')
    [wheel] = folder.glob('*.whl')
    run(python, '-m', 'pip', 'install', '-q', '--no-deps', '--target', folder / 'site', wheel)
    assert (folder / 'site/headworks/py.typed').exists() and (folder / 'site/headworks/v1/chat_pb2.pyi').exists(), 'the wheel lacks its types'
    (folder / 'example.py').write_text(code('python', 'python'))
    return run(python, 'example.py', cwd=folder, env={**env, 'PYTHONPATH': str(folder / 'site')})


def typescript(folder, env):
    client = CLIENTS / 'typescript'
    if not (client / 'node_modules').exists(): (client / 'node_modules').symlink_to(NODE)
    run('npm', 'pack', '--silent', '--pack-destination', folder, cwd=client)
    [packed] = folder.glob('*.tgz')
    with tarfile.open(packed) as archive: archive.extractall(folder / 'unpacked', filter='data')
    (folder / 'node_modules/@headworks').mkdir(parents=True)
    (folder / 'unpacked/package').rename(folder / 'node_modules/@headworks/client')
    for scope in ('@bufbuild', '@connectrpc', '@types'): (folder / 'node_modules' / scope).symlink_to(NODE / scope)
    (folder / 'package.json').write_text('{"type": "module"}')
    (folder / 'example.ts').write_text(code('typescript', 'ts'))
    run(NODE / '.bin/tsc', '--strict', '--target', 'es2022', '--module', 'nodenext', '--types', 'node', 'example.ts', cwd=folder)
    return run('node', 'example.js', cwd=folder, env=env)


def go(folder, env):
    for name in ('go.mod', 'go.sum'): shutil.copy(HERE / 'go' / name, folder / name)
    module = (folder / 'go.mod').read_text().replace('headworks/tests/sdk', 'example').replace('../../../clients/go', str(CLIENTS / 'go'))
    (folder / 'go.mod').write_text(module)
    (folder / 'main.go').write_text(code('go', 'go'))
    return run('go', 'run', '-mod=mod', '.', cwd=folder, env=env)


def java(folder, env):
    paths = TOOLS / 'java-classpath'
    run('mvn', '-q', '-B', '-ntp', 'package', 'dependency:build-classpath', f'-Dmdep.outputFile={paths}', '-Dmdep.includeScope=runtime', cwd=CLIENTS / 'java')
    [jar] = [jar for jar in (CLIENTS / 'java/target').glob('headworks-client-*.jar') if 'sources' not in jar.name]
    (folder / 'Example.java').write_text(code('java', 'java'))
    classpath = f'{jar}:{paths.read_text().strip()}'
    run('javac', '-d', folder, '-cp', classpath, folder / 'Example.java')
    return run('java', '-cp', f'{folder}:{classpath}', 'Example', env=env)


def rust(folder, env):
    run('cargo', 'package', '-q', '--locked', '--allow-dirty', '--no-verify', '-p', 'headworks-client', cwd=ROOT, env={**os.environ, 'CARGO_TARGET_DIR': str(folder)})
    [packed] = (folder / 'package').glob('*.crate')
    with tarfile.open(packed) as archive: archive.extractall(folder / 'unpacked', filter='data')
    [crate] = (folder / 'unpacked').iterdir()
    project = folder / 'project'
    (project / 'src').mkdir(parents=True)
    # The workspace's lock and profiles, so that what is built already serves here too.
    profiles = (ROOT / 'Cargo.toml').read_text().split('[profile.dev]')[1]
    (project / 'Cargo.toml').write_text(
        '[package]\nname = "example"\nedition = "2024"\n\n[workspace]\n\n[dependencies]\n'
        f'headworks-client = {{ path = "{crate}" }}\nfutures-util = {{ version = "0.3", default-features = false, features = ["std"] }}\n'
        'tokio = { version = "1", default-features = false, features = ["macros", "rt-multi-thread"] }\n\n[profile.dev]' + profiles)
    shutil.copy(ROOT / 'Cargo.lock', project / 'Cargo.lock')
    (project / 'src/main.rs').write_text(code('rust', 'rust,no_run'))
    return run('cargo', 'run', '-q', '--offline', cwd=project, env={**env, 'CARGO_TARGET_DIR': str(ROOT / 'target')})


passed = 0
for one in (python, typescript, go, java, rust):
    if sys.argv[1:] and one.__name__ not in sys.argv[1:]: continue
    with tempfile.TemporaryDirectory() as name, Gateway() as gateway:
        told = one(pathlib.Path(name), {**os.environ, 'HEADWORKS_URL': gateway.url, 'HEADWORKS_API_KEY': ADMIN})
    for wanted in ('Hello', 'one', 'after', 'get_weather', 'sandbox/echo', 'tokens 0.000'):
        assert wanted in told, f'{one.__name__}: {wanted!r} is not in what its README prints:\n{told}'
    assert '0.000' in told and len(re.findall('req_', told)) >= 3, told
    print(f'ok {one.__name__}: its package installs and its README runs', flush=True)
    passed += 1
print(f'{passed} passed, 0 failed')
