"""The contracts the emulator speaks, by name."""

from __future__ import annotations

from airflow_provider_bitscale.emulator import api_v1_1_0, api_workspace_key
from airflow_provider_bitscale.emulator.contract import Contract

CONTRACTS: dict[str, Contract] = {
    contract.name: contract for contract in (api_v1_1_0.CONTRACT, api_workspace_key.CONTRACT)
}
