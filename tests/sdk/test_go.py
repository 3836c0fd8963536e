"""The Go client: vetted, and the scenarios against a live gateway."""
import pathlib, subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
subprocess.run(['go', 'vet', './...'], cwd=ROOT / 'clients/go', check=True)
binary = ROOT / 'target/tools/sdk/go-scenarios'
subprocess.run(['go', 'build', '-o', binary, '.'], cwd=HERE / 'go', check=True)
import harness
harness.run('go', [binary])
