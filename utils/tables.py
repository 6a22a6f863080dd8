"""The .def tables, for scripts."""
import os
import re


def read(path):
    """The text of the file, the .def files that it includes in their places."""
    root = os.path.join(os.path.dirname(path), os.pardir)
    return re.sub(r'(?m)^#include "(.*\.def)"\n',
                  lambda m: read(os.path.join(root, m.group(1))), open(path).read())


def rows(path, macro):
    """Arguments of every MACRO(...) in the file and those it includes, strings
    without quotes."""
    text = re.sub(r"/\*.*?\*/", "", read(path), flags=re.S)
    token = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,()"\s][^,()"\n]*)|([,()])')
    out = []
    for start in re.finditer(r"^%s\(" % macro, text, re.M):
        args, depth, at = [], 1, start.end()
        while depth:
            m = token.search(text, at)
            at = m.end()
            if m.group(3):
                depth += {"(": 1, ")": -1}.get(m.group(3), 0)
            else:
                word = m.group(1) if m.group(1) is not None else m.group(2)
                args.append(word.strip())
        out.append(args)
    return out
