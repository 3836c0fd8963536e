"""The Java client: packaged by Maven, and the scenarios against a live gateway."""
import pathlib, shutil, subprocess, sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
if not shutil.which('mvn'): print('SKIPPED: mvn is not there'); sys.exit(77)
client, out = ROOT / 'clients/java', ROOT / 'target/tools/sdk/java-scenarios'
paths = ROOT / 'target/tools/sdk/java-classpath'
subprocess.run(['mvn', '-q', '-B', '-ntp', 'package', 'dependency:build-classpath', f'-Dmdep.outputFile={paths}', '-Dmdep.includeScope=runtime'], cwd=client, check=True)
[jar] = [jar for jar in (client / 'target').glob('headworks-client-*.jar') if 'sources' not in jar.name]
classpath = f'{jar}:{paths.read_text().strip()}'
out.mkdir(parents=True, exist_ok=True)
subprocess.run(['javac', '--release', '17', '-d', out, '-cp', classpath, HERE / 'java/Scenarios.java'], check=True)
import harness
harness.run('java', ['java', '-cp', f'{out}:{classpath}', 'Scenarios'])
