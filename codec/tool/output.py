"""What the program says: failures and notes, what encode and decode did, what a file or the weights are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from codec.batch.jobs import Report
from codec.batch.local import printable
from codec.container import bitstream
from codec.errors import DamagedError
from codec.network.registry import Installed
from codec.tool import console
from codec.tool.options import PROGRAM, STREAM

#: fields of the header whose value alone does not say what it is
_EXPLAINED = ("tile_size", "checksum")


def one_line(text: str) -> str:
    """The text without line ends and repeated blanks."""
    return " ".join(str(text).split())


def shown(name: str) -> str:
    """Return a file name that is safe to print: one line, no control or undecodable bytes."""
    if name == STREAM:
        return "standard input"
    return printable(name)


@dataclass
class Status:
    """What goes wrong while a command runs, and the file it is working on."""

    file: str = ""
    code: int = 0
    quiet: bool = False  #: whether only failures are to be said

    def fail(self, code: int, message: str) -> None:
        """Report one line on standard error; the first failure sets the exit status."""
        console.say(f"{PROGRAM}: {shown(self.file) + ': ' if self.file else ''}{one_line(message)}")
        self.code = self.code or code

    def note(self, message: str) -> None:
        """Report something worth knowing that is not an error."""
        if not self.quiet:
            console.say(f"{PROGRAM}: {shown(self.file) + ': ' if self.file else ''}note: {one_line(message)}")

    def confirm(self, line: str) -> None:
        """Print that something was done, unless there is no standard output: it is done nevertheless."""
        if not self.quiet and console.has_stdout():
            console.tell(line)

    def result(self, source: str, target: str, facts: dict[str, Any], as_json: bool) -> None:
        """Print what became of a picture, unless standard output is the output itself."""
        if target == STREAM:
            return
        if as_json:
            tell_json({"input": source, "output": target, **facts})
        else:
            part = f" ({facts['part']})" if "part" in facts else ""
            size = f", .irc of {facts['bytes']} bytes, {facts['bpp']:.4f} bpp" if "bpp" in facts else ""
            self.confirm(f"{shown(target)}: {facts['width']} x {facts['height']} pixels{part}{size}")

    @contextmanager
    def guarded(self, name: str) -> Iterator[None]:
        """Work on one file of several: what goes wrong with it is reported, and the next one's turn comes."""
        self.file = name
        with console.guard(self.fail):
            yield


def tell_json(facts: dict[str, Any]) -> None:
    """Print an object as one line of JSON."""
    console.tell(json.dumps(facts))


def report_facts(report: Report) -> dict[str, Any]:
    """What ``--json`` says of one file of many."""
    names = {"file": report.source} if report.target is None else {"input": report.source, "output": report.target}
    checked = {"ok": report.error is None} if report.target is None else {}
    if report.error is not None:
        return {**names, **checked, "error": one_line(report.error), "code": report.code}
    if report.skipped:
        return {**names, "skipped": True}
    return {**names, **(checked or report.facts)}


def comparison(name: str, facts: dict[str, Any]) -> str:
    """What ``irc compare`` says: the file, the scores at each temperature, z by band."""
    shape = f"{facts['width']} x {facts['height']}"
    lines = [
        f"{shown(name)}: {shape} pixels, {facts['bytes']} bytes, {facts['bpp']:.4f} bpp, quality {facts['quality']:g}"
    ]
    rows = [["", "PSNR", "MS-SSIM", "SSIMULACRA2"]]
    for row in facts["scores"]:
        psnr = "the same" if row["psnr"] is None else f"{row['psnr']:.2f} dB"
        rest = (
            "-" if row[key] is None else f"{row[key]:.{digits}f}"
            for key, digits in (("ms_ssim", 4), ("ssimulacra2", 1))
        )
        rows.append([f"T = {row['temperature']}", psnr, *rest])
    lines += ["", *_columns(rows), "", "what was lost, as z:"]
    rows = [["band", "", "mean", "deviation", "with what is kept", "with neighbours"]]
    for row in facts["bands"]:
        figures = [
            f"{row['mean']:+.3f}",
            f"{row['deviation']:.3f}",
            f"{row['correlation']:.3f}",
            f"{row['neighbours']:+.3f}",
        ]
        rows.append([row["band"], "dropped" if row["dropped"] else "kept", *figures])
    return "\n".join([*lines, *_columns(rows)])


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of texts as lines, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def info_facts(file: bitstream.File, installed: set[str], damage: DamagedError | None = None) -> dict[str, Any]:
    """What ``irc info --json`` says of a file; installed: ids of the weights that are here; damage: what is wrong
    beyond the header, of which `file` is the outline then.
    """
    facts: dict[str, Any] = {}
    for name, value in bitstream.describe(file).items():
        facts[name] = value
        if name == "weights":
            facts["weights_installed"] = value in installed
    if damage:
        facts["damaged"] = str(damage)
    return facts


def info_text(file: bitstream.File, installed: set[str], damage: DamagedError | None = None) -> str:
    """The report of ``irc info``, one ``name  value`` a line."""
    facts = info_facts(file, installed, damage)
    chunks, here = facts.pop("chunks"), facts.pop("weights_installed")
    facts["bpp"] = f"{facts['bpp']:.4f}"
    facts["tiles"] = "{} x {}".format(*facts["tiles"])
    notes = {spec.label: spec.meaning for spec in bitstream.FIELDS if spec.name in _EXPLAINED}
    notes["weights"] = "installed" if here else "not installed"
    lines = [f"{name:<12} {value}" + (f"  ({notes[name]})" if name in notes else "") for name, value in facts.items()]
    lines += [f"{'chunk':<12} {chunk['type']}  offset {chunk['offset']}  {chunk['size']} bytes" for chunk in chunks]
    return "\n".join(lines)


def weights_facts(weights: Installed) -> dict[str, Any]:
    """What ``irc weights --json`` says of a weights file."""
    release = weights.released
    return {
        "id": weights.id,
        "default": weights.default,
        "released": release is not None,
        "kind": release and release.kind,
        "format": release and release.format,
        "date": release and release.date,
        "file": str(weights.path),
        "better": release and release.better,
    }


def weights_table(rows: Sequence[dict[str, Any]]) -> str:
    """The list of ``irc weights``: a line for each file, and one that says what is better about it."""
    lines = [["id", "default", "released", "kind", "format", "date", "file"]]
    for row in rows:
        marks = ["default" if row["default"] else "", "yes" if row["released"] else "no"]
        known = [row[key] or "-" for key in ("kind", "format", "date")]
        lines.append([row["id"], *marks, *known, shown(row["file"])])
    if "ok" in rows[0]:
        for line, state in zip(lines, ["check", *("ok" if row["ok"] else "wrong" for row in rows)]):
            line.append(state)
    table, width = _columns(lines), max(len(line[0]) for line in lines)
    for number, row in reversed([*enumerate(rows, 2)]):
        if row["better"]:
            table.insert(number, f"{'':<{width}}  {one_line(row['better'])}")
    return "\n".join(table)
