"""The Rust client: the scenarios against a live gateway."""
import json, pathlib, subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
subprocess.run(['cargo', 'build', '-q', '--locked', '-p', 'headworks-sdk-scenarios'], cwd=ROOT, check=True)
target = json.loads(subprocess.run(['cargo', 'metadata', '--format-version', '1', '--no-deps'], cwd=ROOT, check=True, capture_output=True).stdout)['target_directory']
import harness
harness.run('rust', [pathlib.Path(target) / 'debug/headworks-sdk-scenarios'])
