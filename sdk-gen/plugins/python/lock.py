"""Reads a report of `pip install --dry-run --report` on standard input; writes the lock, with a checksum for each."""

import json
import sys

for item in sorted(json.load(sys.stdin)["install"], key=lambda item: item["metadata"]["name"].lower()):
    about, archive = item["metadata"], item["download_info"]["archive_info"]
    print(f"{about['name']}=={about['version']} --hash=sha256:{archive['hashes']['sha256']}")
