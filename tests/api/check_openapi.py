#!/usr/bin/env python3
"""Holds api/openapi.yaml against the code: check_openapi.py SOURCE_ROOT DUMP_PROGRAM

Same routes, scopes, bodies and parameters both ways; every problem code that a source file
answers with is described, with its status, and every described one is used; records, statuses
and the file's own examples fit its schemas. Prints TAP."""
import glob
import json
import re
import subprocess
import sys

import yaml

root, program = sys.argv[1:]
with open(root + "/api/openapi.yaml", encoding="utf-8") as file:
    contract = yaml.safe_load(file)
code = json.loads(subprocess.run([program], check=True, stdout=subprocess.PIPE).stdout)
count = 0


def check(name, faults):
    global count
    count += 1
    print("%sok %d %s" % ("not " if faults else "", count, name))
    for fault in faults:
        print("# " + fault)


def resolve(node):
    """Follows a $ref; members beside it add to what it leads to."""
    while isinstance(node, dict) and "$ref" in node:
        beside = {key: value for key, value in node.items() if key != "$ref"}
        target = contract
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        node = {**target, **beside}
    return node


TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
}
KNOWN = set(
    "type required properties additionalProperties items enum const pattern minimum maximum "
    "minLength maxLength minItems maxItems format description default writeOnly $ref".split()
)


def validate(value, schema, where):
    """The part of JSON Schema that the contract uses; anything else in it is a fault."""
    schema = resolve(schema)
    unknown = set(schema) - KNOWN
    if unknown:
        yield "%s: this check does not know %s" % (where, unknown)
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(TYPES[name](value) for name in types):
        yield "%s: %r is not %s" % (where, value, types)
        return
    if "enum" in schema and value not in schema["enum"]:
        yield "%s: %r is not in %s" % (where, value, schema["enum"])
    if "const" in schema and value != schema["const"]:
        yield "%s: %r is not %r" % (where, value, schema["const"])
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield "%s: %r does not match %s" % (where, value, schema["pattern"])
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 1 << 30):
            yield "%s: %r is too long or too short" % (where, value)
    if TYPES["number"](value):
        if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
            yield "%s: %r is out of range" % (where, value)
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 1 << 30):
            yield "%s: %d items" % (where, len(value))
        for i, item in enumerate(value):
            yield from validate(item, schema.get("items", {}), "%s[%d]" % (where, i))
    if isinstance(value, dict):
        for name in schema.get("required", []):
            if name not in value:
                yield "%s: no %s" % (where, name)
        properties = schema.get("properties", {})
        others = schema.get("additionalProperties", True)
        for name, member in value.items():
            if name in properties:
                yield from validate(member, properties[name], "%s.%s" % (where, name))
            elif others is False:
                yield "%s: %s is not described" % (where, name)
            elif isinstance(others, dict):
                yield from validate(member, others, "%s.%s" % (where, name))


def closed(schema):
    """The same schema, not allowing members that it does not describe."""
    schema = dict(resolve(schema))
    if "properties" in schema:
        schema.setdefault("additionalProperties", False)
        schema["properties"] = {k: closed(v) for k, v in schema["properties"].items()}
    return schema


def operations():
    for path, item in contract["paths"].items():
        for method in ("get", "put", "post", "patch", "delete"):
            if method in item:
                parameters = item.get("parameters", []) + item[method].get("parameters", [])
                yield method.upper(), path, item[method], [resolve(p) for p in parameters]


# --- routes
described = {(m, p): (o, q) for m, p, o, q in operations()}
coded = {(r["method"], r["path"]): r for r in code["routes"]}
check("every route is described", ["%s %s" % k for k in coded.keys() - described.keys()])
check("every described operation exists", ["%s %s" % k for k in described.keys() - coded.keys()])

