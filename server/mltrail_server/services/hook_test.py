"""Have GitLab send a real webhook, and see what comes: the self-test's last line."""

import base64
import json
import secrets

from mltrail_server.domain import bot, webhook_secrets
from mltrail_server.domain.clock import Clock
from mltrail_server.domain.errors import Code, MltrailError, conflict
from mltrail_server.domain.identity import title_of
from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab.probe import Probe

from .hook_catcher import Caught, HookCatcher

_WAIT_SECONDS = 20.0


def deliver(
    probe: Probe, project_id: ProjectId, *, listen: str, url: str, clock: Clock, wait_seconds: float = _WAIT_SECONDS
) -> str:
    """Make a hook in the project, have it tried, and remove it. Answers what came, in words.

    `url` is where GitLab reaches what listens on `listen` (`host:port`). Raises what GitLab's refusal means, CONFLICT
    when what comes is not as it should be.
    """
    token, signing = (
        secrets.token_urlsafe(16),
        webhook_secrets.SIGNING_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode(),
    )
    with HookCatcher(listen) as catcher:
        address = url or f"http://{listen.rpartition(':')[0] or '127.0.0.1'}:{catcher.port}/"
        try:
            hook = probe.create_hook(project_id, url=address, token=token, signing_token=signing)
        except MltrailError as error:
            if error.code is Code.FORBIDDEN:
                need = bot.Task.WEBHOOK.value
                raise conflict(f"the bot needs the {title_of(need.role)} role to {need.does}") from error
            raise
        try:
            probe.try_hook(project_id, hook)
            caught = catcher.wait(wait_seconds)
        finally:
            probe.delete_hook(project_id, hook)
    if caught is None:
        raise conflict(f"GitLab says it has sent one, and nothing came to {address} within {wait_seconds:g} s")
    return _judged(caught, project_id, token, signing, now_ms=clock())


def _judged(caught: Caught, project_id: ProjectId, token: str, signing: str, *, now_ms: int) -> str:
    if not webhook_secrets.is_genuine([token], caught.headers, caught.body, now_ms=now_ms):
        raise conflict("it came without the secret token in X-Gitlab-Token")
    told = json.loads(caught.body)
    if told["object_kind"] != "pipeline" or told["project"]["id"] != project_id:
        raise conflict("it came with another kind or project than the one that was asked for")
    if not isinstance(told["object_attributes"]["id"], int):
        raise conflict("the event does not tell its pipeline's number")
    names = {name.lower() for name in caught.headers}
    if "webhook-signature" not in names:
        return "a pipeline event came, with the secret token; this GitLab does not sign (it does from 19.0 on)"
    if not webhook_secrets.is_genuine([signing], caught.headers, caught.body, now_ms=now_ms):
        raise conflict("its signature is wrong, or its time is more than five minutes off ours")
    return "a pipeline event came, with the secret token and a good signature"
