"""The account of a picture: everything that its file states, and what became of it.

    >>> account = Account()
    >>> account.keep("colour", "icc_profile")
    >>> account.convert("transparency", "the transparent colour was turned into an alpha channel", "transparency")
    >>> account.settle("metadata", ["icc_profile", "comment", "transparency", "tIME"])
    >>> account.notes
    ['the transparent colour was turned into an alpha channel', 'stated in the file, but not kept: comment, tIME']

Whoever reads something claims it by its name: the keys of Pillow's `Image.info` as they are (``dpi``), parts of the
file as `codec.pictures.parts` names them (``tRNS``, ``APP1 Exif``), tags of a TIFF with their number (``tag 700``). In
the end `Account.settle` is given all names that there are; what nobody has claimed is dropped, and the note says so.
That is how a key that only a future Pillow finds is noticed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Subject = Literal[
    "samples", "transparency", "colour", "orientation", "metadata", "resolution", "frames", "trailing data"
]
#: "layout": how the file is written, which says nothing of the picture (compression, interlacing)
Fate = Literal["kept", "converted", "dropped", "layout"]
_MOST_NAMES = 12  #: names in one note


@dataclass(frozen=True)
class Item:
    """One thing that the file states.

    names: what it is called there, one name or several for the same thing; note: what is said of it, a line, never
    empty for what is converted.
    """

    subject: Subject
    fate: Fate
    names: tuple[str, ...]
    note: str = ""


@dataclass
class Account:
    """What a file states, item by item."""

    items: list[Item] = field(default_factory=list)

    def keep(self, subject: Subject, *names: str) -> None:
        """These are kept as they are."""
        self._add(Item(subject, "kept", names))

    def convert(self, subject: Subject, note: str, *names: str) -> None:
        """These are kept in another form, which `note` says; no names: what no single name in the file stands for."""
        if not note:
            raise ValueError("what is converted needs a note")
        self._add(Item(subject, "converted", names, note))

    def drop(self, subject: Subject, note: str, *names: str) -> None:
        """These are not kept, which `note` says; an empty note: their names stand in one line with others'."""
        self._add(Item(subject, "dropped", names, note))

    def pass_over(self, *names: str) -> None:
        """These say how the file is written, and nothing of the picture."""
        self._add(Item("samples", "layout", names))

    def _add(self, item: Item) -> None:
        if (item.note or item.names) and item not in self.items:
            self.items.append(item)

    def fate_of(self, name: str) -> Fate | None:
        """What became of what the file calls by this name, None where nobody has claimed it; the last word holds."""
        return next((item.fate for item in reversed(self.items) if name in item.names), None)

    def settle(self, subject: Subject, stated: Iterable[str]) -> None:
        """What is stated and was not claimed by anybody is dropped."""
        for name in dict.fromkeys(stated):
            if self.fate_of(name) is None:
                self.drop(subject, "", name)

    @property
    def notes(self) -> list[str]:
        """What is to be said, a line each: conversions and losses in their order, then what is lost by its name."""
        said = list(dict.fromkeys(item.note for item in self.items if item.note))
        lost = [name for item in self.items if item.fate == "dropped" and not item.note for name in item.names]
        if lost:
            more = f" and {len(lost) - _MOST_NAMES} more" if len(lost) > _MOST_NAMES else ""
            said.append(f"stated in the file, but not kept: {', '.join(lost[:_MOST_NAMES])}{more}")
        return said
