"""The contracts that the emulator serves, by name; ``base`` says what each consists of."""

from __future__ import annotations

from airflow_provider_bitscale.emulator.contracts import v1_1_0, workspace_key
from airflow_provider_bitscale.emulator.contracts.base import ServedContract

CONTRACTS: dict[str, ServedContract] = {
    contract.name: contract for contract in (v1_1_0.CONTRACT, workspace_key.CONTRACT)
}
