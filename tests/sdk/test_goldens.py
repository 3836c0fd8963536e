"""What is made of the small schemas compiles in every language, and a change of the schema reaches all five clients by one command."""
import os, pathlib, shutil, subprocess, sys, tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TOOLS, NODE = ROOT / 'target/tools/sdk', ROOT / 'sdk-gen/plugins/node/node_modules'
passed = 0


def run(*command, cwd=ROOT, **more):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1500, **more)
    if done.returncode: raise SystemExit(f'FAILED: {" ".join(map(str, command))}\n{done.stdout[-6000:]}')


def ok(what):
    global passed
    passed += 1
    print('ok', what, flush=True)


def generate(proto, out):
    run('cargo', 'run', '-q', '--locked', '-p', 'headworks-sdk-gen', '--', '--proto', proto, '--out', out)


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    for case in (ROOT / 'sdk-gen/tests/cases').iterdir(): shutil.copytree(case, folder / 'proto', dirs_exist_ok=True)
    generate(folder / 'proto', folder)
    clients = folder / 'clients'
    run(TOOLS / 'python/bin/mypy', '--cache-dir', folder / 'mypy', cwd=clients / 'python')
    run(TOOLS / 'python/bin/python', '-c', 'import headworks', cwd=clients / 'python/src')
    ok('the goldens compile: python')
    (clients / 'typescript/node_modules').symlink_to(NODE)
    run(NODE / '.bin/tsc', '-p', 'tsconfig.json', cwd=clients / 'typescript')
    ok('the goldens compile: typescript')
    run('go', 'vet', './...', cwd=clients / 'go')
    ok('the goldens compile: go')
    run('mvn', '-q', '-B', '-ntp', 'compile', cwd=clients / 'java')
    ok('the goldens compile: java')
    # The workspace's own lock and profiles, so that what is built already serves here too.
    manifest = clients / 'rust/Cargo.toml'
    profiles = (ROOT / 'Cargo.toml').read_text().split('[profile.dev]')[1]
    manifest.write_text(manifest.read_text() + '\n[workspace]\n\n[profile.dev]' + profiles)
    shutil.copy(ROOT / 'Cargo.lock', clients / 'rust/Cargo.lock')
    run('cargo', 'build', '-q', '--offline', cwd=clients / 'rust', env={**os.environ, 'CARGO_TARGET_DIR': str(ROOT / 'target')})
    ok('the goldens compile: rust')

with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    shutil.copytree(ROOT / 'proto/headworks', folder / 'proto/headworks')
    def edit(file, before, after):
        path = folder / 'proto/headworks/v1' / file
        text = path.read_text()
        assert text.count(before) == 1, f'{before!r} in {file}'
        path.write_text(text.replace(before, after))
    edit('chat.proto', 'message Chat {\n', 'message Chat {\n  // A field that was not there.\n  string scratch_note = 900;\n')
    edit('model_service.proto', 'service ModelService {\n', 'service ModelService {\n  // A method that was not there.\n  rpc ScratchPing(ScratchPingRequest) returns (ScratchPingResponse);\n')
    with open(folder / 'proto/headworks/v1/model_service.proto', 'a') as file:
        file.write('\n// Asks.\nmessage ScratchPingRequest {}\n\n// Answers.\nmessage ScratchPingResponse {}\n')
    generate(folder / 'proto', folder)
    java = 'src/main/java/io/headworks/client/ModelsClient.java'
    for language, wanted in {
        'python': [('src/headworks/_client.py', 'scratch_note: str | None'), ('src/headworks/v1/chat_pb2.pyi', 'scratch_note'), ('src/headworks/_services.py', 'def scratch_ping('), ('src/headworks/_async_services.py', 'async def scratch_ping(')],
        'typescript': [('src/gen/headworks/v1/chat_pb.ts', 'scratchNote: string'), ('src/services/models.ts', 'scratchPing(')],
        'go': [('headworksv1/chat.pb.go', 'ScratchNote '), ('headworksv1/model_service_grpc.pb.go', 'ScratchPing(ctx')],
        'java': [('src/main/proto/headworks/v1/chat.proto', 'scratch_note'), (java, 'scratchPing(')],
        'rust': [('src/gen/headworks.v1.rs', 'pub scratch_note:'), ('src/services/models.rs', 'pub async fn scratch_ping(')],
    }.items():
        for file, text in wanted:
            assert text in (folder / 'clients' / language / file).read_text(), f'{text!r} is not in {language}/{file}'
            assert text not in (ROOT / 'clients' / language / file).read_text(), f'{text!r} was in {language}/{file} before'
        ok(f'a new field and a new method reach the client: {language}')
print(f'{passed} passed, 0 failed')
