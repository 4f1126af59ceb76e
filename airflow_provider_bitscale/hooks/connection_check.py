"""What the Test button of a connection answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_bitscale.api.errors import BitScaleError

if TYPE_CHECKING:
    from airflow_provider_bitscale.api.models import User, Workspace
    from airflow_provider_bitscale.hooks.client_provider import ClientProvider


def check_connection(hook: ClientProvider) -> tuple[bool, str]:
    """Check the key, the workspace and the webhook settings; see :meth:`BitScaleHook.test_connection`."""
    try:
        user, workspace = hook.client.identify()
        settings = hook.webhook_settings
    except BitScaleError as error:
        return refused(error)
    warnings = (*hook.config.warnings, *(() if settings is None else settings.warnings))
    return True, " ".join([_found(user, workspace), *warnings])


def refused(error: BitScaleError) -> tuple[bool, str]:
    """Return the answer where something is wrong."""
    # Airflow's Test button makes up an id for the connection.
    error.connection = None
    return False, str(error)


def _found(user: User | None, workspace: Workspace | None) -> str:
    found = "Connected" if user is None else f"Connected as {user.name or user.id}"
    if workspace is None:
        return f"{found}. No workspace_id is set: grids cannot be run with this connection."
    plan = workspace.plan.name if workspace.plan else None
    credits = workspace.credits.remaining if workspace.credits else None
    return (
        f"{found}, workspace {workspace.name or workspace.id}, plan {plan or 'unknown'}, "
        f"{'unknown' if credits is None else format(credits, ',')} credits left."
    )
