#!/usr/bin/env python3
"""formats.py DIR - what the formats of packages ask for, in the folders of that name:
files, keys, and that all C compiles."""
import glob
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as xml

os.chdir(sys.argv[1])


def read(path):
    return open(path).read()


def keys(path, mark):
    """Keys of `key=value` or `key: value` lines."""
    return dict(line.split(mark, 1) for line in read(path).splitlines()
                if mark in line and not line.startswith(" "))


def zephyr():
    assert keys("zephyr/zephyr/module.yml", ":")["name"].strip() == "digits"
    assert re.search(r"^build:\n  cmake: \.\n  kconfig: Kconfig$",
                     read("zephyr/zephyr/module.yml"), re.M)
    assert re.search(r"^config DIGITS\n\tbool ", read("zephyr/Kconfig"))
    lists = read("zephyr/CMakeLists.txt")
    assert re.search(r"zephyr_library_import\(digits \S+/lib/libdigits\.a\)", lists), lists
    assert "find_package(Zephyr" in read("zephyr/samples/digits/CMakeLists.txt")
    assert "CONFIG_DIGITS=y" in read("zephyr/samples/digits/prj.conf")


def arduino():
    # arduino-cli's library specification: fields that are required.
    p = keys("arduino/library.properties", "=")
    for key in ("name version author maintainer sentence paragraph category url "
                "architectures").split():
        assert p[key], key
    assert p["category"] == "Data Processing" and p["precompiled"] == "true"
    assert p["ldflags"] == "-ldigits"
    assert os.path.exists("arduino/src/cortex-m4/libdigits.a")
    assert os.path.exists("arduino/examples/selftest/selftest.ino")


def platformio():
    p = json.loads(read("platformio/library.json"))
    assert p["name"] == "digits" and re.match(r"\d+\.\d+\.\d+$", p["version"])
    flags = p["build"]["flags"]
    assert "-ldigits" in flags
    for flag in flags:
        assert flag[:2] != "-L" or os.path.isdir("platformio/" + flag[2:])
    for folder in (p["build"]["includeDir"], p["build"]["srcDir"]):
        assert os.path.isdir("platformio/" + folder)


def esp_idf():
    lists = read("esp-idf/CMakeLists.txt")
    for path in re.findall(r'"([\w/.]+)"', lists):
        assert os.path.exists("esp-idf/" + path), path
    assert "idf_component_register(" in lists and "add_prebuilt_library(" in lists
    assert keys("esp-idf/idf_component.yml", ":")["version"].strip() == '"1.0.0"'


def cmsis_pack():
    # <vendor>.<name>.pdsc; the order of elements is the schema's.
    top = xml.parse("cmsis-pack/dnnc.digits.pdsc").getroot()
    order = [e.tag for e in top]
    assert order == ["vendor", "name", "description", "url", "license", "releases",
                     "conditions", "components"], order
    assert (top.find("vendor").text, top.find("name").text) == ("dnnc", "digits")
    assert top.find("conditions/condition/require").get("Dcore") == "Cortex-M7"
    assert {"Cclass", "Cgroup", "Cversion"} <= set(top.find("components/component").attrib)
    for f in top.iter("file"):
        assert os.path.exists("cmsis-pack/" + f.get("name")), f.get("name")


for check in (zephyr, arduino, platformio, esp_idf, cmsis_pack):
    kind = check.__name__.replace("_", "-")
    check()
    for path in glob.glob(kind + "/**/*.c", recursive=True):
        if "zephyr/sys" not in read(path):
            subprocess.run(["cc", "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror",
                            "-I%s/include" % kind, "-I%s/src" % kind, "-c", path,
                            "-o", "out.o"], check=True)
    print(kind, "PASS")
