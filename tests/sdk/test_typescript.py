"""The TypeScript client: strict types, the scenarios by native gRPC, and those of a live gateway by gRPC-Web too."""
import pathlib, subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
client, modules = ROOT / 'clients/typescript', ROOT / 'sdk-gen/plugins/node/node_modules'
if not (client / 'node_modules').exists(): (client / 'node_modules').symlink_to(modules)
subprocess.run([modules / '.bin/tsc', '-p', 'tsconfig.json'], cwd=client, check=True)
import harness
runner = ['node', 'tests/sdk/typescript/scenarios.mjs']
harness.run('typescript', runner, ([*runner, 'web'], 'gateway'))
