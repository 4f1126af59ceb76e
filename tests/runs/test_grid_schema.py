"""The schema of a grid is fetched once, and filled in for any number of rows."""

from __future__ import annotations

import pytest

from airflow_provider_bitscale.api import Client, InvalidRequestError
from airflow_provider_bitscale.api.config import API_CONTRACTS
from airflow_provider_bitscale.emulator import Emulator
from airflow_provider_bitscale.emulator.seed import COMPANY, ENRICHED_EMAIL, FULL_NAME, GRID_ID
from airflow_provider_bitscale.runs.grid_schema import GridSchema
from tests.support.clients import config_for

ROW = {"Full Name": "Jane Doe", "Company": "Acme Corp"}


@pytest.mark.parametrize("contract", API_CONTRACTS)
def test_it_is_asked_for_once_and_filled_in_for_any_row(contract: str) -> None:
    with Emulator(contract=contract) as emulator, Client(config_for(emulator)) as client:
        schema = GridSchema.fetch(client, GRID_ID, ["Enriched Email"], validate=True)
        asked = len(emulator.control.requests())
        assert asked == (1 if contract == "v1.1.0" else 2)
        assert schema.output_columns == [ENRICHED_EMAIL]
        keys = (FULL_NAME, COMPANY) if contract == "v1.1.0" else ("full_name", "company")
        for name in ("Jane", "Ada"):
            inputs = schema.inputs_of({**ROW, "Full Name": name})
            assert inputs == dict(zip(keys, (name, "Acme Corp"), strict=True))
            assert schema.unfilled(inputs) == []
        assert schema.unfilled({"full_name": "Jane"}) == ([] if contract == "v1.1.0" else ["company"])
        with pytest.raises(InvalidRequestError, match="Ful Name"):
            schema.inputs_of({"Ful Name": "Jane"})
        assert len(emulator.control.requests()) == asked


def test_outputs_that_the_grid_has_not_are_refused() -> None:
    with Emulator(contract="workspace-key") as emulator, Client(config_for(emulator)) as client:
        with pytest.raises(InvalidRequestError, match="no column 'Enriched Mail'"):
            GridSchema.fetch(client, GRID_ID, ["Enriched Mail"], validate=True)
        # The form is shared as a whole, whoever asks for it.
        assert len(emulator.control.requests()) == 2
