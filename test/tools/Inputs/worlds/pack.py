"""pack.py FOLDER NAME: what cmsis-pack-manager reads of FOLDER/NAME.pdsc, and its rules
that a schema has: names, versions, files, and conditions that exist."""
import os
import re
import sys
import tempfile
import xml.etree.ElementTree as xml

from cmsis_pack_manager import Cache

folder, name = sys.argv[1:]
path = os.path.join(folder, name + ".pdsc")
with tempfile.TemporaryDirectory() as work:
    Cache(True, True, json_path=work, data_path=work).add_pack_from_path(path)
top = xml.parse(path).getroot()
for key in "vendor name description url license releases".split():
    assert top.find(key) is not None, key
assert re.fullmatch(r"\d+\.\d+(\.\d+)?", top.get("schemaVersion"))
assert re.fullmatch(r"[-_A-Za-z0-9]+", top.find("name").text)
ids = {c.get("id") for c in top.iter("condition")}
cores = "M0 M0+ M3 M4 M7 M23 M33 M35P M52 M55 M85".split()
for require in top.iter("require"):
    assert require.get("Dcore") in ["Cortex-" + c for c in cores] + ["other"]
for component in top.iter("component"):
    assert {"Cclass", "Cgroup", "Cversion", "condition"} <= set(component.attrib)
    assert component.get("condition") in ids
    assert all(len(component.get(k)) >= 2 for k in ("Cclass", "Cgroup"))
    for file in component.iter("file"):
        assert file.get("category") in ("header", "library", "source"), file.attrib
        assert os.path.exists(os.path.join(folder, file.get("name"))), file.attrib
assert os.path.exists(os.path.join(folder, top.find("license").text))
print(name, "PASS")
