"""The options of encode and decode: one declaration for checks, signatures and help."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest

import codec
from codec import api
from codec.coding.options import DecodeKeywords, DecodeOptions, EncodeKeywords, EncodeOptions
from codec.container import bitstream
from codec.network import session
from codec.network.weights import load

PHOTO = np.arange(32 * 48 * 3, dtype=np.uint8).reshape(32, 48, 3)


@pytest.mark.parametrize(
    ("options", "keywords", "own"),
    [(EncodeOptions, EncodeKeywords, "quality"), (DecodeOptions, DecodeKeywords, "array")],
)
def test_type_checkers_and_help_know_what_is_declared(options: type, keywords: type, own: str) -> None:
    declared = get_type_hints(options)
    declared.pop("TARGETS", None)
    assert {name: kind for name, kind in declared.items() if name != own} == get_type_hints(keywords)
    function = api.encode if options is EncodeOptions else api.decode
    signature, text = inspect.signature(function), inspect.getdoc(function) or ""
    for f in fields(options):
        assert signature.parameters[f.name].default == f.default
        assert f"{f.name}: " in text and f.metadata["meaning"][:20] in " ".join(text.split())
    assert "OPTIONS" not in text and max(map(len, text.splitlines())) <= 120


def test_numbers_of_numpy_are_numbers() -> None:
    plain = codec.encode(PHOTO, 33.25, temperature=1, seed=7, tile=32)
    assert plain == codec.encode(
        PHOTO, np.float32(33.25), temperature=np.int64(1), seed=np.uint16(7), tile=np.int32(32), effort=np.int8(0)
    )
    seen = codec.decode(plain, array=True, depth=16, scale=2, seed=3, temperature=0.5, region=(4, 8, 16, 8))
    again = codec.decode(
        plain,
        array=np.True_,
        depth=np.uint8(16),
        scale=np.int64(2),
        seed=np.int16(3),
        temperature=np.float16(0.5),
        region=np.array([4, 8, 16, 8]),
        max_pixels=1e6,
    )
    assert np.array_equal(seen, again)
    assert codec.encode(PHOTO, size=np.int64(900)) == codec.encode(PHOTO, size=900.0)
    assert codec.encode(PHOTO, psnr=np.float32(30)) == codec.encode(PHOTO, psnr=30)
    assert codec.encode(PHOTO, bpp=np.float64(3)) == codec.encode(PHOTO, bpp=3)


@pytest.mark.parametrize("value", [True, np.True_, "75", b"75", [75], np.array([75]), 1j, object()], ids=repr)
@pytest.mark.parametrize("name", ["quality", "bpp", "size", "psnr", "temperature", "seed", "effort", "tile"])
def test_what_is_no_number_is_refused(name: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"^{name} must be a (whole )?number, not "):
        codec.encode(PHOTO, **{name: value})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"quality": None}, TypeError, "quality must be a number, not None"),
        ({"quality": -0.5}, ValueError, r"quality must be in 0\.\.100, not -0\.5"),
        ({"bpp": float("inf")}, ValueError, "bpp must be finite, 0 or more, not inf"),
        ({"size": 10.5}, TypeError, r"size must be a whole number, not 10\.5"),
        ({"size": float("nan")}, TypeError, "size must be a whole number, not nan"),
        ({"tile": 100}, ValueError, "tile must be 0 or a multiple of 32 up to 65535, not 100"),
        ({"stable": "no"}, TypeError, "stable must be True or False, not 'no'"),
        ({"extras": [b"MM"]}, TypeError, "extras must be a mapping"),
        ({"device": 0}, TypeError, "device must be a name"),
        ({"weights": 7}, TypeError, "weights must be an id of 8 hex digits"),
        ({"progress": 1}, TypeError, "progress must be a function"),
        ({"bpp": 1, "psnr": 30}, ValueError, "at most one of bpp, size, psnr and ssimulacra2"),
        (
            {"qualty": 3},
            TypeError,
            r"encode\(\) has no option 'qualty'; it takes quality, bpp, size, psnr, .*progress$",
        ),
    ],
)
def test_wrong_options_of_encode(options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        codec.encode(PHOTO, **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"depth": 10}, ValueError, "depth must be one of 8, 16, not 10"),
        ({"scale": 3}, ValueError, "scale must be one of 1, 2, 4, 8, 16, not 3"),
        ({"scale": True}, TypeError, "scale must be a whole number, not True"),
        ({"seed": 65536}, ValueError, r"seed must be in 0\.\.65535"),
        ({"region": (1, 2, 3)}, TypeError, r"region must be \(x, y, width, height\)"),
        ({"region": "1234"}, TypeError, r"region must be \(x, y, width, height\)"),
        ({"notes": ()}, TypeError, "notes must be a list"),
        ({"max_pixels": -1}, ValueError, "max_pixels must be 0 or more"),
        (
            {"quality": 3},
            TypeError,
            r"decode\(\) has no option 'quality'; it takes temperature, seed, array, .*progress$",
        ),
    ],
)
def test_wrong_options_of_decode(options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        codec.decode(b"", **options)


@pytest.mark.parametrize("value", ["0badf00d", b"1234", Path("some.safetensors")], ids=repr)
def test_weights_are_looked_for_by_what_is_given(value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    shipped = load()
    monkeypatch.setattr(session, "load", lambda name: asked.append(name) or shipped)
    session.open_session.cache_clear()
    for _ in range(2):
        codec.encode(PHOTO, weights=value)  # type: ignore[arg-type]
    session.open_session.cache_clear()
    assert asked == [value]


def test_weights_by_their_name() -> None:
    data = codec.encode(PHOTO)
    assert codec.encode(PHOTO, weights=bitstream.read_header(data).weights) == data
