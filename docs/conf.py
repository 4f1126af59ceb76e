"""How Sphinx builds these pages: Markdown by hand, the reference from docstrings."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]
# The reference imports Airflow, which makes files where it is at home.
_HOME = tempfile.TemporaryDirectory(prefix="bitscale-docs-", ignore_cleanup_errors=True)
os.environ["AIRFLOW_HOME"] = _HOME.name

from airflow_provider_bitscale import PROJECT_URL, __version__  # noqa: E402

project = "airflow-provider-bitscale"
copyright = "the contributors of airflow-provider-bitscale, Apache License 2.0"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "docstrings", "from_code"]
exclude_patterns = ["_ext"]
nitpicky = True

myst_enable_extensions = ["colon_fence", "deflist"]
# A test that shows what a page says: `<test:folder/test_file.py#test_name>`.
myst_url_schemes = {
    "http": None,
    "https": None,
    "test": {"url": f"{PROJECT_URL}/blob/main/tests/{{{{path}}}}", "title": "{{fragment}}"},
}
# Links to headings: `page.md#heading`.
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "all"
python_maximum_signature_line_length = 90
python_use_unqualified_type_names = True
# Types of others: their pages are not here, and none are asked for them.
_OTHERS = r"(_pytest|airflow\.sdk|collections|datetime|logging|requests|typing)\..*"
nitpick_ignore_regex = [("py:(class|obj|exc|data)", _OTHERS)]
nitpick_ignore = [("py:class", "airflow_provider_bitscale.api.client.SubmitObserver")]

html_theme = "furo"
html_title = f"BitScale for Apache Airflow {release}"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["wide.css"]
