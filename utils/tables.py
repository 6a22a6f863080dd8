"""The .def tables, for scripts."""
import re


def rows(path, macro):
    """Arguments of every MACRO(...) in the file, strings without quotes."""
    text = re.sub(r"/\*.*?\*/", "", open(path).read(), flags=re.S)
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
