"""The contracts of the API: the documented v1.1.0, and the one of workspace keys that is served today."""

from __future__ import annotations

from airflow_provider_bitscale.api.config import ClientConfig
from airflow_provider_bitscale.api.contracts.base import Contract
from airflow_provider_bitscale.api.contracts.v1_1_0 import DocumentedContract
from airflow_provider_bitscale.api.contracts.workspace_key import WorkspaceKeyContract

__all__ = ["Contract", "contract_for"]

_BY_NAME: dict[str, type[Contract]] = {
    contract.name: contract for contract in (DocumentedContract, WorkspaceKeyContract)
}


def contract_for(config: ClientConfig) -> Contract:
    """Return the contract that a configuration chooses."""
    return _BY_NAME[config.api_contract](config)
