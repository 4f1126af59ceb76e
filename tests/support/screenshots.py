"""The pictures of the documentation, taken of a real Airflow in headless Chromium."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Locator, Page, ViewportSize, expect, sync_playwright

from airflow_provider_bitscale.emulator import Emulator
from tests.support.chromium import CHROMIUM, QUIET, choose_bitscale, sign_in, unfold_extra_fields
from tests.support.local_airflow import LocalAirflow

PICTURES = Path(__file__).parents[2] / "docs" / "images"
CONN_ID = "bitscale_default"
_LEADS = [
    ("Ada Lovelace", "Analytical Engines"),
    ("Grace Hopper", "Compiler Works"),
    ("Alan Turing", "Bletchley Labs"),
    ("Katherine Johnson", "Orbit Dynamics"),
    ("Hedy Lamarr", "Frequency Hopping"),
    ("Edsger Dijkstra", "Shortest Paths"),
]
_TABLE_ROWS = 240
_SIZE: ViewportSize = {"width": 1200, "height": 760}
# The form is longer than a screen, and scrolls.
_TALL: ViewportSize = {"width": 1200, "height": 1700}
_DAG = '''"""Leads enriched one by one, and a table of them in one task."""

from airflow.sdk import DAG

from airflow_provider_bitscale.operators.run_grid import RunGridOperator
from airflow_provider_bitscale.operators.run_grid_batch import RunGridBatchOperator

with DAG("leads", schedule=None, tags=["bitscale"]):
    RunGridOperator.partial(
        task_id="enrich",
        grid_id="grid_001",
        output_columns=["Enriched Email", "LinkedIn URL"],
        deferrable=True,
        map_index_template="{{{{ task.inputs['Company'] }}}}",
        retries=2,
    ).expand(inputs={leads})

with DAG("table", schedule=None, tags=["bitscale"]):
    RunGridBatchOperator(
        task_id="enrich",
        grid_id="grid_001",
        rows_path="{rows}",
        input_fields={{"Full Name": "name", "Company": "company"}},
        output_columns=["Enriched Email"],
        output_path="{output}",
        max_credits=20_000,
        retries=3,
    )
'''


class Studio:
    """A real Airflow with two DAGs that have run, and a browser that has signed in.

    :param page: of the browser.
    """

    def __init__(self, airflow: LocalAirflow, page: Page) -> None:
        self._airflow = airflow
        self._page = page
        # What brings something before the camera and returns it.
        self._scenes: dict[str, Callable[[], Locator]] = {
            "connection-form": self._connection_form,
            "connection-extra-fields": self._connection_extra_fields,
            "mapped-rows": self._mapped_rows,
            "task-state": self._task_state,
            "batch-log": self._batch_log,
            "batch-links": self._batch_links,
        }

    def take_all(self, folder: Path) -> list[Path]:
        """Write each picture to a folder; their paths."""
        return [self._take(name, folder / f"{name}.png") for name in self._scenes]

    def colours(self, path: Path) -> int:
        """Return how many colours a picture has, as a browser sees it."""
        self._page.goto(path.as_uri())
        return int(self._page.evaluate(_COUNT_COLOURS))

    def _take(self, name: str, path: Path) -> Path:
        self._page.set_viewport_size(_SIZE)
        self._scenes[name]().screenshot(path=path, animations="disabled", caret="hide")
        return path

    def _connection_form(self) -> Locator:
        self._page.set_viewport_size(_TALL)
        self._page.goto(f"{self._airflow.url}/connections")
        self._page.get_by_role("button", name="Add Connection").click()
        form = choose_bitscale(self._page)
        form.locator("input[name=connection_id]").fill(CONN_ID)
        form.locator("input[name=password]").fill("a key that is not shown")
        form.locator("input[name=port]").fill("443")
        return form

    def _connection_extra_fields(self) -> Locator:
        form = self._connection_form()
        unfold_extra_fields(form)
        form.locator("input[name=element_workspace_id]").fill("ws_abc123")
        expect(form.get_by_text("Seconds to wait for a connection")).to_be_visible()
        return form

    def _mapped_rows(self) -> Locator:
        return self._screen("leads", "/tasks/enrich/mapped", shows=_LEADS[-1][1])

    def _task_state(self) -> Locator:
        return self._screen("leads", "/tasks/enrich/mapped/0/task-state-store", shows="bitscale_run")

    def _batch_log(self) -> Locator:
        return self._screen("table", "/tasks/enrich", shows="credits spent")

    def _batch_links(self) -> Locator:
        return self._screen("table", "/tasks/enrich/details", shows="BitScale grid")

    def _screen(self, dag_id: str, page: str, *, shows: str) -> Locator:
        """Open a page of the DAG's run, and return all of it once a text is there."""
        run: str = self._airflow.call("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"][0]["dag_run_id"]
        self._page.goto(f"{self._airflow.url}/dags/{dag_id}/runs/{quote(run)}{page}")
        expect(self._page.get_by_text(shows).first).to_be_visible(timeout=30_000)
        return self._page.locator("body")


_COUNT_COLOURS = """async () => {
    const image = document.images[0]
    await image.decode()
    const size = {width: image.naturalWidth, height: image.naturalHeight}
    const canvas = Object.assign(document.createElement("canvas"), size)
    const context = canvas.getContext("2d")
    context.drawImage(image, 0, 0)
    return new Set(new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size
}"""


@contextmanager
def studio(folder: Path) -> Iterator[Studio]:
    """Start Airflow, a local BitScale and a browser, run both DAGs, and end it all on leaving.

    :param folder: for everything that Airflow and its tasks write.
    """
    dags, output = folder / "dags", folder / "output"
    dags.mkdir()
    output.mkdir()
    rows = folder / "leads.csv"
    _write_table(rows)
    leads = [{"Full Name": name, "Company": company} for name, company in _LEADS]
    (dags / "leads.py").write_text(_DAG.format(leads=leads, rows=rows, output=output), encoding="utf-8")
    with (
        Emulator(seed=7, run_seconds=(1.0, 4.0), rate_limit=(30, 1.0)) as bitscale,
        LocalAirflow(folder / "airflow", dags, env={}) as airflow,
        sync_playwright() as playwright,
    ):
        airflow.add_connection(CONN_ID, {**bitscale.connection(), "port": 443})
        airflow.wait_for_dags({"leads", "table"})
        runs = [(dag_id, airflow.trigger(dag_id)) for dag_id in ("leads", "table")]
        for dag_id, run_id in runs:
            if airflow.wait_for_run(dag_id, run_id) != "success":
                raise RuntimeError(f"{dag_id} failed: {airflow.task_states(dag_id, run_id)}")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport=_SIZE, color_scheme="light")
        sign_in(page, airflow)
        yield Studio(airflow, page)
        browser.close()


def _write_table(path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("name", "company"))
        writer.writerows(
            (f"{name} {number}", company)
            for number in range(_TABLE_ROWS // len(_LEADS))
            for name, company in _LEADS
        )
