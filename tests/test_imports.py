"""The house's arrows, read from the code's own imports: they go down, and there is no circle."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MFSYNTH = (
    ("__init__", "__main__"), ("cli",), ("flags",), ("publish",), ("preview",), ("building", "live"),
    ("verification",), ("options",), ("shards", "coco"), ("stream",), ("torch_stream", "synthesis"),
    ("codecs", "reading"), ("sample", "cards"), ("recipe", "shares"), ("hub",),
    ("engine",), ("console", "plots", "schema", "storage", "hub_errors"), ("order", "locks"), ("errors",),
    ("version", "limits", "locations"),
)  # fmt: skip
"""mfsynth's rooms, from the top; the rooms of a line do not import each other."""

ZOO = (
    ("__init__",), ("cli",), ("evaluation",), ("exporting", "benching"), ("loading",), ("pretrained",),
    ("training",), ("publishing",), ("backends",), ("stacks",), ("fusing", "alignment", "pictures"),
    ("store",), ("graphs",), ("networks",), ("metrics",), ("errors",),
)  # fmt: skip

SHARED_GROUND = {
    "mfsynth", "mfsynth.errors", "mfsynth.engine", "mfsynth.locks", "mfsynth.console", "mfsynth.hub",
    "mfsynth.codecs", "mfsynth.storage", "mfsynth.plots", "mfsynth.cards", "mfsynth.order", "mfsynth.schema",
    "mfsynth.limits", "mfsynth.locations", "mfsynth.options",
    "mfsynth.sample", "mfsynth.synthesis", "mfsynth.preview.kit", "mfsynth.preview.colors",
    "mfsynth.coco.demo",
}  # fmt: skip
"""What zoo may import of mfsynth."""


def modules(package: str) -> dict[str, Path]:
    """Every module of a package, by its dotted name."""
    names = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


MODULES = modules("mfsynth") | modules("zoo")


def imports(name: str) -> set[str]:
    """The modules of ours that a module imports: at its top, inside functions, and for types only."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {_module(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            for alias in node.names:
                found.add(_module(f"{node.module}.{alias.name}", str(node.module)))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "import_module":
            found |= {each.value for each in node.args if isinstance(each, ast.Constant)}
    return (found & MODULES.keys()) - {name}


def _module(dotted: str, otherwise: str = "") -> str:
    return dotted if dotted in MODULES else otherwise or dotted


GRAPH = {name: imports(name) for name in MODULES}


def room(name: str) -> str:
    _, _, rest = name.partition(".")
    return rest.partition(".")[0] or "__init__"


def test_no_module_imports_itself_in_a_circle() -> None:
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def arrows_up(graph: dict[str, set[str]], package: str, order: tuple[tuple[str, ...], ...]) -> list[str]:
    """Imports between rooms of a package that do not go to a lower line."""
    place = {name: number for number, line in enumerate(order) for name in line}
    return [
        f"{name} imports {other}"
        for name, others in graph.items()
        for other in others
        if name.partition(".")[0] == other.partition(".")[0] == package
        and room(name) != room(other)
        and room(other) != "__init__"
        and place[room(other)] <= place[room(name)]
    ]


@pytest.mark.parametrize(("package", "order"), [("mfsynth", MFSYNTH), ("zoo", ZOO)])
def test_arrows_go_down_only(package: str, order: tuple[tuple[str, ...], ...]) -> None:
    rooms = {room(name) for name in MODULES if name.partition(".")[0] == package}
    assert rooms == {name for line in order for name in line}
    assert not arrows_up(GRAPH, package, order)


def test_only_the_command_line_imports_evaluation() -> None:
    users = {room(name) for name, others in GRAPH.items() if any(map(_is_evaluation, others))}
    assert users <= {"cli", "evaluation"}


def _is_evaluation(name: str) -> bool:
    return name.startswith("zoo.evaluation")


def test_of_mfsynth_only_the_command_line_names_zoo() -> None:
    arrows = {(name, other) for name, others in GRAPH.items() for other in others}
    upwards = {arrow for arrow in arrows if arrow[0].startswith("mfsynth") and arrow[1].startswith("zoo")}
    assert upwards == {("mfsynth.cli", "zoo.cli")}


def test_zoo_stands_on_shared_ground() -> None:
    strays = [
        f"{name} imports {other}"
        for name, others in GRAPH.items()
        for other in others
        if name.startswith("zoo") and other.startswith("mfsynth.") and not _is_shared(other)
    ]
    assert not strays, "\n".join(strays)


def _is_shared(name: str) -> bool:
    return any(f"{name}.".startswith(f"{each}.") for each in SHARED_GROUND - {"mfsynth"})


def test_arrows_are_read_from_the_code() -> None:
    """At a module's top, inside functions, for types only, by name; and an arrow upwards is one."""
    assert "mfsynth.synthesis.render" in GRAPH["mfsynth.shards.pixels"]  # inside a function
    assert "mfsynth.shards.manifest" in GRAPH["mfsynth.publish.card"]  # for types only
    assert "zoo.cli" in GRAPH["mfsynth.cli"]  # by name
    upwards = {
        "zoo.networks.unet": {"zoo.fusing.fuse_frames", "zoo.networks.layers"},
        "zoo.cli": {"zoo.store.find"},
    }
    assert arrows_up(upwards, "zoo", ZOO) == ["zoo.networks.unet imports zoo.fusing.fuse_frames"]