faults = []
for key in coded.keys() & described.keys():
    operation, parameters = described[key]
    route = coded[key]
    name = "%s %s: " % key
    query = [p["name"] for p in parameters if p["in"] == "query"]
    if sorted(query) != sorted(route["parameters"]):
        faults.append(name + "query %s, in the code %s" % (query, route["parameters"]))
    in_path = re.findall(r"{(\w+)}", key[1])
    if [p["name"] for p in parameters if p["in"] == "path"] != in_path:
        faults.append(name + "path parameters are not %s" % in_path)
    if operation.get("x-scope") != route["scope"]:
        faults.append(name + "scope %s" % operation.get("x-scope"))
    if ("requestBody" in operation) != route["body"]:
        faults.append(name + "body")
    for member in ("operationId", "summary", "tags"):
        if member not in operation:
            faults.append(name + "no " + member)
check("operations have the parameters, scopes and bodies of their routes", faults)

identifiers = [o["operationId"] for _, _, o, _ in operations()]
check("operation ids are unique", [i for i in identifiers if identifiers.count(i) > 1])

# --- problems
problems = contract["x-problems"]
used = {}
backend_exists = False
for source in sorted(glob.glob(root + "/api/*.c") + glob.glob(root + "/daemon/*.c")):
    with open(source, encoding="utf-8") as file:
        text = file.read()
    backend_exists |= "/daemon/" in source and "api_request_reply_problem" in text
    for match in re.finditer(r'\b\w*problem\([^;"]*?\b(\d{3}),\s*"(\w+)"', text, re.DOTALL):
        used.setdefault(match[2], set()).add(int(match[1]))
with open(root + "/api/query.c", encoding="utf-8") as file:
    for name in re.findall(r'"((?:parameter|cursor)_\w+)"', file.read()):
        used.setdefault(name, set()).add(400)
check(
    "problem codes are found in the sources",
    [] if {"host_not_allowed", "deadline_passed", "parameter_repeated"} <= used.keys() else ["?"],
)
check("every problem code is described", sorted(used.keys() - problems.keys()))
check(
    "problems have the status that is described",
    ["%s %s" % (n, s) for n, s in used.items() if n in problems and s - set(problems[n]["status"])],
)
if backend_exists:
    check("every described problem exists", sorted(problems.keys() - used.keys()))

# --- schemas
schemas = contract["components"]["schemas"]
faults = []
for record in code["records"]:
    faults += validate(record, closed(schemas["Detection"]), record["type"])
check("records are as described, and nothing more", faults)
status = {**code["status"], "worker_pid": None}  # which the daemon adds
faults = list(validate(status, closed(schemas["StreamStatus"]), "status"))
check("a status is as described, and nothing more", faults)
check(
    "names are as described",
    [
        name
        for name, listed, schema in (
            ("state", code["states"], schemas["StreamStatus"]["properties"]["state"]),
            ("reason", code["reasons"], schemas["StreamStatus"]["properties"]["reason"]),
            ("kind", code["kinds"], schemas["Kind"]),
        )
        if listed != schema["enum"]
    ],
)


def examples(node, where):
    """Every (example, schema) of a media type anywhere below."""
    if isinstance(node, dict):
        if "schema" in node:
            if "example" in node:
                yield node["example"], node["schema"], where
            for name, example in node.get("examples", {}).items():
                yield example["value"], node["schema"], where + "/" + name
        for name, child in node.items():
            yield from examples(child, where + "/" + name)
    elif isinstance(node, list):
        for i, child in enumerate(node):
            yield from examples(child, "%s/%d" % (where, i))


found = list(examples(contract["paths"], "paths"))
found += examples(contract["components"], "components")
faults = [] if len(found) >= 8 else ["only %d found" % len(found)]
for example, schema, where in found:
    faults += validate(example, schema, where)
check("examples fit their schemas", faults)

references = re.findall(r"\$ref: '?([^'}\s]+)", open(root + "/api/openapi.yaml").read())
faults = []
for reference in references:
    try:
        resolve({"$ref": reference})
    except (KeyError, TypeError):
        faults.append(reference)
check("references lead somewhere", faults)
print("1..%d" % count)
