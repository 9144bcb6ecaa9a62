#!/usr/bin/env python3
"""Turns openapi.yaml into JSON, as a C array: embed_openapi.py openapi.yaml VERSION out.c"""
import json
import sys

import yaml

source, version, target = sys.argv[1:]
with open(source, encoding="utf-8") as file:
    contract = yaml.safe_load(file)
contract["info"]["version"] = version
data = json.dumps(contract, ensure_ascii=False, separators=(",", ":")).encode()
rows = [",".join(str(byte) for byte in data[i : i + 24]) for i in range(0, len(data), 24)]
with open(target, "w", encoding="utf-8") as file:
    file.write('#include "api/openapi.h"\n\n')
    file.write("const unsigned char api_openapi[] = {\n    %s};\n" % ",\n    ".join(rows))
    file.write("const size_t api_openapi_size = sizeof api_openapi;\n")
