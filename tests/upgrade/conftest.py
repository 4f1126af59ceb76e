from __future__ import annotations

from tests.airflow.conftest import contract, emulator, emulators, pytest_generate_tests

__all__ = ["contract", "emulator", "emulators", "pytest_generate_tests"]
