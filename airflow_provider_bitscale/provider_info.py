"""The provider's metadata as data: what it brings, and how its connection looks in the UI."""

from __future__ import annotations

from typing import Any


def _in_modules(*names: str) -> list[dict[str, Any]]:
    modules = [f"airflow_provider_bitscale.{name}" for name in names]
    return [{"integration-name": "BitScale", "python-modules": modules}]


def _field(label: str, description: str, type: str, **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": [type, "null"], **schema}}


PROVIDER_INFO: dict[str, Any] = {
    "package-name": "airflow-provider-bitscale",
    "name": "BitScale",
    "description": "Run `BitScale <https://bitscale.ai/>`__ grids: paid once, paced and resumable.",
    "integrations": [
        {"integration-name": "BitScale", "external-doc-url": "https://docs.bitscale.ai/", "tags": ["service"]}
    ],
    "hooks": _in_modules("hooks.bitscale"),
    "operators": _in_modules(
        "operators.run_grid", "operators.run_grid_batch", "operators.collect_undelivered"
    ),
    "sensors": _in_modules("sensors.run_completed", "sensors.credits"),
    "triggers": _in_modules("triggers.run_completed", "triggers.credits"),
    "cli": ["airflow_provider_bitscale.cli.definition.get_bitscale_commands"],
    "config": {
        "bitscale": {
            "description": "How Airflow works with BitScale.",
            "options": {
                "webhook_connections": {
                    "description": (
                        "Ids of the connections whose webhook deliveries the API server receives, at "
                        "/bitscale/webhooks/<connection id>, separated by commas. Each needs a "
                        "webhook_secret. Empty: none are received, and the address answers 401."
                    ),
                    "version_added": "0.1.0",
                    "type": "string",
                    "example": "bitscale_default",
                    "default": "",
                },
                "shared_state_url": {
                    "description": (
                        "Where processes share what they know of BitScale's rate limit, so that all of them "
                        "keep to it together. Empty: a folder of this user in the machine's temporary "
                        "folder, which is enough where all tasks and triggers run on one machine and in one "
                        "container. file:///folder: a folder that all of them see. redis:// or rediss:// "
                        "with user, password, host, port and database: for many machines; needs "
                        "airflow-provider-bitscale[redis]. none: nothing is shared."
                    ),
                    "version_added": "0.2.0",
                    "type": "string",
                    "sensitive": True,
                    "example": "rediss://user:password@redis.example:6379/0",
                    "default": "",
                },
                "grid_cache_seconds": {
                    "description": (
                        "For how many seconds processes share the columns and the run recipe of a grid, in "
                        "place of asking for them in each task. 0: they are asked for each time."
                    ),
                    "version_added": "0.2.0",
                    "type": "float",
                    "example": "60",
                    "default": "300",
                },
            },
        }
    },
    "extra-links": [
        "airflow_provider_bitscale.links.BitScaleGridLink",
        "airflow_provider_bitscale.links.BitScaleResultLink",
    ],
    "connection-types": [
        {
            "connection-type": "bitscale",
            "hook-name": "BitScale",
            "hook-class-name": "airflow_provider_bitscale.hooks.bitscale.BitScaleHook",
            "ui-field-behaviour": {
                # Port is shown although a base URL can hold it: the Test button of Airflow 3.3.1 and 3.3.2
                # refuses connections without one (apache/airflow#73298).
                "hidden-fields": ["login", "schema"],
                "relabeling": {"password": "API key", "host": "Base URL"},
                "placeholders": {
                    "host": "https://api.bitscale.ai/api/v1",
                    "password": "from your BitScale account settings",
                    "port": "443",
                },
            },
            # What must be filled in comes first. What few need is set in the extra JSON (docs/connection.md).
            "conn-fields": {
                "workspace_id": _field(
                    "Workspace ID",
                    "Needed with a personal key: the workspace whose grids are run and whose credits "
                    "pay, such as ws_abc123. Leave it empty with the key of a workspace (sk-live-...)",
                    "string",
                ),
                "api_contract": _field(
                    "API contract",
                    "v1.1.0 with a personal key; workspace-key with the key of a workspace (sk-live-...)",
                    "string",
                    enum=["v1.1.0", "workspace-key"],
                    default="v1.1.0",
                ),
                "requests_per_minute": _field(
                    "Requests per minute",
                    "A ceiling of your own besides the limit BitScale reports, for all who share it: the "
                    "machine, or with Redis the deployment ([bitscale] shared_state_url). "
                    "If empty: none; under workspace-key 5 a second, while BitScale reports no limit",
                    "number",
                    exclusiveMinimum=0,
                ),
                "timeout": _field(
                    "Timeout",
                    "Seconds to wait for a connection, and for an answer; 30 if empty",
                    "number",
                    exclusiveMinimum=0,
                ),
                "webhook_secret": _field(
                    "Webhook secret",
                    "Key of the signature on webhook deliveries, 16 characters at least; "
                    "leave it empty if Airflow receives none",
                    "string",
                    format="password",
                ),
                "proxies": _field(
                    "Proxies",
                    'Proxy URL by scheme, as JSON: {"https": "http://proxy:3128"}; '
                    "the environment's if empty",
                    "string",
                    format="json",
                ),
                "verify": _field(
                    "Verify certificates",
                    "true if empty; the path of a PEM file with the authorities to trust; "
                    "false to trust whoever answers",
                    "string",
                ),
                "allow_insecure_http": _field(
                    "Allow insecure HTTP",
                    "Send the API key unencrypted to a host that is not this machine",
                    "boolean",
                    default=False,
                ),
            },
        }
    ],
}
