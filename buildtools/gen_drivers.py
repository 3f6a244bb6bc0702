#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Write the table of port drivers: gen_drivers.py OUTPUT DRIVER[:test] ...

Each DRIVER has a `const struct port_driver DRIVER_driver`; those marked :test exist in test builds only."""
import sys

if len(sys.argv) < 3 or sys.argv[1] in ("-h", "--help"):
    print(__doc__)
    sys.exit(0 if sys.argv[1:2] in (["-h"], ["--help"]) else 2)
plain = [d for d in sys.argv[2:] if not d.endswith(":test")]
test = [d[: -len(":test")] for d in sys.argv[2:] if d.endswith(":test")]
out = [
    "/* SPDX-License-Identifier: BSD-3-Clause",
    " *",
    " * Made by buildtools/gen_drivers.py: see drivers.h.",
    " */",
    "#include <string.h>",
    "",
    '#include "stack/drivers.h"',
    "",
]
out += [f"extern const struct port_driver {d}_driver;" for d in plain]
out += ["#if defined(ZF_TEST) && ZF_TEST"] if test else []
out += [f"extern const struct port_driver {d}_driver;" for d in test]
out += ["#endif"] if test else []
if "ethdev" in plain:
    out += ["bool ethdev_port_exists(const char *name);"]
    exists = "ethdev_port_exists(name)"
else:
    exists = "name == NULL"  # no ethdev driver: no such ports
out += ["", "static const struct port_driver *const drivers[] = {"]
out += [f"\t&{d}_driver," for d in plain]
out += ["#if defined(ZF_TEST) && ZF_TEST"] if test else []
out += [f"\t&{d}_driver," for d in test]
out += ["#endif"] if test else []
out += [
    "};",
    "",
    "const struct port_driver *",
    "drivers_find(const char *name)",
    "{",
    "\tfor (size_t i = 0; i < ZF_ARRAY_SIZE(drivers); i++)",
    "\t\tif (strcmp(drivers[i]->name, name) == 0)",
    "\t\t\treturn drivers[i];",
    "\treturn NULL;",
    "}",
    "",
    "bool",
    "drivers_port_exists(const char *name)",
    "{",
    f"\treturn {exists};",
    "}",
]
with open(sys.argv[1], "w", encoding="utf-8") as f:
    f.write("\n".join(out) + "\n")
