"""What docs/format.md says of the stream is what the coder does: a decoder written from it reads the same symbols."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import constriction
import numpy as np
import pytest
from reference_decoder import STATE, WORD, Damaged, Ends, Reader, Uniform, Writer, fixed_point
from roundtrip import noise_photo

import codec
from codec.container import bitstream
from entropy import coder
from entropy.tables import TOTAL, Tables, join, logistic_tables

DATA = Path(__file__).parent / "data"
FORMAT = " ".join((Path(__file__).parent.parent / "docs" / "format.md").read_text().split())
GOLDEN = sorted(path.name for path in DATA.glob("*.irc"))
SCALE = (STATE - 1) >> 24  #: of the first symbol of a stream


def lists(tables: Tables) -> list[list[int]]:
    """The frequencies of each table."""
    return [part.tolist() for part in np.split(tables.frequencies, tables.start[1:-1])]


def uneven(length: int, draw: random.Random) -> list[int]:
    """A table of `length` symbols with frequencies of all sizes, many of them 1."""
    parts = [max(1, int(2 ** draw.uniform(-6, 17))) for _ in range(length)]
    most = draw.randrange(length)
    parts = [max(1, p * TOTAL // (4 * sum(parts))) for p in parts]
    parts[most] += TOTAL - sum(parts)
    return parts


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Those of every scale, as weights have them, and some that are as uneven as can be."""
    draw = random.Random(1)
    parts = lists(logistic_tables())
    parts += [[1, 1, 1, TOTAL - 3], [TOTAL - 3, 1, 1, 1], [1, TOTAL - 3, 1, 1]]
    parts += [uneven(2 * draw.randrange(2, 800), draw) for _ in range(20)]
    return join([np.array(p, np.uint32) for p in parts], [0], [1])


@pytest.fixture(scope="module")
def ends(tables: Tables) -> list[Ends]:
    return [fixed_point(frequencies) for frequencies in lists(tables)]


def words(data: bytes) -> np.ndarray:
    return np.frombuffer(data, "<u4").astype(np.uint32)


