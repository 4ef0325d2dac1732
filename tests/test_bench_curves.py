"""BD-rate tables and plots of result files: anchors, metrics, and what is refused."""

import json
from itertools import pairwise

import pytest
from PIL import Image

pytest.importorskip("scipy")

from bench.cli import main
from bench.errors import BenchError
from bench.peers.codecs import PillowCodec, open_codec
from bench.runs.images import write_json


def write_curve(path, name, bpp, psnr, key="psnr-rgb"):
    write_json(path, {"name": name, "description": "", "results": {"bpp": bpp, key: psnr}})


BPP = [0.2, 0.4, 0.8, 1.6]


PSNR = [29.0, 32.0, 35.0, 38.0]


def test_bdrate_of_measured_curves(tmp_path, capsys):
    write_curve(tmp_path / "a.json", "ours", [0.8 * rate for rate in BPP], PSNR)
    write_curve(tmp_path / "b.json", "theirs", BPP, PSNR, key="psnr")
    files = [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    assert main(["bdrate", *files, "--anchor", "theirs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "29.5-36.5 dB" in lines[1]
    assert lines[2].split()[:3] == ["ours", "-20.00", "(29.50-36.50"]
    assert "-20.00 (29.00-38.00 dB)" in lines[2]
    assert main(["bdrate", *files, "--anchor", "nobody"]) == 2
    assert "no curve is called 'nobody'" in capsys.readouterr().err


def test_bdrate_of_published_curves(capsys):
    command = ["bdrate", "--anchor", "bpg444", "--published", "webp,vtm", "--band", "29.5", "36.5"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("webp (published)")
    assert "+45.85 (29.50-36.50 dB)" in lines[2]
    assert "-21.39 (29.50-36.50 dB)" in lines[3]
    assert main([*command, "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:4] == ["", "| codec | 29.5-36.5 dB | common range |", "|---|---|---|"]
    assert lines[4].startswith("| webp (published) | +45.85 (29.50-36.50 dB) | ")


def test_bdrate_refuses(tmp_path, capsys):
    write_curve(tmp_path / "short.json", "short", BPP[:3], PSNR[:3])
    assert main(["bdrate", str(tmp_path / "short.json")]) == 1
    captured = capsys.readouterr()
    assert "short: refused: the curve has 3 points" in captured.err
    assert captured.out.splitlines()[2].split() == ["short", "-", "-"]


def test_bdrate_warns_of_other_images(tmp_path, capsys):
    curve = {"name": "ours", "results": {"bpp": BPP, "psnr-rgb": PSNR}}
    kodak = [f"kodim{number:02}.png" for number in range(1, 25)]
    write_json(tmp_path / "a.json", {**curve, "images": kodak})
    assert main(["bdrate", str(tmp_path / "a.json")]) == 0
    assert capsys.readouterr().err == ""
    write_json(tmp_path / "a.json", {**curve, "images": kodak[:2]})
    assert main(["bdrate", str(tmp_path / "a.json"), "--anchor", "bpg444"]) == 0
    assert "its 2 images are not the 24 of bpg444" in capsys.readouterr().err


def test_bdrate_of_a_name_that_is_both(tmp_path, capsys):
    """The measured curve is taken, and the table says so."""
    write_curve(tmp_path / "a.json", "jpeg", BPP, PSNR)
    for key, line, first in (
        ("jpeg", "against jpeg (measured)", "+0.00"),
        ("measured:jpeg", "against jpeg (measured)", "+0.00"),
        ("published:jpeg", "against jpeg (published)", "-52.48"),
    ):
        assert main(["bdrate", str(tmp_path / "a.json"), "--anchor", key]) == 0
        out = capsys.readouterr().out.splitlines()
        assert line in out[0] and out[2].split()[1] == first
    # one name in two files
    write_curve(tmp_path / "b.json", "jpeg", BPP, PSNR)
    files = [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    assert main(["bdrate", *files, "--anchor", "jpeg@a"]) == 0
    assert "jpeg@b" in capsys.readouterr().out


def test_bdrate_against_several(tmp_path, capsys):
    """A column each; published rows say that they are."""
    write_curve(tmp_path / "a.json", "ours", [0.8 * rate for rate in BPP], PSNR)
    write_curve(tmp_path / "b.json", "jpeg", BPP, PSNR)
    command = ["bdrate", str(tmp_path / "a.json"), str(tmp_path / "b.json"), "--published", "vtm,av1", "--markdown"]
    assert main([*command, "--anchor", "bpg444", "--anchor", "jpeg"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:4] == ["| codec | against bpg444 (published) | against jpeg (measured) |", "|---|---|---|"]
    assert lines[4].startswith("| ours | ") and lines[4].endswith(" | -20.00 (29.50-36.50 dB) |")
    assert [line.split(" | ")[0] for line in lines[5:]] == ["| jpeg", "| vtm (published)", "| av1 (published)"]
    assert lines[6].split(" | ")[1].startswith("-21.39 ")


def test_bdrate_and_plot_by_other_metrics(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    scores = {"psnr-y": PSNR, "ssimulacra2": [20, 50, 70, 85], "ms-ssim-rgb": [0.9, 0.95, 0.98, 0.99]}
    for name, factor in (("ours", 0.7), ("avif", 1)):
        results = {"bpp": [factor * rate for rate in BPP], "psnr-rgb": PSNR, **scores}
        write_json(tmp_path / f"{name}.json", {"name": name, "results": results, "images": ["a.png"]})
    files = [str(tmp_path / "ours.json"), str(tmp_path / "avif.json")]
    for metric, label, interval in (
        ("ssimulacra2", "SSIMULACRA2", "20.00-85.00"),
        ("ms-ssim", "MS-SSIM", "10.00-20.00 dB"),
        ("psnr-y", "PSNR-Y", "29.00-38.00 dB"),
    ):
        assert main(["bdrate", *files, "--metric", metric]) == 0
        said = capsys.readouterr()
        assert said.out.splitlines()[0] == f"BD-rate in % against avif (measured), {label}; minus is better"
        assert said.out.splitlines()[2].split(maxsplit=1)[1] == f"-30.00 ({interval})" and said.err == ""
        assert main(["plot", *files, "--metric", metric, "--out", str(tmp_path / "x.svg")]) == 0
        assert f">{label}" in (tmp_path / "x.svg").read_text()
    assert main(["bdrate", *files, "--metric", "ssimulacra2", "--published", "vtm"]) == 2
    assert "published curves are of PSNR over RGB" in capsys.readouterr().err
    # these images are not Kodak's: what was measured is compared with
    assert main(["bdrate", *files]) == 0
    assert "against avif (measured)" in capsys.readouterr().out
    assert main(["report", *files, "--out", str(tmp_path / "x.html")]) == 0
    assert "against avif (measured)" in (tmp_path / "x.html").read_text()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": 1}', '{"curves": [3]}', "\x00"])
def test_files_that_hold_no_curves(tmp_path, capsys, text):
    (tmp_path / "a.json").write_text(text)
    assert main(["bdrate", str(tmp_path / "a.json")]) == 2
    assert "a.json" in capsys.readouterr().err


def test_plot(tmp_path):
    pytest.importorskip("matplotlib")
    write_curve(tmp_path / "a.json", "ours", BPP, PSNR)
    command = ["plot", str(tmp_path / "a.json"), "--published", "bpg444,vtm", "--out"]
    svg, png = tmp_path / "x.svg", tmp_path / "x.png"
    assert main([*command, str(svg), "--max-bpp", "2", "--title", "Kodak"]) == 0
    text = svg.read_text()
    assert ">ours<" in text
    assert "VTM (published)" in text
    assert "stroke-dasharray" in text
    first = svg.read_bytes()
    assert main([*command, str(svg), "--max-bpp", "2", "--title", "Kodak"]) == 0
    assert svg.read_bytes() == first
    assert main([*command, str(png)]) == 0
    with Image.open(png) as image:
        assert image.width > 500


def generations_document():
    """Two codecs at two schedules: one loses nothing, the other a tenth of a decibel a generation."""

    def means(schedule, loss):
        settings = [schedule[i % len(schedule)] for i in range(6)]
        return [
            {"generation": i + 1, "setting": s, "psnr_original": s - loss * i, "bytes": 1000}
            for i, s in enumerate(settings)
        ]

    return {
        "name": "generations",
        "generations": 6,
        "series": [
            {"codec": codec, "schedule": schedule, "images": {}, "means": means(schedule, loss)}
            for codec, loss in (("ours", 0), ("theirs", 0.1))
            for schedule in ([30], [30, 40])
        ],
    }


def test_plot_of_generations(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    from bench.metrics.generation_loss import growth, losses, panels

    document = generations_document()
    lost = losses(document["series"][3])
    # each against the first at its own setting, since both have had their turn
    assert lost == [(g, pytest.approx(y)) for g, y in zip(range(2, 7), (0, 0, -0.2, -0.2, -0.4))]
    assert [g for g, _ in losses(document["series"][2])] == [1, 2, 3, 4, 5, 6]
    assert growth(document["series"][3]) == 0
    assert [[s["codec"] for s in group] for group in panels([document])] == [["ours", "theirs"]] * 2
    path, svg = tmp_path / "gen.json", tmp_path / "x.svg"
    write_json(path, document)
    assert main(["plot", str(path), "--out", str(svg)]) == 0
    for text in (">ours 30 (30.0 dB)<", ">theirs 30/40 (30.0 dB)<"):
        assert text in svg.read_text()
    assert main(["plot", str(path), "--published", "vtm", "--out", str(svg)]) == 2
    assert "drawn apart" in capsys.readouterr().err


def test_plot_of_speed(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    rows = [
        {"codec": codec, "threads": threads, "width": 1000, "height": side, "encode": [0.2, 0.1, 0.3], "decode": [0.1],
         "bytes_per_pixel_encode": memory, "bytes_per_pixel_decode": memory}
        for codec, memory in (("ours", 40), ("theirs", -3))
        for threads in (1, 2)
        for side in (100, 1000)
    ]  # fmt: skip
    rows.append({"codec": "slow", "threads": 1, "width": 9, "height": 9, "note": "took longer"})
    path, other, svg = tmp_path / "speed.json", tmp_path / "other.json", tmp_path / "x.svg"
    write_json(path, {"name": "speed", "clock": "processor", "rows": rows})
    assert main(["plot", str(path), "--out", str(svg)]) == 0
    text = svg.read_text()
    # memory of theirs is not above that of a tiny picture: no logarithm of it is drawn
    assert (text.count(">ours<"), text.count(">theirs<"), text.count(">slow<")) == (3, 2, 0)
    assert ">encode, processor seconds<" in text and ">1 thread<" in text
    write_json(other, {"name": "speed", "clock": "wall", "rows": rows})
    assert main(["plot", str(path), str(other), "--out", str(svg)]) == 2
    assert "drawn apart" in capsys.readouterr().err
    write_json(other, {"name": "speed", "clock": "wall", "rows": rows[-1:]})
    assert main(["plot", str(other), "--out", str(svg)]) == 2
    assert "no codec was timed" in capsys.readouterr().err


def test_plots_that_cannot_be(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert main(["plot", "--out", str(tmp_path / "x.svg")]) == 2
    assert "no curve" in capsys.readouterr().err
    assert main(["plot", "--published", "vtm", "--out", str(tmp_path / "x.gif")]) == 2
    assert ".png or .svg" in capsys.readouterr().err
    command = ["plot", "--published", "vtm", "--max-bpp", "0", "--out", str(tmp_path / "x.svg")]
    assert main(command) == 2
    assert "no point" in capsys.readouterr().err


def test_labels_are_spread():
    pytest.importorskip("matplotlib")
    from bench.figures.plot import spread

    assert spread([3.0, 1.0], 1.0) == [3.0, 1.0]
    heights = spread([1.0, 1.1, 1.05, 5.0, 1.9], 0.5)
    ordered = sorted(heights)
    assert all(b - a >= 0.5 - 1e-9 for a, b in pairwise(ordered))
    assert heights[0] < heights[2] < heights[1] < heights[4] < heights[3]


def test_write_json_is_all_or_nothing(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_the_protocol_is_met():
    codec = open_codec("jpeg")
    assert isinstance(codec, PillowCodec)
    with pytest.raises(BenchError):
        open_codec("")
