"""Seeded documents: mutated protocols and benches of the library, trees made from the schema, and bombs."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import yaml

from labctl.bench.loader import bundled_benches
from labctl.protocol.cookbook import BUNDLED as RECIPES
from labctl.protocol.editor import bench_json_schema, protocol_json_schema
from labctl.protocol.library import bundled_folder

MISTAKES = Path(__file__).parents[1] / "protocol" / "mistakes"
BIG = 900_000
"""Bytes of the largest documents: just below what is read at all."""


class Fuzzed(NamedTuple):
    """A document. what: "protocol", "bench" or "recipe", by which it is judged. kind: how it was made."""

    what: str
    kind: str
    content: str | bytes


@cache
def originals() -> tuple[tuple[str, str], ...]:
    """Every protocol, part, bench and recipe that comes with labctl, and the one that all mistakes are made in."""
    protocols = [*sorted(bundled_folder().rglob("*.yaml")), MISTAKES / "good.yaml"]
    files = [("protocol", file) for file in protocols]
    files += [("bench", file) for file in bundled_benches().values()]
    files += [("recipe", file) for file in sorted(RECIPES.glob("*.yaml"))]
    return tuple((what, file.read_text(encoding="utf-8")) for what, file in files)


@cache
def _schemas() -> dict[str, dict[str, Any]]:
    return {"protocol": protocol_json_schema(), "bench": bench_json_schema()}


NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 10**17, -(10**17), 1e308, -1e308, 5e-324, 0.1, "", " ", "~", "no", "007", "1_000",
    "12:30", "0x1F", "1e999", "-1e999", "nan", "inf", ".nan", "inf degC", "nan K/min", "1e308 degC", "1e-320 h",
    "-273.15 degC", "-227 degC", "46.7 K", "0 s", "0 sccm", "-5 sccm", "1e-300 sccm", "1e300 h", "9" * 400 + " h",
    "800 degC", "5 K/min", "200 sccm", "1C", "C/0", "C/1e-300", "0C", "99 %", "at least 99 %", "at most nan g",
    "{soak}", "{", "}", "{}", "{{soak}}", "{soak", "{a b}", "{" * 300, "${HOME}", "$(reboot)", "`id`", "%s%n", "\\0",
    "../../etc/passwd", "..\\..\\x", "/dev/zero", "/proc/self/mem", "C:\\x", "file:///etc/passwd", "labsim://../x/y",
    "tcp://:", "serial://", "visa://" + "A" * 99, "\x00", "a\x00b", "\u202e", "\ufeff", "\ud7ff", "\U0001f9ea",
    "\u0661\u0662 degC", "\uff18\uff10\uff10 degC", "800\u00a0degC", "x" * 5000, "=cmd|'/c calc'!A1", "<script>",
    "é" * 70, "'", '"', "\n", "- a: b",
    [], {}, [[]], [None], {"": ""}, {"a": {"b": {"c": {}}}}, [1, "1", 1.0], {"../x": 1}, ["{soak}"] * 50,
    "Na3V2(PO4)3", "Na" * 90, "(" * 90, "C9999999H9", "Uuo2",
)  # fmt: skip
"""Values that are put anywhere."""

PIECES = (
    "{", "}", "[", "]", ":", ",", "- ", "\n", "  ", "\t", "'", '"', "#", "&a ", "*a", "!!python/object:os.system ",
    "!x ", "<<: ", "---\n", "...\n", "%YAML 1.2\n", "? ", "|\n", ">-\n", "@", "`", "\x00", "\x07", "\u2028", "\r",
    "\x85", "\ufeff", "{soak}", "..", "../", "1e999", "~",
)  # fmt: skip
"""Text that means something to YAML, or should not."""


def documents(seed: int) -> Iterator[Fuzzed]:
    """Documents without end, the same for one seed."""
    chance = Random(seed)
    makers = list(MAKERS)
    weights = [MAKERS[make] for make in makers]
    while True:
        (make,) = chance.choices(makers, weights)
        yield make(chance)


def _original(chance: Random) -> tuple[str, str]:
    """One of the originals: mostly a protocol, as these are what people write."""
    (what,) = chance.choices(("protocol", "bench", "recipe"), (60, 25, 15))
    return chance.choice([each for each in originals() if each[0] == what])


def _numbers(chance: Random) -> Fuzzed:
    """An original with other numbers in it, which goes furthest of all."""
    what, text = _original(chance)
    found = list(re.finditer(r"(?<![\w.])\d+(\.\d+)?(?![\w.])", text))
    for match in sorted(
        chance.sample(found, min(len(found), chance.randint(1, 3))), key=lambda m: -m.start()
    ):
        text = text[: match.start()] + chance.choice(NUMBERS) + text[match.end() :]
    return Fuzzed(what, "numbers", text)


NUMBERS = (
    "0", "1", "2", "7", "19", "46.795", "61", "99", "101", "149", "205", "450", "900", "1050", "1e5", "1e9", "1e18",
    "1e300",
    "1.7e308", "-1", "-40", "-227", "-273.15", "-1e9", "0.5", "0.01", "1e-9", "1e-300", "5e-324", "-0.0",
    "1e999", "nan",
)  # fmt: skip
"""Numbers that are put instead of others."""


def _cut(chance: Random) -> Fuzzed:
    """Bytes of an original, some of them gone, doubled or replaced."""
    what, text = _original(chance)
    raw = bytearray(text.encode())
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(len(raw) + 1)
        width = chance.choice((0, 1, 1, 3, 40))
        raw[at : at + width] = chance.choice(
            (b"", chance.randbytes(chance.randint(1, 6)), raw[at : at + 2 * width], b"\xff", b"\x00")
        )
    return Fuzzed(what, "bytes", bytes(raw))


def _pieces(chance: Random) -> Fuzzed:
    """An original with pieces of YAML put anywhere."""
    what, text = _original(chance)
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice(PIECES) + text[at + chance.choice((0, 0, 1, 5)) :]
    return Fuzzed(what, "pieces", text)


def _lines(chance: Random) -> Fuzzed:
    """An original with lines lost, doubled, moved or indented otherwise."""
    what, text = _original(chance)
    lines = text.splitlines(keepends=True)
    for _ in range(chance.choice((1, 1, 2, 6))):
        i, j = chance.randrange(len(lines)), chance.randrange(len(lines))
        change = chance.randrange(4)
        if change == 0 and len(lines) > 1:
            del lines[i]
        elif change == 1:
            lines.insert(j, lines[i])
        elif change == 2:
            lines[i] = chance.choice((" ", "  ", "    ", "\t")) + lines[i]
        else:
            lines[i], lines[j] = lines[j], lines[i]
    return Fuzzed(what, "lines", "".join(lines))


def _tree(chance: Random) -> Fuzzed:
    """An original read, its values and keys changed, and written again: the shape is right, the content is not."""
    what, text = _original(chance)
    data = pickle.loads(_pickled(text))
    for _ in range(chance.choice((1, 1, 2, 4))):
        _change(data, chance)
    return Fuzzed(what, "tree", written(data, chance))


@cache
def _pickled(text: str) -> bytes:
    """What a text says, to be read again and again quickly."""
    return pickle.dumps(yaml.safe_load(text))


def _change(data: Any, chance: Random) -> None:
    """One change somewhere in a tree."""
    spots = list(_spots(data))
    if not spots:
        return
    holder, key = chance.choice(spots)
    change = chance.randrange(6)
    if change == 0:
        holder.pop(key)
    elif change == 1 and isinstance(holder, dict):
        holder[chance.choice((str(key) + "x", "../" + str(key), "", "\u202e", "x" * 300))] = holder.pop(key)
    elif change == 2:
        other, where = chance.choice(spots)
        holder[key] = deepcopy(other[where])
    elif change == 3 and isinstance(holder, list):
        holder.extend([holder[key]] * chance.choice((1, 1, 3, 30)))
    else:
        holder[key] = deepcopy(chance.choice(NASTY))


def _spots(data: Any, depth: int = 0) -> Iterator[tuple[Any, Any]]:
    """Every place of a tree: what holds it, and under which key."""
    if depth > 12:
        return
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in list(entries):
        yield data, key
        yield from _spots(value, depth + 1)


def written(data: Any, chance: Random) -> str:
    """A tree as YAML, in one style or another; what repeats is written out, since aliases are refused anyway."""
    flow = chance.choice((None, True, False))
    dumper = _Plain if chance.random() < 0.95 else yaml.SafeDumper
    return yaml.dump(
        data, Dumper=dumper, default_flow_style=flow, allow_unicode=chance.random() < 0.5, width=1000
    )


class _Plain(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Nothing is an alias."""
        return True


