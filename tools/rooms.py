"""Size and coupling of the packages of a source tree.

    python tools/rooms.py [SOURCE]            SOURCE: a folder that holds crosslift/, default src

Prints a line per package (modules, lines, longest module, imports from other packages), a line per room of the first
level (modules, and the most modules in one of its packages), and the totals.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path

MAX_MODULES = 12


def main() -> None:
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "src"
    modules = {module_name(file, source): file for file in sorted((source / "crosslift").rglob("*.py"))}
    packages = Counter(package_of(name, file) for name, file in modules.items())
    lines = {name: len(file.read_text(encoding="utf-8").splitlines()) for name, file in modules.items()}
    crossing: Counter[str] = Counter()
    for name, file in modules.items():
        own = package_of(name, file)
        for target in imported(file, modules):
            if package_of(target, modules[target]) != own:
                crossing[own] += 1
    print(f"{'package':48} {'modules':>7} {'lines':>6} {'longest':>7} {'imports from others':>19}")
    for package, count in sorted(packages.items()):
        inside = [name for name, file in modules.items() if package_of(name, file) == package]
        longest = max(lines[name] for name in inside)
        note = "  more than 12" if count > MAX_MODULES else ""
        total = sum(lines[name] for name in inside)
        print(f"{package:48} {count:7} {total:6} {longest:7} {crossing[package]:19}{note}")
    print(f"\n{'room':48} {'modules':>7} {'most in one package':>19}")
    of_room: dict[str, Counter[str]] = {}
    for name, file in modules.items():
        is_module = name.count(".") < 2 and file.name != "__init__.py"
        room = "modules of the first level" if is_module or name == "crosslift" else room_of(name)
        of_room.setdefault(room, Counter())[package_of(name, file)] += 1
    for room, inside in sorted(of_room.items()):
        print(f"{room:48} {inside.total():7} {max(inside.values()):19}")
    rooms = {room_of(name) for name in modules}
    between_rooms = [
        room_of(target) != room_of(name) for name, file in modules.items() for target in imported(file, modules)
    ]
    longest = max(lines, key=lambda name: lines[name])
    print(
        f"\n{len(modules)} modules in {len(packages)} packages; most in one package: {max(packages.values())}; "
        f"longest module: {longest} ({lines[longest]} lines); imports between packages: {crossing.total()}, "
        f"between the {len(rooms)} rooms of the first level: {sum(between_rooms)}"
    )


def module_name(file: Path, source: Path) -> str:
    parts = file.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_of(name: str, file: Path) -> str:
    return name if file.name == "__init__.py" else name.rpartition(".")[0]


def room_of(name: str) -> str:
    """The first level below the package: crosslift.transfer for crosslift.transfer.grid.cells."""
    return ".".join(name.split(".")[:2])


def imported(file: Path, modules: dict[str, Path]) -> set[str]:
    """The modules of the tree that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in modules else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & set(modules)


if __name__ == "__main__":
    main()
