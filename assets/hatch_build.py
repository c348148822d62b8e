"""Make the third-party files of the web pages when the wheel or the sdist is built; see `make.py`."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent))
import licences
import make
import packages


class AssetHook(BuildHookInterface):  # type: ignore[type-arg] # hatchling's own kinds of builds don't matter here
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if not make.is_current():
            if version == "editable" and packages.npm() is None:
                # Who works on something else than the pages need not have Node: they look plain then.
                self.app.display_warning(f"The pages will look plain. {packages.WITHOUT_NODE}")
                return
            make.make()
        if self.target_name == "wheel":
            build_data["sbom_files"].append(str((make.VENDOR / licences.SBOM).relative_to(make.ROOT)))
        # hatchling has listed the licences already, when those of the files just made may not have been there.
        self.metadata.core._license_files = None  # noqa: SLF001
