"""A large guest for benchmarks: as much of `scripted` as they need, with the Python interpreter that comes along."""

import json

from wit_world import exports
from wit_world.imports import types

MARK = "OPERON-TEST-VERSION:"
# Where tests write what makes a version, as in `scripted`.
VERSION = "OPERON-TEST-VERSION:{}" + " " * 2026


class Handler(exports.Handler):
    def describe(self) -> types.Description:
        return types.Description("python", version() or "0.1.0", None, [])

    def validate(self, settings: str) -> None:
        pass

    def handle(self, event: types.Event) -> types.PatchSet:
        if event.cause == types.Cause.DELETED:
            return types.PatchSet([], [], None, [], None)
        spec = json.loads(event.manifest).get("spec", {})
        children = [json.dumps(child) for child in spec.get("children", [])]
        status = {"echo": {"cause": event.cause.name.lower(), "version": version()}}
        return types.PatchSet(children, [], json.dumps(status), [], None)


def version() -> str | None:
    return json.loads(VERSION[len(MARK) :]).get("name")
