"""What is outside the machine that is being installed: a GitLab and an S3 store, both stand-ins over HTTP.

Started in the machine's network. Prints where they are as JSON, and serves until its standard input ends.
"""

import json
import sys

from tests.fakes.gitlab import FakeGitLab
from tests.s3 import moto, new_bucket


def main() -> None:
    gitlab = FakeGitLab()
    gitlab.start()
    owner, developer = gitlab.add_user("owner"), gitlab.add_user("developer")
    gitlab.add_group("data-science", owner)
    project = gitlab.add_project("data-science/sandbox", id=42)
    gitlab.add_member(project, developer, 30)
    gitlab.add_commit(project, "a1" * 20, branch="main")
    tokens = {user.username: gitlab.add_token(user, ["api"]) for user in (owner, developer)}
    with moto() as s3, new_bucket(s3, "my-bucket") as bucket:
        _say({"gitlab": gitlab.url, "s3": s3, **tokens})
        for _ in sys.stdin:  # whoever asks by a line gets the keys of all objects
            _say(bucket.keys())
    gitlab.stop()


def _say(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
