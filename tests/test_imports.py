"""The house's arrows, read from the code's own imports: they go down, and there is no circle."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MFSYNTH = (
    ("__init__", "__main__"), ("cli",), ("publish",), ("preview",), ("building", "live"),
    ("verification",), ("options",), ("shards", "coco"), ("stream",), ("torch_stream", "synthesis"),
    ("codecs",), ("sample", "cards"), ("hub",),
    ("engine", "locks", "console", "plots", "schema", "storage", "hub_errors"), ("order",), ("errors",),
    ("version",),
)  # fmt: skip
"""mfsynth's rooms, from the top; the rooms of a line do not import each other."""

ZOO = (
    ("__init__",), ("cli",), ("evaluation",), ("pretrained",), ("training",), ("publishing",), ("fusing",),
    ("store",), ("networks",), ("metrics",), ("errors",),
)  # fmt: skip

SHARED_GROUND = {
    "mfsynth", "mfsynth.errors", "mfsynth.engine", "mfsynth.locks", "mfsynth.console", "mfsynth.hub",
    "mfsynth.codecs", "mfsynth.storage", "mfsynth.plots", "mfsynth.cards", "mfsynth.order", "mfsynth.schema",
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


@pytest.mark.parametrize(("package", "order"), [("mfsynth", MFSYNTH), ("zoo", ZOO)])
def test_arrows_go_down_only(package: str, order: tuple[tuple[str, ...], ...]) -> None:
    place = {name: number for number, line in enumerate(order) for name in line}
    assert {room(name) for name in MODULES if name.partition(".")[0] == package} <= place.keys()
    up = [
        f"{name} imports {other}"
        for name, others in GRAPH.items()
        for other in others
        if name.partition(".")[0] == other.partition(".")[0] == package
        and room(name) != room(other)
        and room(other) != "__init__"
        and place[room(other)] <= place[room(name)]
    ]
    assert not up, "\n".join(up)


def test_only_the_command_line_imports_evaluation() -> None:
    users = {room(name) for name, others in GRAPH.items() if any(map(_is_evaluation, others))}
    assert users <= {"cli", "evaluation"}


def _is_evaluation(name: str) -> bool:
    return name.startswith("zoo.evaluation")


def test_mfsynth_never_imports_zoo() -> None:
    arrows = [(name, other) for name, others in GRAPH.items() for other in others]
    assert not [name for name, other in arrows if name.startswith("mfsynth") and other.startswith("zoo")]


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


def test_a_circle_and_an_arrow_upwards_are_found() -> None:
    """What the tests above see in a small graph that has both."""
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()
    assert imports("mfsynth.shards.reader") >= {
        "mfsynth.stream",
        "mfsynth.shards.tar",
        "mfsynth.synthesis.render",
    }
    assert imports("zoo.pretrained") >= {"zoo.fusing.fusion", "zoo.store.find", "zoo.networks"}