def _made(chance: Random) -> Fuzzed:
    """A tree made from the JSON schema: every block of the language turns up, sooner or later."""
    what = chance.choice(("protocol", "protocol", "bench"))
    schema = _schemas()[what]
    return Fuzzed(what, "made", written(_instance(schema, schema, chance, 0), chance))


def _instance(schema: Any, root: dict[str, Any], chance: Random, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > 12 or chance.random() < 0.04:
        return deepcopy(chance.choice(NASTY))
    if "if" in schema:
        branch = schema[chance.choice(("then", "else"))]
        properties = {**schema.get("properties", {}), **branch.get("properties", {})}
        schema = {k: v for k, v in {**schema, **branch, "properties": properties}.items() if k != "if"}
    if "$ref" in schema:
        return _instance(root["$defs"][schema["$ref"].rpartition("/")[2]], root, chance, depth)
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return _instance(chance.choice(schema[choice]), root, chance, depth + 1)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return chance.choice(schema["enum"])
    kind = schema.get("type")
    kind = chance.choice(kind) if isinstance(kind, list) else kind
    if kind == "object" or "properties" in schema:
        wanted = schema.get("required", ())
        made = {
            key: _instance(inner, root, chance, depth + 1)
            for key, inner in schema.get("properties", {}).items()
            if key in wanted or chance.random() < (0.4 if len(schema["properties"]) < MANY else 0.08)
        }
        patterns = list(schema.get("patternProperties", {}).values())
        more = patterns[0] if patterns else schema.get("additionalProperties")
        if isinstance(more, dict):
            for name in chance.sample(_NAMES, chance.randint(0, 4)):
                made[name] = _instance(more, root, chance, depth + 1)
        return made
    if kind == "array":
        inner = schema.get("items", {})
        return [_instance(inner, root, chance, depth + 1) for _ in range(chance.randint(0, 4))]
    if "pattern" in schema:
        fitting = [text for text in _TEXTS if re.search(schema["pattern"], text)]
        return chance.choice(fitting or _TEXTS)
    return {
        "boolean": chance.random() < 0.5,
        "null": None,
        "integer": chance.choice((0, 1, 3, 1000, -1)),
        "number": chance.choice((0.0, 0.5, 20.0, 1e6, -1.0)),
    }.get(str(kind), chance.choice(_TEXTS))


MANY = 12
"""A block with more keys than this has one or two of them at a time: a step is of one kind."""
_NAMES = (
    "furnace",
    "oven",
    "nitrogen",
    "dryer",
    "stirrer",
    "cycler",
    "tube",
    "soak",
    "a",
    "NaNO3",
    "F127",
    "../x",
)
_TEXTS = (
    "furnace", "oven", "nitrogen", "dryer", "tube_furnace", "gas_flow", "solvent_dryer", "tube", "soak", "{soak}", "a",
    "800 degC", "5 K/min", "2 h", "200 sccm", "100 ppm", "500 rpm", "3.8 V", "1C", "117 mA/g", "1 g", "10 mL", "99 %",
    "at least 99 %", "2 K", "g", "N2", "labsim://x/y", "eurotherm", "Na3V2(PO4)3", "short-furnace", "../x",
    "pyrolyse", "40 degC", "60 degC", "0.1 mV/s", "10 mV", "100 kHz", "1 mL/min", "30 mg", "5 mbar", "at most 5 %",
)  # fmt: skip


def _bomb(chance: Random) -> Fuzzed:
    """What fills a memory or a stack, if it is let."""
    make = chance.choice(BOMBS)
    return Fuzzed(chance.choice(("protocol", "protocol", "bench")), make.__name__, make(chance))


def _aliases(chance: Random) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    return "\n".join(lines)


def _nested(chance: Random) -> str:
    opening = chance.choice(("[", "{a: ", "- ", "? "))
    return opening * (chance.choice((30, 33, 1000, BIG // 8)))


def _indented(chance: Random) -> str:
    return "\n".join(" " * i + "a:" for i in range(chance.choice((40, 1200))))


def _long_scalar(chance: Random) -> str:
    return f"protocol: {chance.choice(('x', '9', '{', 'é')) * chance.choice((70, 10_000, BIG // 2))}\nsteps: []\n"


def _huge_number(chance: Random) -> str:
    value = chance.choice(
        ("9" * 4400, "1" + "0" * 100_000, "1e999999999", "0." + "0" * 50_000 + "1", "9" * 300_000 + " h")
    )
    return f"protocol: p\nsteps:\n  - {{id: a, wait: {{for: {value}}}}}\n"


def _wide(chance: Random) -> str:
    n = chance.choice((1000, 20_000))
    return "protocol: p\nsteps:\n" + "".join(f"  - {{id: a{i}, wait: {{for: 1 s}}}}\n" for i in range(n))


def _many_keys(chance: Random) -> str:
    return "".join(f"k{i}: {{x: 1}}\n" for i in range(chance.choice((500, 20_000))))


def _many_parameters(chance: Random) -> str:
    n = chance.choice((300, 4000))
    declared = "".join(f"  p{i}: {{default: {i} s}}\n" for i in range(n))
    used = "".join(f"  - {{id: a{i}, wait: {{for: '{{p{i + 1}}}'}}}}\n" for i in range(n))
    return f"protocol: p\nparameters:\n{declared}steps:\n{used}"


def _references(chance: Random) -> str:
    """A few long values, and very many references to them."""
    n = chance.choice((100, 30_000))
    return (
        f"protocol: p\nparameters:\n  a: {{default: '{'x' * (BIG // 3)}'}}\n"
        f"title: '{'{a}' * n}'\nsteps:\n  - {{id: a, wait: {{for: 1 s}}}}\n"
    )


def _repeats(chance: Random) -> str:
    """Steps in repeats in repeats."""
    depth, times = chance.choice(((3, 100), (5, 1000), (9, 99_999)))
    inner = "- {id: a, wait: {for: 1 s}}"
    for i in range(depth):
        inner = f"- {{id: r{i}, repeat: {{times: {times}, steps: [{inner[2:]}]}}}}"
    return f"protocol: p\nsteps:\n  {inner}\n"


def _segments(chance: Random) -> str:
    n = chance.choice((200, 9000))
    return (
        "protocol: p\nroles: {furnace: tube_furnace}\nsteps:\n  - id: a\n    heat:\n      with: furnace\n"
        f"      segments: [{', '.join(['{to: 800 degC, ramp: 900 K/min}', '{to: 30 degC, ramp: 9 K/min}'] * n)}]\n"
    )


def _contents(chance: Random) -> str:
    n = chance.choice((50, 3000))
    salts = ", ".join(f"Na{i}NO3: {i} g" for i in range(1, n))
    return f"protocol: p\ncontents: {{{salts}, F127: 1 g}}\nsteps:\n  - {{id: a, wait: {{for: 1 s}}}}\n"


def _misspelt(chance: Random) -> str:
    """Thousands of unknown names, each of which wants its nearest."""
    n, used = chance.choice(((100, 100), (190, 950), (5000, 5000)))
    roles = "".join(f"  rolerolerole{i}: oven\n" for i in range(n))
    steps = "".join(
        f"  - {{id: s{i}, stir: {{with: rolerolerol{i}x, speed: 1 rpm, for: 1 s}}}}\n" for i in range(used)
    )
    return f"protocol: p\nroles:\n{roles}steps:\n{steps}"


def _needs(chance: Random) -> str:
    """Thousands of needs for steps that are almost there."""
    needs = ", ".join(f"stepstep{i}x" for i in range(chance.choice((5, 50, 66))))
    steps = "".join(f"  - {{id: stepstep{i}, needs: [{needs}], wait: {{for: 1 s}}}}\n" for i in range(190))
    return f"protocol: p\nsteps:\n{steps}"


def _units(chance: Random) -> str:
    """Thousands of quantities in units that nobody knows."""
    n, each = chance.choice(((1, 4000), (70, 199)))
    steps = "".join(
        f"  - {{id: s{i}, heat: {{with: furnace, segments: ["
        + ", ".join(f"{{to: 800 dgeC{i}{k}}}" for k in range(each))
        + "]}}\n"
        for i in range(n)
    )
    return f"protocol: p\nroles: {{furnace: tube_furnace}}\nsteps:\n{steps}"


def _itself(chance: Random) -> str:
    other = chance.choice(("p", "short-furnace", "../p", "x" * 5000))
    return f"protocol: p\nextends: {other}\nsteps: [{{include: p}}]\n"


def _random_text(chance: Random) -> str:
    points = [chr(chance.choice((chance.randrange(32, 127), chance.randrange(0xD7FF)))) for _ in range(200)]
    return "".join(points) * chance.choice((1, 1, 500))


BOMBS = (
    _aliases, _nested, _indented, _long_scalar, _huge_number, _wide, _many_keys, _many_parameters, _references,
    _repeats, _segments, _contents, _misspelt, _needs, _units, _itself, _random_text,
)  # fmt: skip

MAKERS: dict[Callable[[Random], Fuzzed], int] = {
    _numbers: 25, _tree: 25, _lines: 15, _pieces: 12, _cut: 10, _made: 12, _bomb: 1,
}  # fmt: skip
"""How often each is made, of a hundred."""
