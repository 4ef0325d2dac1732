"""The report: its contents, and the page driven in a headless Chromium."""

import json
import re

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("scipy")

from test_bench_curves import generations_document

from bench.cli import main
from bench.figures.pictures import closest, version_of
from bench.peers.codecs import open_codec
from bench.runs.images import write_json

RATES = [0.2, 0.4, 0.8, 1.6]
COMMAND = "irc-bench rd x" + 20 * " --settings 1,2,3"


def results(folder):
    """Result files of two curves, generations and a speed run."""
    curves = [
        {
            "name": name,
            "description": f"the codec </script> {name}",
            "version": "1.0",
            "results": {"setting": [1, 2, 3, 4], "bpp": [factor * rate for rate in RATES], "psnr-rgb": [29, 32, 35, 38],
                        "ms-ssim-rgb": [0.9, 0.95, 0.98, 0.99]},
            "images": ["a.png"],
            "runs": [{"command": COMMAND, "date": "2026-01-02T03:04:05", "machine": {"processor": "P", "cores": 2}}],
        }
        for name, factor in (("ours", 0.8), ("theirs", 1.0))
    ]  # fmt: skip
    row = {
        "threads": 1,
        "megapixels": 0.1,
        "bpp": 0.8,
        "encode": [0.3, 0.1, 0.2],
        "decode": [0.1],
        "width": 3,
        "height": 2,
    }
    speed = [
        {"codec": "ours", **row},
        {"codec": "theirs", **row, "encode": [2.0]},
        {"codec": "slow", "note": "took longer"},
    ]
    documents = {"rd": {"curves": curves}, "gen": generations_document(), "speed": {"name": "speed", "rows": speed}}
    for name, document in documents.items():
        write_json(folder / f"{name}.json", document)
    return [str(folder / f"{name}.json") for name in documents]


def picture():
    y, x = np.mgrid[:120, :180]
    return np.stack([x, 2 * y, (x * y) % 256], -1).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    (folder / "photos").mkdir()
    Image.fromarray(picture()).save(folder / "photos" / "a.png")
    Image.fromarray(picture()[:, ::-1]).save(folder / "photos" / "b.png")
    command = ["report", *results(folder), "--published", "bpg444", "--anchor", "theirs", "--jobs", "1"]
    command += ["--pictures", str(folder / "photos"), "--codecs", "jpeg,webp", "--bpp", "1.5"]
    assert main([*command, "--out", str(folder / "report.html")]) == 0
    return folder / "report.html"


def test_the_page_is_self_contained(page):
    text = page.read_text()
    found = re.findall(r"""(?:src|href)=["']?([^"'\s>]+)|url\(([^)]+)\)|@import|fetch\(""", text)
    assert [address for address, _ in found] == ["data:,"]
    outside = set(re.findall(r"https?://[^\s\"'<]+", re.sub(r'<script type="application/json".*?</script>', "", text)))
    assert outside == {"http://www.w3.org/2000/svg"}  # a name, not an address


def test_what_the_page_holds(page):
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text())[1])
    assert [curve["name"] for curve in data["curves"]] == ["ours", "theirs", "BPG 8b 444 x265 ycbcr"]
    assert data["bdrate"]["rows"][0]["band"] == pytest.approx(-20)
    assert [row["note"] for row in data["bdrate"]["rows"]] == ["", "", "not of the same images"]
    assert data["curves"][0]["points"][0]["ms-ssim"] == pytest.approx(10)
    assert data["sources"][0]["description"] == "the codec </script> ours"
    assert [one["name"] for one in data["pictures"]] == ["a.png", "b.png"]
    for one in data["pictures"]:
        assert [version["name"] for version in one["versions"]] == ["jpeg", "webp", "original"]
        assert all(version["bytes"] <= 1.5 * 120 * 180 / 8 for version in one["versions"][:2])


