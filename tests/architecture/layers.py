"""The layer rules of src/, read off its files: who may include whom.

    python layers.py [ROOT]     prints every violation and exits 1 when there is one

- A room includes only itself and rooms on lower storeys (src/rooms.txt).
- Rooms of the left wing, and those of both wings, know neither Torch nor the right wing. `cli` joins the wings: only
  its folder torch/ may see the right one.
- A room's DEPS in CMake are exactly the rooms it includes; for the programs of `cli`, what they link counts as well.
"""

import pathlib
import re
import sys
from dataclasses import dataclass

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
TORCH_HEADER = re.compile(r"^(torch|ATen|c10|caffe2)/")
JOINT = "cli"  # the room where the wings meet
JOINT_TORCH = "torch"  # its folder that may see the right wing
KEYWORDS = {"NAME", "SRCS", "DEPS", "LIBS"}


@dataclass(frozen=True)
class Room:
    storey: int
    wing: str


@dataclass(frozen=True)
class Library:
    """One lmoe_library call, or one program with what it links."""

    name: str
    srcs: tuple
    deps: tuple
    libs: tuple
    is_program: bool = False


def read_rooms(root):
    rooms = {}
    for line in (root / "src/rooms.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            storey, wing, name = line.split(maxsplit=3)[:3]
            rooms[name] = Room(int(storey), wing)
    return rooms


def read_libraries(cmake_file):
    """All lmoe_library calls of a CMakeLists.txt, and whether it asks for the precompiled header of Torch."""
    text = re.sub(r"#[^\n]*", "", cmake_file.read_text())
    libraries = []
    for call in re.findall(r"lmoe_library\s*\(([^)]*)\)", text):
        values = {key: [] for key in KEYWORDS}
        key = None
        for word in call.split():
            if word in KEYWORDS:
                key = word
            elif key is not None:
                values[key].append(word)
        libraries.append(Library("".join(values["NAME"]), *(tuple(values[k]) for k in ("SRCS", "DEPS", "LIBS"))))
    for call in re.findall(r"add_executable\s*\(([^)]*)\)", text):
        name, *srcs = call.split()
        links = " ".join(re.findall(rf"target_link_libraries\s*\(\s*{re.escape(name)}\s([^)]*)\)", text)).split()
        rooms = [link[len("lmoe::"):] for link in links if link.startswith("lmoe::")]
        libraries.append(Library(name, tuple(srcs), tuple(rooms), tuple(links), is_program=True))
    return libraries, "lmoe_torch_pch" in text


def may_see_right_wing(room_name, room, path_in_room):
    if room_name == JOINT:
        return path_in_room.parts[0] == JOINT_TORCH
    return room.wing == "right"


def check_include(root, rooms, path, bracket, target):
    """Problems of one #include, and the room it goes to (None for foreign headers)."""
    inside = path.relative_to(root / "src")
    name, room = inside.parts[0], rooms[inside.parts[0]]
    torch_allowed = may_see_right_wing(name, room, inside.relative_to(name))
    if bracket == "<" or TORCH_HEADER.match(target):
        if TORCH_HEADER.match(target) and not torch_allowed:
            return [f"{inside}: {name} ({room.wing} wing) includes the Torch header {target}"], None
        return [], None
    if not (root / "src" / target).is_file():
        return [f'{inside}: "{target}" is no file under src/; includes start at the src/ root'], None
    other = pathlib.PurePath(target).parts[0]
    if other == name or other not in rooms:  # unlisted rooms are reported once, by check_listed
        return [], None if other == name else other
    problems = []
    if rooms[other].storey >= room.storey:
        problems.append(f"{inside}: {name} (storey {room.storey}) includes {target} (storey {rooms[other].storey}); "
                        "only lower storeys may be included")
    if rooms[other].wing == "right" and not torch_allowed:
        problems.append(f"{inside}: {name} ({room.wing} wing) includes {target} of the right wing")
    return problems, other


def check_listed(root, rooms):
    folders = {p.name for p in (root / "src").iterdir() if p.is_dir()}
    return [f"src/{name}: not listed in src/rooms.txt" for name in sorted(folders - set(rooms))]


def joins_torch(library, place, folder):
    """Whether a target of the joint room may see the right wing: a library all of torch/, a program with some of it."""
    in_torch = [(place / src).relative_to(folder).parts[0] == JOINT_TORCH for src in library.srcs]
    return any(in_torch) if library.is_program else bool(in_torch) and all(in_torch)


def check_cmake(root, rooms, name, included):
    """DEPS against the includes, wing by wing for the joint room."""
    folder, problems, declared = root / "src" / name, [], set()
    for cmake_file in sorted(folder.rglob("CMakeLists.txt")):
        libraries, has_pch = read_libraries(cmake_file)
        place = cmake_file.relative_to(root)
        if has_pch and rooms[name].wing != "right" and name != JOINT:
            problems.append(f"{place}: {name} ({rooms[name].wing} wing) uses lmoe_torch_pch")
        for library in libraries:
            declared.update(library.deps)
            if rooms[name].wing == "right" or (name == JOINT and joins_torch(library, cmake_file.parent, folder)):
                continue
            if "lmoe_torch" in library.libs:
                problems.append(f"{place}: {library.name} ({rooms[name].wing} wing) links lmoe_torch")
            problems += [f"{place}: {library.name} ({rooms[name].wing} wing) depends on {dep} of the right wing"
                         for dep in library.deps if dep in rooms and rooms[dep].wing == "right"]
    declared.discard(name)
    declared = {dep for dep in declared if not (name == JOINT and dep.startswith(JOINT))}
    if not any(folder.rglob("CMakeLists.txt")):
        if any(folder.rglob("*.cpp")):
            problems.append(f"src/{name}: has sources but no CMakeLists.txt")
        return problems
    problems += [f"src/{name}/CMakeLists.txt: DEPS lacks {dep}, which is included" for dep in sorted(included - declared)]
    problems += [f"src/{name}/CMakeLists.txt: DEPS names {dep}, which nothing includes"
                 for dep in sorted(declared - included)]
    return problems


def check_tree(root):
    """Every violation under `root`, as text."""
    rooms = read_rooms(root)
    problems = check_listed(root, rooms)
    for name in rooms:
        folder = root / "src" / name
        if not folder.is_dir():
            continue
        included = set()
        for path in sorted(p for p in folder.rglob("*") if p.suffix in (".h", ".cpp")):
            for bracket, target in INCLUDE.findall(path.read_text()):
                found, other = check_include(root, rooms, path, bracket, target)
                problems += found
                if other in rooms:
                    included.add(other)
        problems += check_cmake(root, rooms, name, included)
    return problems


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]
    problems = check_tree(root)
    print("\n".join(problems) or "layers: every arrow points downwards")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
