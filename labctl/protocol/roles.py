"""Who plays which role: instruments of a bench, chosen by capability."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from labctl.bench.api import CAPABILITIES
from labctl.bench.schema import Bench
from labctl.errors import Finding
from labctl.protocol.diagnosis import MOST_HINTS, nearest
from labctl.protocol.source import Document, Path

AWAITED = {"potentiostat": "voltammetry and impedance"}
"""Capabilities that protocols may ask for although no driver offers them yet, and for what."""


@dataclass
class Cast:
    """The roles that a protocol declares, and the instruments of a bench that play them.

    findings: everything that keeps a role or a step from being bound, in the order in which it was met.
    """

    declared: Mapping[str, str]
    document: Document
    bench: Bench
    findings: list[Finding] = field(default_factory=list)
    bound: dict[str, str] = field(default_factory=dict)

    def error(
        self, rule: str, path: Path, message: str, hint: str | None = None, *, key: bool = False
    ) -> None:
        """Note an error at the value (or key) of `path`."""
        self.findings.append(self.document.finding(rule, path, message, hint, key=key))

    def near(self, word: str, valid: Iterable[str]) -> str | None:
        """The nearest valid name, as a hint; None after MOST_HINTS mistakes."""
        return nearest(word, valid) if len(self.findings) < MOST_HINTS else None

    def bind(self) -> None:
        """Give every role its instrument; several able ones need a default."""
        for role, capability in self.declared.items():
            path: Path = ("roles", role)
            if capability in AWAITED and capability not in CAPABILITIES:
                message = f"role {role!r}: this version drives no {capability}, so no bench has one"
                hint = f"{AWAITED[capability]} are read and checked, and cannot be planned yet"
                self.error("BIND-007", path, message, hint)
                continue
            if capability not in CAPABILITIES:
                message = f"there is no capability {capability!r}"
                self.error("ROLE-002", path, message, self.near(capability, CAPABILITIES))
                continue
            able = [n for n, i in self.bench.instruments.items() if capability in i.provides]
            chosen = able if len(able) == 1 else [n for n in able if self.bench.instruments[n].default]
            if len(chosen) == 1:
                self.bound[role] = chosen[0]
            elif able:
                message = f"role {role!r}: {', '.join(able)} all offer {capability}"
                self.error("BIND-002", path, message, "mark one of them `default: true` in the bench file")
            else:
                message = f"role {role!r}: nothing on bench {self.bench.bench} offers {capability}"
                self.error("BIND-001", path, message, self.nearest_instruments(capability))

    def nearest_instruments(self, capability: str) -> str | None:
        """The instruments that come closest to a capability, by its name."""
        offers = sorted({c for i in self.bench.instruments.values() for c in i.provides})
        words = set(capability.split("_"))
        near = [c for c in offers if words & set(c.split("_"))] or offers
        names = [
            f"{n} ({', '.join(i.provides)})"
            for n, i in self.bench.instruments.items()
            if set(near) & set(i.provides)
        ]
        return f"nearest: {', '.join(names[:4])}" if names else None

    def instrument(self, role: str, path: Path, *capabilities: str) -> str | None:
        """The instrument in a role; a finding if there is no such role, or one of another capability."""
        if role not in self.declared:
            self.error("ROLE-001", path, f"there is no role {role!r}", self.near(role, self.declared))
            return None
        capability = self.declared[role]
        if capabilities and capability in (*CAPABILITIES, *AWAITED) and capability not in capabilities:
            message = f"role {role!r} is a {capability}; this needs {' or '.join(capabilities)}"
            fitting = [r for r, c in self.declared.items() if c in capabilities]
            self.error("ROLE-003", path, message, f"did you mean {fitting[0]}?" if fitting else None)
            return None
        return self.bound.get(role)

    def chamber(self, instrument: str | None, path: Path) -> str | None:
        """The chamber an instrument works in; a finding if it has none."""
        if instrument is None:
            return None
        chamber = self.bench.instruments[instrument].chamber
        if chamber is None:
            self.error("BIND-003", path, f"{instrument} belongs to no chamber of bench {self.bench.bench}",
                       "give it `chamber:` in the bench file")  # fmt: skip
        return chamber

    def crew(self, chamber: str | None, *driven: str | None) -> tuple[str, ...]:
        """What a step drives, then what else reads its chamber."""
        readers = {"thermometer", "oxygen"}
        names = [n for n in driven if n is not None]
        if chamber is not None:
            names += [
                n
                for n, i in self.bench.instruments.items()
                if i.chamber == chamber and readers & set(i.provides)
            ]
        return tuple(dict.fromkeys(names))
