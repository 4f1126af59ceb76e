"""A person at the Airflow UI, in headless Chromium: the connection form, its Test button, a mistake."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from airflow_provider_bitscale.api.config import V1_1_0
from airflow_provider_bitscale.emulator import Emulator
from tests.support.chromium import CHROMIUM, QUIET, choose_bitscale, sign_in, unfold_extra_fields
from tests.support.local_airflow import LocalAirflow

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: chromium)")


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    folder = tmp_path_factory.mktemp("browser")
    (folder / "dags").mkdir()
    with LocalAirflow(folder / "airflow", folder / "dags", env={}, components=("api-server",)) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield running
        running.close()


@pytest.fixture
def page(airflow: LocalAirflow, browser: Browser) -> Iterator[Page]:
    """The list of connections, signed in."""
    with browser.new_context(base_url=airflow.url, viewport={"width": 1300, "height": 1700}) as context:
        page = context.new_page()
        sign_in(page, airflow)
        page.get_by_role("button", name="Add Connection").click()
        yield page


@pytest.fixture
def bitscale() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


def test_the_form_shows_labels_help_and_placeholders_and_hides_what_is_not_needed(page: Page) -> None:
    form = choose_bitscale(page)

    for label in ("API key", "Base URL"):
        expect(form.get_by_text(label, exact=True).first).to_be_visible()
    expect(form.get_by_placeholder("https://api.bitscale.ai/api/v1")).to_be_visible()
    assert form.locator("input[name=password]").get_attribute("type") == "password"
    for hidden in ("Login", "Schema"):
        expect(form.get_by_text(hidden, exact=True)).to_have_count(0)

    unfold_extra_fields(form)

    for label in ("Workspace ID", "Timeout", "Requests per minute", "Webhook secret", "Proxies"):
        expect(form.get_by_text(label, exact=True).first).to_be_visible()
    expect(form.get_by_text("Seconds to wait for a connection")).to_be_visible()
    assert form.locator("input[name=element_webhook_secret]").get_attribute("type") == "password"


def test_a_saved_connection_tests_well_and_keeps_its_key_to_itself(
    page: Page, airflow: LocalAirflow, bitscale: Emulator
) -> None:
    answer = _save_and_test(page, "right", bitscale, key=bitscale.api_key)

    assert answer["status"] is True
    assert answer["message"].startswith("Connected as Jane Doe, workspace Acme Corp")
    stored = airflow.call("GET", "/connections/right")
    assert bitscale.api_key not in str(stored)
    assert bitscale.workspace_id in stored["extra"]
    assert not [request for request in bitscale.control.requests() if request["method"] == "POST"]


def test_the_contract_of_workspace_keys_is_chosen_from_a_list(page: Page, airflow: LocalAirflow) -> None:
    with Emulator(contract="workspace-key") as bitscale:
        answer = _save_and_test(page, "today", bitscale, key=bitscale.api_key)

    assert answer == {"status": True, "message": answer["message"]}
    assert answer["message"].startswith("Connected, workspace Acme Corp")
    assert "workspace-key" in airflow.call("GET", "/connections/today")["extra"]


def test_a_key_of_the_other_contract_is_told(page: Page) -> None:
    with Emulator(contract="workspace-key") as bitscale:
        answer = _save_and_test(page, "other", bitscale, key="a-key-of-jane-doe")

    assert answer["status"] is False
    assert "api_contract 'v1.1.0', with a workspace_id, is the likely cure" in answer["message"]


def test_a_wrong_key_is_told(page: Page, bitscale: Emulator) -> None:
    key = "bs_a_key_that_was_mistyped"

    answer = _save_and_test(page, "wrong", bitscale, key=key)

    assert answer["status"] is False
    assert "INVALID_API_KEY" in answer["message"]
    assert key not in answer["message"]


def _save_and_test(page: Page, conn_id: str, bitscale: Emulator, *, key: str) -> dict[str, Any]:
    """Fill in the form, save, press Test; what Airflow answers (the UI shows it as a colour only)."""
    form = choose_bitscale(page)
    form.locator("input[name=connection_id]").fill(conn_id)
    form.locator("input[name=password]").fill(key)
    form.locator("input[name=host]").fill(bitscale.base_url)
    form.locator("input[name=port]").fill(str(urlsplit(bitscale.base_url).port))
    unfold_extra_fields(form)
    contract = form.get_by_role("combobox").nth(1)
    expect(form.get_by_text("v1.1.0", exact=True)).to_be_visible()
    contract.fill(bitscale.contract)
    contract.press("Enter")
    if bitscale.contract == V1_1_0:
        form.locator("input[name=element_workspace_id]").fill(bitscale.workspace_id)
    form.get_by_role("button", name="Save").click()
    with page.expect_response("**/api/v2/connections/test") as response:
        page.get_by_role("row", name=conn_id).get_by_role("button", name="Test Connection").click()
    answer: dict[str, Any] = response.value.json()
    return answer
