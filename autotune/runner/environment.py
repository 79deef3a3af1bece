"""Keeping secrets out of what is written down: environments for engines, and texts for records."""

import os
import re
from collections.abc import Mapping

_SECRET_NAME = re.compile(
    r"(^|_)(TOKEN|(PG)?PASSWORD|PASSWD|SECRETS?|CREDENTIALS?|API_?KEY|ACCESS_KEY(_ID)?|PRIVATE_KEY"
    r"|AUTH)($|_)"
)
_URL_LOGIN = re.compile(r"(\w://)[^/\s@'\"]+@")
_SHORTEST_SECRET = 6
_HIDDEN = "***"
# Where to look for a model is said by a path; what opens the door is not needed to measure it.
_HUB_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def is_secret(name: str, value: str = "") -> bool:
    """Whether a variable holds a secret, by its name or as an address with a login."""
    return bool(_SECRET_NAME.search(name.upper())) or bool(_URL_LOGIN.search(value))


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for an engine: what it is not given, it cannot print.

    Only who lets engines onto the network (``HF_HUB_OFFLINE=0``) lets them have the hub's token.
    """
    online = environment.get("HF_HUB_OFFLINE") == "0"
    return {
        name: value
        for name, value in environment.items()
        if not is_secret(name, value) or (online and name in _HUB_TOKENS)
    }


def scrub(text: str) -> str:
    """Return a text without the secrets of this process's environment and without logins."""
    secrets = {
        value
        for name, value in os.environ.items()
        if is_secret(name, value) and len(value) >= _SHORTEST_SECRET
    }
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return _URL_LOGIN.sub(rf"\1{_HIDDEN}@", text)
