"""Secrets (keys, tokens, passwords) kept out of what a run writes: configs, checkpoints, hyperparameters of loggers."""

import os
import re
from collections.abc import Mapping
from typing import Any

_WORDS = {
    "accesskey",
    "apikey",
    "auth",
    "authkey",
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "credentials",
    "passphrase",
    "passwd",
    "password",
    "passwords",
    "privatekey",
    "pwd",
    "secret",
    "secretkey",
    "secrets",
}
_BEFORE_KEY = {"api", "access", "account", "auth", "client", "comet", "encryption", "private", "secret", "wandb"}
"""A ``key`` after one of these is secret; others name columns and the like."""
_BEFORE_TOKEN = {
    "additional",
    "bos",
    "class",
    "cls",
    "dist",
    "end",
    "eos",
    "mask",
    "pad",
    "reg",
    "sep",
    "special",
    "unk",
}
"""A ``token`` after one of these belongs to a model, as in timm and transformers."""
_NO_VARIABLE = {"PWD", "OLDPWD"}
_SHORTEST = 8
"""Shorter values of environment variables are looked for nowhere: they occur by chance."""
_SHAPES = re.compile(
    r"(?:\b(?:hf_|ghp_|gho_|ghs_|github_pat_|glpat-|sk-|xox[abp]-|wandb_v\d_)[\w-]{16,}|\bAKIA[0-9A-Z]{16}\b"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+|(?i:\bbearer )[\w.~+/-]{8,}=*)"
)
"""Tokens whose issuers mark them: Hugging Face, GitHub, GitLab, OpenAI, Slack, W&B, AWS, JSON web tokens."""
_LOGIN = re.compile(r"(?<=://)[^/\s@:]*:[^/\s@]*@|(?<=://)[^/\s@:]{20,}@")
_SETTING = re.compile(r"(?:(?<=[?&;])|^-{0,2})([\w.-]+)=([^&;\s]+)")
_SIGNATURES = {"sig", "signature", "x-amz-signature", "x-amz-credential", "x-amz-security-token"}
_GONE = object()


def redacted(settings: Any, *, by_reference: bool = False) -> Any:
    """Returns a copy of settings without secrets.

    An entry whose name says that it is secret (``api_key``, ``token``, ``password``, ...) is left out, so that its
    default, the environment or a login takes its place; so is what its issuer marks as a token, a login in an address,
    and the value of an environment variable with such a name, wherever it stands.

    Args:
        settings: maps, lists and plain values.
        by_reference: whether the value of an environment variable becomes ``${oc.env:NAME}``, which a config resolves,
            instead of nothing.

    Example:
        >>> redacted({"project": "mine", "api_key": "1234"})
        {'project': 'mine'}
    """
    found = _redact(settings, _secret_variables(os.environ), by_reference)
    return None if found is _GONE else found


def _redact(value: Any, variables: Mapping[str, str], by_reference: bool, *, secret: bool = False) -> Any:
    if isinstance(value, Mapping):
        if secret and "class_path" not in value:
            return _GONE
        parts = {
            key: _redact(entry, variables, by_reference, secret=_is_secret(str(key))) for key, entry in value.items()
        }
        return {key: part for key, part in parts.items() if part is not _GONE}
    if isinstance(value, (list, tuple)):
        entries = [_redact(entry, variables, by_reference, secret=secret) for entry in value]
        left = [entry for entry in entries if entry is not _GONE]
        return _GONE if secret and value and not left else type(value)(left)
    if isinstance(value, str):
        return _redact_text(value, variables, by_reference, secret)
    # a number may be a password; switches such as `class_token: true` and missing values stay
    return _GONE if secret and not isinstance(value, bool) and value is not None else value


def _redact_text(text: str, variables: Mapping[str, str], by_reference: bool, secret: bool) -> Any:
    if by_reference and text in variables.values():
        return f"${{oc.env:{next(name for name, value in variables.items() if value == text)},null}}"
    if by_reference and text.startswith("${") and text.endswith("}"):
        return text
    if secret:
        return text if not text else _GONE
    short = text
    for name, value in variables.items():
        short = short.replace(value, f"${{oc.env:{name},''}}" if by_reference else "")
    short = _SETTING.sub(lambda m: f"{m[1]}=" if _is_secret(m[1]) or m[1].lower() in _SIGNATURES else m[0], short)
    short = _SHAPES.sub("", _LOGIN.sub("", short))
    return _GONE if text and not short else short


def _secret_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Name and value of the variables that hold a secret, long values first: one may contain another."""
    names = [name for name in environment if name not in _NO_VARIABLE and _is_secret(name)]
    values = {name: environment[name] for name in names if len(environment[name]) >= _SHORTEST}
    return dict(sorted(values.items(), key=lambda pair: -len(pair[1])))


def _is_secret(name: str) -> bool:
    """Returns whether the last words of a name, in snake, kebab or camel case, mark its value as secret."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name.rpartition(".")[2])
    words = [word.lower() for word in words if not word.isdigit()]
    if not words:
        return False
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last == "key":
        return before in _BEFORE_KEY
    if last == "token":
        return before not in _BEFORE_TOKEN
    return last in _WORDS or "".join(words[-2:]) in _WORDS
