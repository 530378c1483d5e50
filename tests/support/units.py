"""What a worker of pytest-xdist gets at once: a file, or a folder whose files share what takes long to make."""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadFileScheduling

# A site with a browser, a server of a published generator: two workers would each make them.
FOLDERS = ("tests/client/web/", "tests/serving/black_box/")


def unit_of(nodeid: str) -> str:
    """The file of a test, or its folder."""
    file = nodeid.split("::", 1)[0]
    return next((folder for folder in FOLDERS if file.startswith(folder)), file)


class Units(LoadFileScheduling):
    """`--dist loadfile`, but for these folders."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Units | None:
    return Units(config, log) if config.getvalue("dist") == "loadfile" else None