def first(value: int, model: object) -> int:
    """The symbol that constriction reads first from a stream whose first two words are the value."""
    decoder = constriction.stream.queue.RangeDecoder(np.array([value // WORD, value % WORD], np.uint32))
    return int(decoder.decode(model))


# --- probabilities ---------------------------------------------------------------------------------


def test_tables_in_fixed_point(tables: Tables, ends: list[Ends]) -> None:
    """Every symbol of every table begins and ends where the format says: the value before belongs to the one before."""
    models = coder.Models(tables)
    for number, e in enumerate(ends):
        assert e[0] == 0 and e[-1] == 1 << 24 and all(a < b for a, b in zip(e, e[1:]))
        for symbol in range(len(e) - 1):
            assert first(e[symbol] * SCALE, models[number]) == symbol
            assert first(e[symbol + 1] * SCALE - 1, models[number]) == symbol


@pytest.mark.parametrize("n", [2, 4, 24, 2**10, 2**22, 2**23])
def test_equal_probabilities(n: int) -> None:
    model, e = constriction.stream.model.Uniform(n), Uniform(n)
    assert len(e) == n + 1 and e[n] == 1 << 24
    for symbol in {0, 1, n // 2, n - 2, n - 1}:
        assert first(e[symbol] * SCALE, model) == symbol
        assert first(e[symbol + 1] * SCALE - 1, model) == symbol


# --- streams -----------------------------------------------------------------------------------------


def values(tables: Tables, ids: np.ndarray, wild: float, draw: np.random.Generator) -> np.ndarray:
    out = np.rint(draw.standard_normal(len(ids)) * tables.reach[ids] / 2.5).astype(np.int32)
    far = draw.random(len(ids)) < wild
    magnitude = np.floor(2 ** draw.uniform(0, 22.9, far.sum())).astype(np.int32)
    out[far] = np.where(draw.random(far.sum()) < 0.5, -magnitude, magnitude)
    return out


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("wild", [0.0, 0.02, 1.0])
def test_the_same_bytes_and_symbols(tables: Tables, ends: list[Ends], seed: int, wild: float) -> None:
    draw, models = np.random.default_rng(seed), coder.Models(tables)
    steps = [draw.integers(0, len(ends), n) for n in (1, 0, 300, 2, 40)]
    writer, reference = coder.Encoder(), Writer(ends)
    assert reference.bytes() == writer.bytes() == b""  # nothing written, nothing read
    given = []
    for ids in steps:
        given.append(values(tables, ids, wild, draw))
        writer.code(models, ids, given[-1])
        reference.step(ids.tolist(), given[-1].tolist())
        assert reference.bytes() == writer.bytes()
    data = writer.bytes()
    for stream in (data, data + bytes(4), data + b"\xff" * 8):  # whatever follows is not read
        reader = Reader(stream, ends)
        assert [reader.step(ids.tolist()) for ids in steps] == [v.tolist() for v in given]


def test_the_farthest_residuals(tables: Tables, ends: list[Ends]) -> None:
    """Of every table, the edges of its symbols and of what an escape can say."""
    ids = np.repeat(np.arange(len(ends)), 6)
    reach = tables.reach[ids]
    edges = np.stack([reach, -reach, reach + 1, -reach - 1, reach + 2**23, -reach - 2**23 + 1], 1)
    given = edges[np.arange(len(ids)), np.arange(len(ids)) % 6].astype(np.int32)
    writer, reference = coder.Encoder(), Writer(ends)
    writer.code(coder.Models(tables), ids, given)
    reference.step(ids.tolist(), given.tolist())
    assert reference.bytes() == writer.bytes()
    assert Reader(writer.bytes(), ends).step(ids.tolist()) == given.tolist()


@pytest.mark.parametrize("fill", [0, WORD - 1])
@pytest.mark.parametrize("top", [0x00000000, 0x12345678, 0x7FFFFFFF, 0x80000000, 0xFFFFFF00])
def test_carries(tables: Tables, ends: list[Ends], top: int, fill: int) -> None:
    """Streams around a value such as 0.5, sealed after each symbol: a carry runs through many words, or does not."""
    target = b"".join(w.to_bytes(4, "little") for w in (top, *[fill] * 40))
    models, sealed = coder.Models(tables), set()
    for seed in range(20):
        draw = np.random.default_rng(seed)
        reader, writer, reference = Reader(target, ends), coder.Encoder(), Writer(ends)
        for _ in range(100):
            ids = draw.integers(0, len(ends), 1)
            try:
                found = reader.step(ids.tolist())
            except Damaged:  # the value has come to lie in what rounding leaves of a range
                break
            writer.code(models, ids, np.array(found, np.int32))
            reference.step(ids.tolist(), found)
            assert reference.bytes() == writer.bytes()
            if reference.words[-2:] == [WORD - 1] * 2:
                sealed.add(reference.low + WORD - 1 >= STATE)
    if (top, fill) == (0x7FFFFFFF, WORD - 1):
        assert sealed == {False, True}  # the seal let two words and more of ones be, and made zeros of them


def outcome(read: Iterable[list[int]]) -> list[list[int] | None]:
    """What is read step by step; None where it is found to be damaged."""
    out: list[list[int] | None] = []
    try:
        out.extend(read)
    except (Damaged, coder.CorruptStream):
        out.append(None)
    return out


@pytest.mark.parametrize("seed", range(36))
def test_the_same_of_any_bytes(tables: Tables, ends: list[Ends], seed: int) -> None:
    """Streams that no encoder wrote are read alike, and refused at the same symbol."""
    draw, models = np.random.default_rng(seed), coder.Models(tables)
    data = draw.bytes(4 * int(draw.integers(40)))
    data = [data, b"\xff" * 20, data[:4] + bytes(7), bytes(8) + data, data[:8] + b"\xff" * 60, data[:4]][seed % 6]
    steps = [draw.integers(0, len(ends), n) for n in (1, 5, 30, 60)]

    def ours() -> Iterable[list[int]]:
        reader = coder.Decoder(data)
        for ids in steps:
            yield reader.code(models, ids).tolist()

    def reference() -> Iterable[list[int]]:
        reader = Reader(data, ends)
        for ids in steps:
            yield reader.step(ids.tolist())

    found = outcome(ours())
    assert found == outcome(reference())
    if seed % 6 in (1, 2):
        assert found[-1] is None


def test_the_example_of_the_format() -> None:
    tables = join([np.array([2**18, 2**19, 2**17, 2**17]), np.array([1, 1, 2**20 - 3, 1])], [0, 1], [1, 1])
    ends, models = [fixed_point(t) for t in lists(tables)], coder.Models(tables)
    steps = [([1, 0, 0, 1], [1, -1, -4, 0]), ([1, 0], [-1, 0])]
    writer = coder.Encoder()
    for ids, given in steps:
        writer.code(models, np.array(ids), np.array(given))
    assert [Reader(writer.bytes(), ends).step(steps[0][0])] == [steps[0][1]]
    for shown in (*(", ".join(map(str, e)) for e in ends), writer.bytes().hex(" ").upper()):
        assert shown in FORMAT


# --- files -----------------------------------------------------------------------------------------------


def check(data: bytes, monkeypatch: pytest.MonkeyPatch) -> int:
    """Decode a file; then read its tiles by the reference, which is told the tables that were asked for. How many
    symbols there were."""
    streams: dict[coder.Decoder, bytes] = {}
    asked: list[tuple[coder.Decoder, Tables, list[int], list[int]]] = []
    start, read = coder.Decoder.__init__, coder.Decoder.code

    def started(self: coder.Decoder, stream: bytes) -> None:
        streams[self] = stream
        start(self, stream)

    def recorded(
        self: coder.Decoder, models: coder.Models, ids: np.ndarray, given: np.ndarray | None = None
    ) -> np.ndarray:
        out = read(self, models, ids, given)
        asked.append((self, models.tables, ids.tolist(), out.tolist()))
        return out

    with monkeypatch.context() as patch:
        patch.setattr(coder.Decoder, "__init__", started)
        patch.setattr(coder.Decoder, "code", recorded)
        codec.verify(data)
    assert sorted(streams.values()) == sorted(bitstream.read(data).tiles)
    readers = {decoder: Reader(stream, []) for decoder, stream in streams.items()}
    prepared: dict[int, list[Ends]] = {}
    for decoder, known, ids, expected in asked:
        if id(known) not in prepared:  # the side latent may have tables of its own
            prepared[id(known)] = [fixed_point(frequencies) for frequencies in lists(known)]
        readers[decoder].tables = prepared[id(known)]
        assert readers[decoder].step(ids) == expected
    assert all(next(reader.words, None) is None for reader in readers.values())  # and nothing is left
    return sum(len(ids) for *_, ids, _ in asked)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_files(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRC_WEIGHTS", str(DATA))
    assert check((DATA / name).read_bytes(), monkeypatch) > 500


def test_a_file_of_the_shipped_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(codec.encode(noise_photo(64, 96, 5), 70), monkeypatch) > 500
