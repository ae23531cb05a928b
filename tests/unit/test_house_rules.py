"""The house rules that no other tool checks; every offence is listed with its file and line."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = "services/assay/"
GENERATED = "services/assay/v1/"
FILE_LINES = 400
FUNCTION_LINES = 50
TEST_LINES = 20
TEST_NAME_WORDS = 4
SERVICER_METHOD_LINES = 12
GRAB_BAGS = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".in", ".proto", ".json", ""}
# Written in pieces, so that this file is no offence itself.
INDEX_ADDRESSES = re.compile(
    "|".join(
        (
            r"pypi\.(?:org|python)",
            r"files\.pythonhosted",
            r"--(?:extra-)?index-" + "url",
            r"registry\." + r"npmjs",
            r"proxy\." + r"golang",
            r"crates\." + r"io",
        )
    )
)
SECRETS = re.compile(
    "|".join(
        (
            r"\bsk-(?!admin\b)[A-Za-z0-9_-]{20,}",
            r"\bAKIA[0-9A-Z]{16}\b",
            r"\bgh[pousr]_[A-Za-z0-9]{30,}",
            r"\bhf_[A-Za-z0-9]{30,}",
            r"-----BEGIN [A-Z ]*" + r"PRIVATE KEY",
        )
    )
)
HOME_PATH = re.compile(r"/(?:home|Users)/[a-z][\w.-]*/|/root/[\w.-]")

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Code(NamedTuple):
    """A Python file of ours."""

    name: str
    lines: int
    tree: ast.Module

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Every function and method, nested ones too."""
        return (n for n in ast.walk(self.tree) if isinstance(n, FUNCTIONS))


@cache
def files() -> tuple[str, ...]:
    """Names of all files that are committed or about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=30
    )
    return tuple(n for n in sorted(set(listed.stdout.split())) if (ROOT / n).is_file())


@cache
def code(prefix: str = "") -> tuple[Code, ...]:
    """Python files whose names start with `prefix`, generated ones left out."""
    found = []
    for name in files():
        if name.endswith(".py") and not name.startswith(GENERATED):
            text = (ROOT / name).read_text(encoding="utf-8")
            found.append(Code(name, len(text.splitlines()), ast.parse(text)))
    return tuple(each for each in found if each.name.startswith(prefix))


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, the docstring not counted."""
    whole = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is None:
        return whole
    return whole - ((first.end_lineno or first.lineno) - first.lineno + 1)


def body_length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of statements: neither the signature nor the docstring is counted."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def none_of(offences: Iterable[str], rule: str) -> None:
    """Fails with every offence, not only the first."""
    found = list(offences)
    if found:
        pytest.fail(f"{rule}:\n  " + "\n  ".join(found), pytrace=False)


def lines_with(pattern: re.Pattern[str], but: str) -> Iterator[str]:
    """`file:line` and match of `pattern` in all text files but those that start with `but`."""
    for name in files():
        if PurePosixPath(name).suffix not in TEXT or (but and name.startswith(but)):
            continue
        text = (ROOT / name).read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if match := pattern.search(line):
                yield f"{name}:{number}: {match.group()}"


def test_a_python_file_has_at_most_400_lines() -> None:
    long = (f"{c.name}:1: {c.lines} lines" for c in code() if c.lines > FILE_LINES)
    none_of(long, f"A file has at most {FILE_LINES} lines; split it by subject")


def test_a_function_has_at_most_50_lines_beside_its_docstring() -> None:
    long = (
        f"{c.name}:{f.lineno}: {f.name} has {length(f)} lines"
        for c in code()
        for f in c.functions()
        if length(f) > FUNCTION_LINES
    )
    none_of(long, f"A function has at most {FUNCTION_LINES} lines")


def test_a_servicer_method_only_translates_in_at_most_12_lines() -> None:
    long = (
        f"{c.name}:{f.lineno}: {f.name} has {body_length(f)} lines"
        for c in code(SERVICES)
        if c.name.endswith("/servicer.py")
        for f in c.functions()
        # Methods named as the contract names them: the calls.
        if f.name[0].isupper() and body_length(f) > SERVICER_METHOD_LINES
    )
    none_of(long, "A servicer translates, the service decides")


def test_no_module_is_a_grab_bag_of_leftovers() -> None:
    bags = (
        f"{c.name}:1"
        for c in code()
        if GRAB_BAGS & set(PurePosixPath(c.name).with_suffix("").parts)
    )
    none_of(bags, "A module has the name of its subject")


def test_every_module_of_ours_says_why_it_exists() -> None:
    silent = (
        f"{c.name}:1" for c in code() if not ast.get_docstring(c.tree) and c.lines
    )
    none_of(silent, "A module's docstring says who calls it and why it exists")


def test_every_public_function_and_class_has_a_docstring() -> None:
    silent = (
        f"{c.name}:{node.lineno}: {node.name}"
        for c in code(SERVICES)
        for node in c.tree.body
        if isinstance(node, (*FUNCTIONS, ast.ClassDef))
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    )
    none_of(silent, "What others may call says what it does")


