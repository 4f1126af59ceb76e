"""The runner of code blocks finds them, and sees when one does not do what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import Block, blocks_in
from tests.docs.session import Failed, PageSession, commands_of, needs_database

PAGE = """\
# A page

<!-- given: leads = [] -->
```python
print(leads)
```

1. In a list:

   <!-- not run: needs containers -->
   ```console
   docker compose up
   ```

````{note}
```json
{}
```
````

```{code-block} yaml
:caption: values.yaml

a: 1
```

```
nothing said
```
"""


def block(text: str, language: str = "python", **tags: str) -> Block:
    return Block("page.md", 7, language, text, tags)


def test_blocks_are_found_wherever_they_are() -> None:
    assert list(blocks_in(PAGE, "p")) == [
        Block("p", 5, "python", "print(leads)\n", {"given": "leads = []"}),
        Block("p", 12, "console", "docker compose up\n", {"not run": "needs containers"}),
        Block("p", 17, "json", "{}\n"),
        Block("p", 24, "yaml", "a: 1\n"),
        Block("p", 28, "", "nothing said\n"),
    ]


def test_commands_are_told_from_output() -> None:
    assert commands_of("a\nb\n") == "a\nb\n"
    assert commands_of("$ a \\\n  -b\nout\n$ c\n") == "a \\\n  -b\nc\n"


@pytest.mark.parametrize(
    ("script", "needed"),
    [
        ("airflow connections import x.json", True),
        ("cat x | airflow bitscale check", False),
        ("airflow version && airflow dags list", True),
        ("echo airflow pools", False),
    ],
)
def test_a_database_is_made_for_those_that_need_one(script: str, needed: bool) -> None:
    assert needs_database(script) is needed


def test_python_of_a_page_shares_names_and_may_have_tasks(page_session: PageSession) -> None:
    page_session.run(block("from airflow_provider_bitscale.hooks.bitscale import BitScaleHook"))
    page_session.run(block("names = [grid.id for grid in BitScaleHook().list_grids()]"))
    page_session.run(block("assert grid in names", given="grid = 'grid_001'"))
    page_session.run(
        block(
            "from airflow_provider_bitscale.operators.run_grid import RunGridOperator\n"
            "task = RunGridOperator(task_id='enrich', grid_id=grid, inputs={})\n"
            "assert task.dag.dag_id == 'docs'"
        )
    )


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (block("no_such_name"), "page.md:7: NameError"),
        (block("def f(:"), "page.md:7: is no python"),
        (block("{"), "page.md:7: is no python"),
        (block("{,}", "json"), "is no json"),
        (block("a: [", "yaml"), "is no yaml"),
        (block("shared_state_url = none", "ini"), "is no ini"),
        (block("if", "console"), "is no script"),
        (block("if", "console", **{"not run": "needs containers"}), "is no script"),
        (block("echo told; false", "console"), "ends with 1:\ntold"),
        (block("false | true", "console"), "ends with 1"),
        (block("echo $NOT_SET", "console"), "ends with"),
        (block("def test_it():\n    assert False"), "its tests fail"),
        (block("from airflow.sdk import DAG\nDAG('a b')"), "a b"),
    ],
)
def test_a_block_that_does_not_do_what_it_says_is_seen(
    page_session: PageSession, wrong: Block, why: str
) -> None:
    with pytest.raises(Failed) as failed:
        page_session.run(wrong)
    assert why in str(failed.value)


def test_a_dag_whose_task_fails_is_seen(page_session: PageSession) -> None:
    dag = (
        "from airflow.sdk import dag, task\n"
        "@dag(schedule=None)\ndef one():\n    @task\n    def t():\n        {}\n    t()\none()\n"
    )
    page_session.run(block(dag.format("return 1")))
    with pytest.raises(Failed, match="'t': 'failed'"):
        page_session.run(block(dag.format("raise ValueError")))


def test_a_shell_goes_on_where_it_was(page_session: PageSession, tmp_path: Path) -> None:
    page_session.run(block("export GRID=grid_001; mkdir here; cd here", "console"))
    page_session.run(block("$ echo $GRID > grid.txt\ngrid_001\n", "console"))
    assert (tmp_path / "here" / "grid.txt").read_text() == "grid_001\n"


def test_files_of_a_page_are_there_for_its_commands(page_session: PageSession, tmp_path: Path) -> None:
    page_session.run(block("a,b\n", "text", file="data/leads.csv"))
    page_session.run(block("grep -q a,b data/leads.csv", "console"))
    page_session.run(block("def test_it(): assert open('data/leads.csv')", file="test_mine.py"))
    assert (tmp_path / "test_mine.py").exists()


def test_what_is_not_to_be_run_is_not_run(page_session: PageSession, tmp_path: Path) -> None:
    page_session.run(block("touch no", "console", **{"not run": "needs containers"}))
    page_session.run(block("open('no', 'w')", **{"not run": "needs containers"}))
    assert not (tmp_path / "no").exists()
