"""`labctl schema`: what may stand in a file, for editors that complete and check while one types."""

from __future__ import annotations

import json
from argparse import Namespace

from labctl.cli.terminal import naming
from labctl.protocol.schema import bench_json_schema, protocol_json_schema


def main(arguments: Namespace) -> int:
    """Print the JSON Schema, or write it to a file and print the file's path."""
    schema = protocol_json_schema() if arguments.what == "protocol" else bench_json_schema()
    text = json.dumps(schema, indent=2, ensure_ascii=False)
    if arguments.output is None:
        print(text)
    else:
        with naming(arguments.output):
            arguments.output.write_text(text + "\n", encoding="utf-8")
        print(arguments.output)
    return 0
