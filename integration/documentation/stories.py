"""Runs blocks as a reader would: in a directory of their own, in a process of their own."""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from integration.documentation.blocks import Block

#: Runs a file that awaits outside of functions, which is what such blocks do for brevity.
_AWAITING = """
import ast, pathlib, sys, types
from asynctasq import close, run

module = types.ModuleType("block")
sys.modules["block"] = module
text = pathlib.Path("block.py").read_text()
code = compile(text, "block.py", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

async def main():
    try:
        await eval(code, module.__dict__)
    finally:
        await close()

run(main())
"""


def compiled(text: str, *, awaits: bool = True) -> ast.Module:
    """The tree of a block; raises `SyntaxError`."""
    flags = ast.PyCF_ONLY_AST | (ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if awaits else 0)
    tree = compile(text, "block.py", "exec", flags=flags)
    assert isinstance(tree, ast.Module)
    compile(tree, "block.py", "exec", flags=flags & ~ast.PyCF_ONLY_AST)
    return tree


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The variables of a reader who has this installed, and these settings."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("ASYNCTASQ_")}
    scripts = Path(sys.executable).parent
    return {
        **kept,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
        "ASYNCTASQ_WEB_TOKEN": "0123456789abcdef",
        **{f"ASYNCTASQ_{name.upper()}": text for name, text in settings.items()},
    }


def start(block: Block, folder: Path, settings: Mapping[str, str]) -> "subprocess.Popen[str]":
    """Start a block's story; its output is collected."""
    for one in (*block.before, block):
        if one.title is not None:
            (folder / one.title).write_text(one.text, encoding="utf-8")
    text = "\n".join(one.text for one in block.story)
    return subprocess.Popen(
        _command(block, text, folder),
        cwd=folder,
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _command(block: Block, text: str, folder: Path) -> list[str]:
    if block.language in ("bash", "sh"):
        return ["bash", "-euo", "pipefail", "-c", text]
    name = block.title or "block.py"
    (folder / name).write_text(text, encoding="utf-8")
    try:
        compiled(text, awaits=False)
    except SyntaxError:
        return [sys.executable, "-W", "error", "-c", _AWAITING]
    return [sys.executable, "-W", "error", name]
