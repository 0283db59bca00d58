"""Where numba keeps compiled kernels.

Numba's disk cache notices a change of the file a kernel stands in, but not of the modules
whose functions, constants and circuits were compiled into it. So the cache directory itself
is named by everything that goes into machine code, and a stale kernel cannot be found.

This module does not import numba: the settings should stand before anything else does.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import resolve_name
from pathlib import Path

from llvmlite import binding

_PACKAGES = ("card_io", "clearing", "tariffs")
_TOOLS = ("llvmlite", "numba", "numpy")
_SETTINGS = ("NUMBA_BOUNDSCHECK", "NUMBA_CPU_FEATURES", "NUMBA_CPU_NAME", "NUMBA_OPT")
_DEFAULT_BASE = Path("~/.cache/citizen-card-clearing")
_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+(\S+)[ \t]+)?import[ \t]+(\([^)]*\)|[^\n]*)", re.MULTILINE)
_IMPORTS_NUMBA = re.compile(rb"^\s*(?:import|from)\s+numba\b", re.MULTILINE)


def set_kernel_cache() -> Path:
    """Point numba's disk cache at this state of sources, tools and CPU; return the directory.

    The directory is a child of ``CLEARING_KERNEL_CACHE``, or of ``~/.cache/citizen-card-clearing``.
    An entry point calls this before it imports a module with kernels, because a kernel asks
    for its cache directory when it is defined. An earlier import of numba itself does no harm.
    """
    base = Path(os.environ.get("CLEARING_KERNEL_CACHE") or _DEFAULT_BASE).expanduser()
    directory = base / f"kernels-{_fingerprint(Path(__file__).resolve().parent.parent)}"
    os.environ["NUMBA_CACHE_DIR"] = str(directory)
    if "numba" in sys.modules:
        sys.modules["numba"].config.reload_config()
    return directory


def whole_day_mark() -> Path:
    """The file in the directory of :func:`set_kernel_cache` that says it holds the kernels of a whole day.

    Numba finds a kernel by path and time of the file it stands in: in another checkout of the same sources it finds
    none, so the mark is of these very files.
    """
    root = Path(__file__).resolve().parent.parent
    files = sorted(path for package in _PACKAGES for path in (root / package).rglob("*.py"))
    listed = "\n".join(f"{path} {path.stat().st_mtime_ns}" for path in files)
    return Path(os.environ["NUMBA_CACHE_DIR"]) / f"whole-day-{hashlib.sha256(listed.encode()).hexdigest()[:16]}"


def kernel_sources(root: Path) -> dict[str, Path]:
    """Return the modules that machine code is made from, by dotted name in sorted order.

    These are the modules under `root` that import numba, and all project modules they import,
    directly or not: whatever a kernel calls or freezes as a constant stands in one of them.
    What a module reads from a data file does not count, so it must reach kernels as argument.
    """
    known = {_module_name(path.relative_to(root)): path for p in _PACKAGES for path in (root / p).rglob("*.py")}
    texts = {name: path.read_bytes() for name, path in known.items()}
    pending = [name for name, text in texts.items() if b"numba" in text and _IMPORTS_NUMBA.search(text)]
    reached: dict[str, Path] = {}
    while pending:
        name = pending.pop()
        if name not in reached:
            reached[name] = known[name]
            pending += [imported for imported in _imports(name, known[name]) if imported in known]
    return dict(sorted(reached.items()))


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(module: str, path: Path) -> Iterator[str]:
    """Yield every dotted name an import statement of the module may refer to.

    Told by its text: walking syntax trees would take a fifth of a second of every command. A line of a docstring
    that looks like an import only makes one more module count.
    """
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for source, names in _IMPORT.findall(path.read_text("utf-8")):
        listed = [name.split(" as ")[0].strip() for name in re.sub(r"#.*|[()]", "", names).split(",")]
        if not source:
            yield from listed
            continue
        source = resolve_name(source, package) if source.startswith(".") else source
        yield source
        yield from (f"{source}.{name}" for name in listed)


def _fingerprint(root: Path) -> str:
    """Hash the kernel sources, the tools that compile them, their settings, and the CPU."""
    digest = hashlib.sha256()
    for name, path in kernel_sources(root).items():
        digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    for tool in _TOOLS:
        digest.update(f"{tool} {version(tool)}\n".encode())
    for setting in _SETTINGS:
        digest.update(f"{setting}={os.environ.get(setting)}\n".encode())
    digest.update(f"{binding.get_host_cpu_name()} {binding.get_host_cpu_features().flatten()}".encode())
    return digest.hexdigest()[:16]
