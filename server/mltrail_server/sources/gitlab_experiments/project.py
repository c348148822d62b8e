"""A project in GitLab: what it is, who its users are, and what this version of GitLab can return."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from mltrail_server.domain.errors import invalid
from mltrail_server.domain.transfer import Entity, Findings, GoneError
from mltrail_server.sources.http import LostError, Rest
from mltrail_server.sources.mlflow_rest.server import API
from mltrail_server.sources.reading import Reading
from mltrail_server.sources.workers import Workers

_PER_PAGE = 100
_MOST_PACKAGES = 100
_MOVED = frozenset({301, 302, 307, 308})
_RIGHTS = "The token needs the scope `api`, and its user needs at least the Developer role in the project."


@dataclass(frozen=True, slots=True)
class GitLabFile:
    """A file of a package. `path` is its name, which can have folders."""

    path: str
    size: int
    sha256: str | None


class Project(Reading):
    """`rest` calls the project's MLflow API, `gitlab` GitLab's own. `version` is GitLab's."""

    def __init__(self, gitlab: Rest, findings: Findings, workers: Workers, name: str) -> None:
        super().__init__(gitlab, findings, workers)
        self.gitlab = gitlab
        self._name = name.strip().strip("/")
        self.id = 0
        self._users: dict[str, str] = {}
        self._packages: dict[tuple[str, str], dict[str, list[int]]] = {}
        self.searches_experiments = True  # an older GitLab only lists them
        self.models_of: dict[str, str] = {}
        """The names of the models that experiments belong to, by the experiments' IDs."""

    @property
    def api(self) -> str:
        """The path of the project in GitLab's API."""
        return f"api/v4/projects/{self.id}"

    @property
    def mlflow(self) -> str:
        """The path of the project's MLflow API."""
        return f"{self.api}/ml/mlflow/{API}"

    @property
    def files(self) -> str:
        """The path of the files of its runs and versions."""
        return f"{self.api}/ml/mlflow/api/2.0/mlflow-artifacts/artifacts"

    def describe(self) -> str:
        """Find the project. Raises INVALID if it does not exist, or this token can't read it."""
        try:
            found = self.gitlab.get(f"api/v4/projects/{quote(self._name, safe='')}")
            self.id = int(found["id"])
        except GoneError as error:
            raise invalid(f"{error.message} {_RIGHTS}") from error
        except LostError as error:
            if error.status not in {403, 404}:
                moved = " If the project was renamed, give its new path or its ID."
                raise invalid(f"{error.message}{moved if error.status in _MOVED else ''}") from error
            raise invalid(
                f"GitLab at {self.gitlab.url} shows no project {self._name}. Set MLTRAIL_IMPORT_TOKEN to a token that "
                f"can read it. {_RIGHTS}"
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            raise invalid(f"{self.gitlab.url} does not respond like GitLab. Give the URL of its front page.") from error
        self._check_rights()
        text = self._version_text()
        self.version = tuple(int(part) for part in re.findall(r"\d+", text)[:2])
        return f"GitLab {text}".rstrip()

    def user_name(self, user_id: str) -> str:
        """Return the name of a user, whom GitLab's MLflow API gives by number."""
        if not user_id.isdecimal():
            return user_id
        if user_id not in self._users:
            try:
                self._users[user_id] = str(self.gitlab.get(f"api/v4/users/{user_id}")["username"])
            except (LostError, KeyError):
                self._users[user_id] = user_id
                text = f"GitLab does not show user {user_id}, so the user's ID is used as the name"
                self.note(Entity.RUN, "project", text)
        return self._users[user_id]

    def package_files(self, kind: str, name: str, version: str) -> dict[str, GitLabFile]:
        """Return the files of a package by their paths; none, if there is no such package. Of those with the same path,
        the newest counts. Raises LostError.
        """
        found: dict[str, GitLabFile] = {}
        for number in self._packages_of(kind, name).get(version, ()):
            for one in self._all(f"{self.api}/packages/{number}/package_files"):
                try:
                    path = unquote(str(one["file_name"]))  # slashes and other special characters are escaped
                    found[path] = GitLabFile(path, int(one["size"]), one.get("file_sha256") or None)
                except (KeyError, TypeError, ValueError) as error:
                    raise LostError(f"GitLab returned files of the package {name} that can't be read.") from error
        return found

    def _packages_of(self, kind: str, name: str) -> dict[str, list[int]]:
        """Return the packages with this name, by version."""
        if (kind, name) not in self._packages:
            if len(self._packages) >= _MOST_PACKAGES:
                self._packages.clear()
            versions: dict[str, list[int]] = {}
            for one in self._all(f"{self.api}/packages", {"package_type": kind, "package_name": name}):
                if one.get("name") == name:  # those that only contain it are returned, too
                    versions.setdefault(str(one.get("version")), []).append(int(one["id"]))
            self._packages[kind, name] = versions
        return self._packages[kind, name]

    def _all(self, path: str, query: dict[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """Read a list of GitLab's API to its end. Raises LostError."""
        page = "1"
        while page:
            answer = self.gitlab.ask("GET", path, {**(query or {}), "per_page": str(_PER_PAGE), "page": page})
            if not isinstance(answer.body, list):
                raise LostError(f"The response to GET {self.gitlab.path_of(path)} is not a list.", status=answer.status)
            yield from answer.body
            # Some proxies remove the header.
            following = str(int(page) + 1) if len(answer.body) == _PER_PAGE else ""
            page = answer.headers.get("X-Next-Page", following)

    def _check_rights(self) -> None:
        body: dict[str, Any] = {"max_results": 1}
        try:
            self.gitlab.post(f"{self.mlflow}/experiments/search", body)
        except LostError as error:
            if error.status in {401, 403}:
                raise invalid(f"This token may not read experiments in GitLab. {_RIGHTS}") from error
            if error.status == 404:
                self._check_list()
                self.searches_experiments = False
            else:
                raise
        except GoneError as error:
            raise invalid(f"{error.message} {_RIGHTS}") from error

    def _check_list(self) -> None:
        try:
            self.gitlab.get(f"{self.mlflow}/experiments/list")
        except LostError as error:
            raise invalid(
                "GitLab shows no experiments in this project: the feature may be turned off in its settings "
                f"(Settings, General, Visibility), or this GitLab is older than 16.4. {_RIGHTS}"
            ) from error

    def _version_text(self) -> str:
        try:
            return str(self.gitlab.get("api/v4/version").get("version") or "")
        except LostError:
            return ""
