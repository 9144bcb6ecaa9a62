#!/usr/bin/env python3
"""Makes a C array of a file: embed.py FILE NAME out.c"""
import sys

source, name, target = sys.argv[1:]
with open(source, "rb") as file:
    data = file.read()
rows = [",".join(str(byte) for byte in data[i : i + 24]) for i in range(0, len(data), 24)]
with open(target, "w", encoding="utf-8") as file:
    file.write('#include "api/embedded.h"\n\n')
    file.write("const unsigned char %s[] = {\n    %s};\n" % (name, ",\n    ".join(rows)))
    file.write("const size_t %s_size = sizeof %s;\n" % (name, name))
