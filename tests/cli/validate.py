#!/usr/bin/env python3
"""Holds lines of JSON against the schemas that a command prints. Debian package: python3-jsonschema.
usage: validate.py COMMAND [FILE ...]     FILE: a JSON object a line; standard input without one
Prints what is wrong, and at the end each schema that was seen. A member that no schema names is wrong too.
"""
import json, subprocess, sys
import jsonschema


def strict(schema):
    """Closes every object: a schema lets later versions add members, this test does not."""
    for each in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else []:
        strict(each)
    if isinstance(schema, dict) and isinstance(schema.get("properties"), dict):
        schema.setdefault("additionalProperties", False)
    return schema


def validator(command, name, known={}):
    if name not in known:
        text = subprocess.run([command, "schema", name], stdout=subprocess.PIPE, check=True).stdout
        known[name] = jsonschema.Draft202012Validator(strict(json.loads(text)))
        known[name].check_schema(known[name].schema)
    return known[name]


def objects(files):
    for file in files or ["/dev/stdin"]:
        with open(file, encoding="ascii") as lines:
            for number, line in enumerate(lines, 1):
                yield f"{file}:{number}", json.loads(line, object_pairs_hook=unique)


def unique(pairs):
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError(f"two members of one name: {names}")
    return dict(pairs)


wrong, seen = 0, {}
for where, value in objects(sys.argv[2:]):
    if "schema" not in value:
        print(f"{where}: no member \"schema\": {str(value)[:100]}")
        wrong += 1
        continue
    seen[value["schema"]] = seen.get(value["schema"], 0) + 1
    for error in validator(sys.argv[1], value["schema"]).iter_errors(value):
        print(f"{where}: {value['schema']}: {error.json_path}: {error.message[:200]}")
        wrong += 1
for name, count in sorted(seen.items()):
    print(name, count)
sys.exit(wrong != 0)
