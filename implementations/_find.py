"""Finding styles: reads what files declare, without running them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from implementations._contract import ACCELERATOR, DEVICES, FRAMEWORKS, HEAPS, ORACLES, Implementation, StyleError

HERE = Path(__file__).parent
KEYWORDS = ("framework", "devices", "oracle", "cycle", "heap", "ahead", "compiled")
MOST_TOGETHER = 100  # iterations: means are taken over two or more times as many


def find_implementations(style_files: Iterable[Path | str] = ()) -> dict[str, Implementation]:
    """Every style in this folder and in `style_files`, by name, in the order of their names.

    Nothing is imported: declarations are read from the source, so a style whose library is missing is
    found all the same (`Implementation.missing` has the reason). Raises StyleError for a file that is
    missing, does not parse, declares no style, or reuses a name.
    """
    found: dict[str, Implementation] = {}
    own = (path for path in HERE.glob("*.py") if not path.name.startswith("_"))
    for path in [*sorted(own), *(Path(file).resolve() for file in style_files)]:
        for style in read_styles(path):
            if style.name in found:
                raise StyleError(
                    f"{path}: style '{style.name}' is already defined in {found[style.name].source}; rename one of them"
                )
            found[style.name] = style
    return dict(sorted(found.items()))


def read_styles(path: Path) -> list[Implementation]:
    """The styles that one file declares, in its own order. Raises StyleError, see find_implementations."""
    tree = _parse(path)
    imports = _top_level_imports(tree)
    styles = [
        _declaration(path, node, decorator, imports)
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and _last_name(decorator.func) == "implementation"
    ]
    if not styles:
        raise StyleError(f"{path}: holds no style; decorate a generator function with @implementation(...)")
    return styles


def _parse(path: Path) -> ast.Module:
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise StyleError(f"{path}: cannot be read: it is no regular file")  # nobody may ever write to a pipe
        return ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        where = f"{path}:{error.lineno}" if error.lineno else str(path)
        raise StyleError(f"{where}: does not parse: {error.msg}") from error
    except (ValueError, MemoryError, RecursionError) as error:  # the latter two of a file nested too deeply
        raise StyleError(f"{path}: does not parse: {error or 'it is nested too deeply'}") from error
    except OSError as error:
        raise StyleError(f"{path}: cannot be read: {error.strerror}") from error


def _declaration(path: Path, node: ast.FunctionDef, call: ast.Call, imports: tuple[str, ...]) -> Implementation:
    where = f"{path}:{node.lineno}: style '{node.name}'"
    given = {keyword.arg: _literal(where, keyword) for keyword in call.keywords if keyword.arg}
    if set(given) - set(KEYWORDS) or call.args:
        raise StyleError(f"{where}: @implementation takes only {', '.join(f'{name}=' for name in KEYWORDS)}")
    if not isinstance(given.get("framework"), str) or not _is_names(given.get("devices")):
        raise StyleError(f'{where}: needs framework="..." and devices=("cpu", ...)')
    if given["framework"] not in FRAMEWORKS:
        cure = f"give what its arrays are made of: {', '.join(FRAMEWORKS)}"
        raise StyleError(f"{where}: no framework '{given['framework']}'; {cure}")
    strange = [name for name in given["devices"] if name not in (*DEVICES, ACCELERATOR)]
    if strange:
        raise StyleError(f"{where}: no device '{strange[0]}'; give some of {', '.join((*DEVICES, ACCELERATOR))}")
    if given.setdefault("oracle", "sgd") not in ORACLES:
        raise StyleError(f"{where}: no oracle '{given['oracle']}'; there are {', '.join(ORACLES)}")
    for name in ("cycle", "ahead"):
        if type(given.setdefault(name, 1)) is not int or not 1 <= given[name] <= MOST_TOGETHER:
            raise StyleError(f"{where}: {name} must be a whole number from 1 to {MOST_TOGETHER}")
    if given["ahead"] > 1 and "cpu" in given["devices"]:
        raise StyleError(f"{where}: ahead= is for accelerators; on the cpu an iteration is over when it is yielded")
    if type(given.setdefault("compiled", False)) is not bool:
        raise StyleError(f"{where}: compiled must be True or False")
    if given.setdefault("heap", "warm") not in HEAPS:
        raise StyleError(f"{where}: no heap '{given['heap']}'; there are {', '.join(HEAPS)}")
    if not any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in ast.walk(node)):
        raise StyleError(f"{where}: is not a generator; it must `yield loss` once an iteration")
    summary = (ast.get_docstring(node) or "").split("\n")[0]
    return Implementation(
        name=node.name,
        framework=given["framework"],
        devices=_every_kind(given["devices"]),
        summary=summary,
        source=path,
        oracle=given["oracle"],
        cycle=given["cycle"],
        imports=imports,
        heap=given["heap"],
        ahead=given["ahead"],
        compiled=given["compiled"],
    )


def _every_kind(names: Iterable[str]) -> tuple[str, ...]:
    kinds = (kind for name in names for kind in (DEVICES[1:] if name == ACCELERATOR else (name,)))
    return tuple(dict.fromkeys(kinds))


def _literal(where: str, keyword: ast.keyword) -> Any:
    try:
        return ast.literal_eval(keyword.value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:  # TypeError: {[]: 1}
        raise StyleError(f"{where}: {keyword.arg}= must be written out, not computed") from error


def _is_names(value: Any) -> bool:
    return isinstance(value, tuple | list) and bool(value) and all(isinstance(name, str) for name in value)


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _top_level_imports(tree: ast.Module) -> tuple[str, ...]:
    names: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
    roots = dict.fromkeys(name.partition(".")[0] for name in names)
    ours = ("implementations", __name__.partition(".")[0])
    return tuple(name for name in roots if name not in (*ours, *sys.stdlib_module_names))
