"""The TypeScript client: strict types, the scenarios by native gRPC in Node."""
import pathlib, subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
client, modules = ROOT / 'clients/typescript', ROOT / 'sdk-gen/plugins/node/node_modules'
if not (client / 'node_modules').exists(): (client / 'node_modules').symlink_to(modules)
subprocess.run([modules / '.bin/tsc', '-p', 'tsconfig.json'], cwd=client, check=True)
import harness
harness.run('typescript', ['node', 'tests/sdk/typescript/scenarios.mjs'])
