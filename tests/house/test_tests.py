"""How the tests are built: what two folders need lies in `support`, so that any folder can be read alone."""

from __future__ import annotations

from tests.house.sources import imports, modules

SHARED = "support"


def test_a_folder_imports_from_itself_and_from_support_alone() -> None:
    graph = imports(modules("tests"))
    elsewhere = {
        f"{module} imports {target}"
        for module, targets in graph.items()
        for target in targets
        if folder(target) not in (folder(module), SHARED)
    }
    assert elsewhere == set()


def folder(module: str) -> str:
    """Return the folder of the tests that a module lies in: `api` of `tests.api.test_errors`."""
    return module.split(".")[1] if module.count(".") > 1 else ""


def test_a_folder_is_named() -> None:
    assert folder("tests.batch.plan.test_budget") == "batch"
    assert folder("tests.conftest") == ""