def test_closest_file():
    jpeg, image = open_codec("jpeg"), picture()
    sizes = {quality: len(jpeg.encode(image, quality)) for quality in range(5, 96)}
    wanted = sizes[40] + 1
    setting, data = closest(jpeg, image, wanted)
    assert len(data) == sizes[setting] <= wanted
    assert setting == 95 or sizes[setting + 1] > wanted
    assert closest(jpeg, image, 10)[0] == 5  # the smallest there is
    assert version_of(jpeg, image, 10)["caption"].endswith("dB (its smallest file, beyond the bytes asked for)")
    assert version_of(jpeg, image, wanted)["caption"].endswith("dB")
    j2k = open_codec("jpeg2000")  # its setting runs the other way
    assert len(closest(j2k, image, 3000)[1]) <= 3000


def test_nothing_to_report(tmp_path, capsys):
    assert main(["report", "--out", str(tmp_path / "x.html")]) == 2
    assert "nothing to report" in capsys.readouterr().err
    assert not (tmp_path / "x.html").exists()


# --- in a browser ----------------------------------------------------------------------


@pytest.fixture
def opened(browser, page):
    browser.set_window_size(1200, 900)
    browser.get(page.as_uri())
    yield browser
    assert [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def all_of(browser, selector):
    return browser.find_elements("css selector", selector)


def click(browser, element):
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def test_the_legend_switches_curves(opened):
    def drawn():
        return [group.get_attribute("data-name") for group in all_of(opened, "#curves g.series")]

    assert drawn() == ["ours", "theirs", "BPG 8b 444 x265 ycbcr"]
    assert [len(all_of(opened, f"#curves g.{kind}")) for kind in ("series", "published")] == [3, 1]
    button = all_of(opened, "#curves .legend button")[0]
    click(opened, button)
    assert drawn()[0] == "theirs"
    assert button.get_attribute("aria-pressed") == "false"
    button.send_keys(" ")  # by keyboard, too
    assert drawn()[0] == "ours"


def test_values_by_hovering_and_by_keys(opened):
    from selenium.webdriver import ActionChains, Keys

    plot, tip = all_of(opened, "#curves svg")[0], all_of(opened, "#curves .tip")[0]
    click(opened, all_of(opened, "#curves .legend button")[1])  # nothing of theirs is in the way
    ActionChains(opened).move_to_element(all_of(opened, "#curves g.series circle")[1]).perform()
    assert tip.text.splitlines() == ["ours", "0.320 bpp", "32.00 PSNR over RGB (dB)", "setting 2"]
    plot.send_keys(Keys.ARROW_RIGHT)
    assert "35.00" in tip.text
    plot.send_keys(Keys.ARROW_DOWN)
    assert "BPG" in tip.text


def test_tables_sort(opened):
    headings = all_of(opened, "#speed th button")

    def column():
        return [row.text.split()[0] for row in all_of(opened, "#speed tbody tr")]

    assert column() == ["ours", "theirs", "slow"]
    click(opened, headings[4])  # seconds to encode
    assert column() == ["ours", "theirs", "slow"]
    click(opened, headings[4])
    assert column()[:2] == ["theirs", "ours"]
    assert "0.200 (0.100–0.300)" in all_of(opened, "#speed tbody")[0].text


def test_generations_are_drawn(opened):
    names = [group.get_attribute("data-name") for group in all_of(opened, "#generations g.series")]
    assert names == ["ours 30 (30.0 dB)", "theirs 30 (30.0 dB)"]
    assert "-0.50" in all_of(opened, "#generations table")[0].text


def test_the_slider_and_the_zoom(opened):
    from selenium.webdriver import ActionChains

    stage = all_of(opened, ".stage")[0]
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", stage)
    layer, images = all_of(opened, ".layer")[1], all_of(opened, ".layer img")
    assert "50%" in layer.value_of_css_property("clip-path")
    ActionChains(opened).drag_and_drop_by_offset(all_of(opened, ".divider")[0], 200, 0).perform()
    part = 50 + 100 * 200 / stage.size["width"]
    at = float(re.search(r"([\d.]+)%\)", layer.value_of_css_property("clip-path"))[1])
    assert at == pytest.approx(part, abs=1)
    stage.send_keys(",")
    assert float(all_of(opened, "#split")[0].get_attribute("value")) == pytest.approx(at - 5, abs=0.5)

    # zoomed, panned and in step, down to single pixels
    click(opened, all_of(opened, "#zoom-pixel")[0])
    for _ in range(4):
        click(opened, all_of(opened, "#zoom-in")[0])
    assert all_of(opened, "#zoom")[0].text == "1600 %"
    before = images[0].value_of_css_property("transform")
    ActionChains(opened).move_to_element_with_offset(stage, -300, 0).click_and_hold().move_by_offset(
        50, 30
    ).release().perform()
    after = [image.value_of_css_property("transform") for image in images]
    assert after[0] == after[1] != before
    assert [image.value_of_css_property("image-rendering") for image in images] == ["pixelated"] * 2
    moved = np.subtract(*[[float(n) for n in re.findall(r"-?[\d.]+", text)][-2:] for text in (after[0], before)])
    assert moved.tolist() == pytest.approx([50, 30], abs=1)
    stage.send_keys("0")
    assert images[0].value_of_css_property("transform") != after[0]


def test_other_versions_can_be_chosen(opened):
    from selenium.webdriver.support.select import Select

    images = all_of(opened, ".layer img")
    assert [caption.text.split()[0] for caption in all_of(opened, ".caption")] == ["jpeg", "webp"]
    Select(all_of(opened, "#left")[0]).select_by_visible_text("original")
    Select(all_of(opened, "#picture")[0]).select_by_visible_text("b.png")
    assert all_of(opened, ".caption")[0].text == "original"  # what was chosen stays
    pixels = opened.execute_async_script(
        """const done = arguments[1], canvas = document.createElement("canvas");
        arguments[0].decode().then(() => {
          [canvas.width, canvas.height] = [180, 120];
          const context = canvas.getContext("2d");
          context.drawImage(arguments[0], 0, 0, 180, 120);
          done([...context.getImageData(0, 0, 180, 120).data]);
        });""",
        images[0],
    )
    assert (np.reshape(pixels, (120, 180, 4))[..., :3] == picture()[:, ::-1]).all()  # exactly the original


def test_wide_tables_scroll_and_say_so(opened):
    """On a phone a table that is wider than the page is scrolled by finger or key, and a line above it says so."""
    from selenium.webdriver import Keys

    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    narrow, place = all_of(opened, "#bdrate .scroll, #speed .scroll")
    says = "return getComputedStyle(arguments[0], '::before').content"
    assert narrow.get_attribute("tabindex") is None and opened.execute_script(says, narrow) == "none"
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        opened.execute_async_script("setTimeout(arguments[0], 200)")  # once the layout is known
        wide = opened.execute_script("return arguments[0].scrollWidth - arguments[0].clientWidth", place)
        assert wide > 100 and "swipe" in opened.execute_script(says, place)
        place.send_keys(Keys.ARROW_RIGHT)
        opened.execute_async_script("setTimeout(arguments[0], 400)")  # it scrolls smoothly
        assert opened.execute_script("return arguments[0].scrollLeft", place) > 0
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(opened, scheme, tmp_path):
    """Nothing is wider than a phone, in both colour schemes; the screenshot has what it should have."""
    opened.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert opened.execute_script("return document.documentElement.scrollWidth") == 390
        assert [each.text for each in all_of(opened, "#sources pre")] == [COMMAND]
        assert max(row.size["height"] for row in all_of(opened, "#sources tbody tr")) < 200
        opened.save_screenshot(str(tmp_path / "phone.png"))
        with Image.open(tmp_path / "phone.png") as shot:
            corner = shot.convert("L").getpixel((5, 5))
        assert corner > 200 if scheme == "light" else corner < 60
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
