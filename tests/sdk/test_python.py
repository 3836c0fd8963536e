"""The Python client: strict types, an installable package, and the scenarios against a live gateway."""
import os, pathlib, subprocess, sys, tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
tools, client = ROOT / 'target/tools/sdk/python/bin', ROOT / 'clients/python'
subprocess.run([tools / 'mypy', '--cache-dir', ROOT / 'target/tools/sdk/mypy'], cwd=client, check=True)
subprocess.run([ROOT / 'sdk-gen/plugins/node/node_modules/.bin/pyright', '--pythonpath', tools / 'python'], cwd=client, check=True)
import harness
harness.run('python', [sys.executable, 'tests/sdk/python/scenarios.py'], env={'PYTHONPATH': str(client / 'src')})