def our_tests() -> Iterator[tuple[Code, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every test function and the file it stands in."""
    for each in code("tests/"):
        for function in each.functions():
            if function.name.startswith("test_"):
                yield each, function


def test_the_name_of_a_test_is_a_sentence() -> None:
    short = (
        f"{c.name}:{f.lineno}: {f.name}"
        for c, f in our_tests()
        if len(f.name.removeprefix("test_").split("_")) < TEST_NAME_WORDS
    )
    none_of(short, f"A test's name is a claim of at least {TEST_NAME_WORDS} words")


def test_a_test_has_at_most_20_lines_beside_its_docstring() -> None:
    long = (
        f"{c.name}:{f.lineno}: {f.name} has {length(f)} lines"
        for c, f in our_tests()
        if length(f) > TEST_LINES
    )
    none_of(long, f"A test has at most {TEST_LINES} lines; arrange in a fixture")


def test_every_test_module_has_a_basename_of_its_own() -> None:
    names = [
        c.name for c in code("tests/") if PurePosixPath(c.name).stem.startswith("test_")
    ]
    counted = Counter(PurePosixPath(name).name for name in names)
    twice = (f"{n}:1" for n in names if counted[PurePosixPath(n).name] > 1)
    none_of(twice, "Test folders are no packages: two modules may not share a basename")


def test_no_test_patches_functions_of_ours() -> None:
    patched = (
        f"{c.name}:{node.lineno}"
        for c in code("tests/")
        for node in ast.walk(c.tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith(("mock.patch", "patch.object"))
    )
    none_of(patched, "Tests use real parts, and fakes at the edge only")


def test_no_test_is_skipped_without_a_reason() -> None:
    mute = (
        f"{c.name}:{node.lineno}: {ast.unparse(node)}"
        for c in code("tests/")
        for node in ast.walk(c.tree)
        if is_skip(node) and not has_reason(node)
    )
    none_of(mute, "A skip says what the machine lacks; nothing else is skipped")


def is_skip(node: ast.AST) -> bool:
    """Whether the node is a bare skip or xfail mark, or a call of one."""
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        return name.endswith((".skip", ".skipif", ".xfail", ".skipTest"))
    decorators = getattr(node, "decorator_list", ())
    return any(
        isinstance(d, ast.Attribute) and d.attr in {"skip", "xfail"} for d in decorators
    )


def has_reason(node: ast.AST) -> bool:
    """Whether a skip gives a text: `reason=`, or the first argument where that is the text."""
    if not isinstance(node, ast.Call):
        return False
    named = any(k.arg == "reason" for k in node.keywords)
    return named or bool(ast.unparse(node.func).endswith(".skip") and node.args)


def test_nothing_is_printed_by_services() -> None:
    prints = (
        f"{c.name}:{node.lineno}"
        for c in code(SERVICES)
        for node in ast.walk(c.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    )
    none_of(prints, "Services log; the command line echoes")


TRAINING = "examples/tiny-vlm/train.py"
"""A script for the interpreter that has torch; nothing imports it."""


def test_torch_is_imported_by_no_module_of_ours() -> None:
    heavy = (
        f"{c.name}:{node.lineno}"
        for c in code()
        for node in ast.walk(c.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        and "torch" in {name.split(".")[0] for name in imported(node)}
        and c.name != TRAINING
    )
    none_of(heavy, "torch is found by a local model's own process alone")


def imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    """The modules an import statement names."""
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names]


def test_every_rpc_has_its_recovery_table_in_the_contract() -> None:
    contract = (ROOT / "proto/CONTRACT.md").read_text(encoding="utf-8")
    headings = set(re.findall(r"^#+ +`?([A-Za-z.]+)`?", contract, re.MULTILINE))
    missing = (where for name, where in rpcs() if name not in headings)
    none_of(missing, "proto/CONTRACT.md has a heading `Service.Method` with a table")


def rpcs() -> Iterator[tuple[str, str]]:
    """`Service.Method` of every RPC, and where it stands."""
    for path in sorted((ROOT / "proto").rglob("*.proto")):
        service = ""
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if match := re.match(r"service (\w+)", line):
                service = match[1]
            elif match := re.match(r"\s+rpc (\w+)", line):
                name = f"{service}.{match[1]}"
                yield name, f"{path.relative_to(ROOT)}:{number}: {name}"


def test_no_file_names_a_package_index() -> None:
    but = "tests/unit/test_house_rules.py"
    none_of(
        lines_with(INDEX_ADDRESSES, but), "Where packages come from is pip's config"
    )


def test_no_file_holds_what_looks_like_a_secret() -> None:
    none_of(lines_with(SECRETS, ""), "Secrets never stand in the tree")


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    but = "tests/unit/test_house_rules.py"
    none_of(lines_with(HOME_PATH, but), "No file names a path of somebody's machine")
