"""Runs an example of the package as it is installed, and says what came of it, for `test_installed`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import airflow_provider_bitscale


def main(dag_id: str) -> None:
    """Print where the package is, what Airflow knows of it, and what the example did."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag
    from airflow.providers_manager import ProvidersManager
    from airflow.utils.db import initdb

    initdb()
    providers: Any = ProvidersManager()  # type: ignore[no-untyped-call]
    manager: Any = DagBundlesManager()  # type: ignore[no-untyped-call]
    bundles = {bundle.name: str(bundle.path) for bundle in manager.get_all_dag_bundles()}
    examples = bundles["airflow-provider-bitscale-example-dags"]
    bag = DagBag(Path(examples) / f"{dag_id}.py")
    run = bag.dags[dag_id].test()
    told = {
        "package": airflow_provider_bitscale.__file__,
        "version": providers.providers["airflow-provider-bitscale"].version,
        "examples": examples,
        "import_errors": bag.import_errors,
        "state": str(run.state),
        "tasks": {ti.task_id: str(ti.state) for ti in run.get_task_instances()},
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
