from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.register_assert_rewrite("roundtrip")

from fake_codec import fake_api, workplace  # noqa: E402, F401  (fixtures; after what has to be rewritten)
from roundtrip import tiny_model  # noqa: E402

from codec.network.model import Codec  # noqa: E402
from codec.network.weights import exact_prior  # noqa: E402
from entropy.integer import IntegerPrior  # noqa: E402


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """96 x 128 pixels of the sample photo, reduced so that they show something."""
    with Image.open(Path(__file__).parent.parent / "examples" / "photo.jpg") as image:
        small = image.convert("RGB").resize((256, 192), Image.Resampling.LANCZOS)
    return np.asarray(small)[48:144, 64:192].copy()


@pytest.fixture
def no_cached_weights() -> Iterator[None]:
    """Weights are looked for anew in the test, and after it."""
    from codec.network import session, weights

    weights.load.cache_clear()
    session.open_session.cache_clear()
    yield
    weights.load.cache_clear()
    session.open_session.cache_clear()


@pytest.fixture(scope="session")
def model() -> Codec:
    """A small model of random weights."""
    return tiny_model()


@pytest.fixture(scope="session")
def prior(model: Codec) -> IntegerPrior:
    """Its exact probability model."""
    return exact_prior(model)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = (next(filter(None, map(shutil.which, names)), None) for names in (
        ("chromium", "chromium-browser", "google-chrome"), ("chromedriver",)))  # fmt: skip
    if not chromium or not driver:
        pytest.skip("no chromium and chromedriver on the PATH (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1200,900",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield running
    running.quit()
