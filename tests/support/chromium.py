"""A headless Chromium at Airflow's UI: what every test and picture of it begins with."""

from __future__ import annotations

import shutil

from playwright.sync_api import Locator, Page, expect

from tests.support.local_airflow import LocalAirflow

CHROMIUM = shutil.which("chromium")
# A browser that calls home is of no use on a closed network.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def sign_in(page: Page, airflow: LocalAirflow) -> None:
    """Sign in, and arrive at the list of connections."""
    page.goto(f"{airflow.url}/connections")
    page.fill("input[name=username]", airflow.login.username)
    page.fill("input[name=password]", airflow.login.password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Add Connection")).to_be_visible()


def choose_bitscale(page: Page) -> Locator:
    """Choose the connection type in the form that is open; the form."""
    form = page.get_by_role("dialog")
    form.get_by_role("combobox").click()
    page.keyboard.type("BitScale")
    page.keyboard.press("Enter")
    return form


def unfold_extra_fields(form: Locator) -> None:
    """Show the extra fields: up to Airflow 3.3 they are folded up."""
    folded = form.get_by_role("button", name="Extra Fields", exact=True)
    expect(folded.or_(form.get_by_text("Webhook secret", exact=True)).first).to_be_visible()
    if folded.count():
        folded.click()
