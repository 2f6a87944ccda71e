"""What a handler learns about its call: the second argument, shaped like that of AWS Lambda.

`describe` sets once what is the same for every call of a sandbox; a `Context` adds what is not.
Beyond AWS's there are `event_id`, `trigger`, `attempt` and `project`, and `send`: events that are sent
if, and only if, the call succeeds. They travel beside its answer and are committed with it.
"""

import os
from time import time  # bound early: tests like to patch the module

from channel import encode

# What one call may send: more is refused at once, where the handler can still do something about it.
MAX_EFFECTS = 100
MAX_EFFECTS_BYTES = 128 * 1024  # half of what a frame's metadata may have


class TooManyEffects(Exception):
    """The handler sent more than one call may."""


class Context:
    function_name = function_version = invoked_function_arn = memory_limit_in_mb = None
    log_group_name = log_stream_name = project = None
    _effects = None  # of this call, as JSON; most send nothing
    _effects_bytes = 0
    _traced = False  # whether the last call left a trace in the environment

    def __init__(self, call):
        self._deadline_ms = call["deadline_ms"]
        self.aws_request_id = call["invocation"]
        self.attempt = call.get("attempt", 1)
        self.event_id = call.get("event_id")
        self.trigger = call.get("trigger")
        self.identity = NOBODY
        client = call.get("client_context")
        self.client_context = client and ClientContext(client)
        trace = call.get("trace")
        if trace:
            os.environ["_X_AMZN_TRACE_ID"] = trace  # where AWS's tracing libraries look
            Context._traced = True
        elif Context._traced:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
            Context._traced = False  # set only where it changes: each time costs the class its caches

    def get_remaining_time_in_millis(self):
        """How long this call may still run. Measured against the deadline that all of Lambent keeps."""
        return max(0, int(self._deadline_ms - time() * 1000))

    def send(self, type, data=None, source=None, id=None, subject=None):
        """Sends an event to this project's triggers if this call succeeds; otherwise it was never sent.

        Without a `source` it is `lambent:function/` and this function's name; without an `id` one that
        is the same in every attempt that sends the same, so that it arrives once.
        """
        event = {"type": type}
        for name, value in (("source", source), ("id", id), ("subject", subject)):
            if value is not None:
                event[name] = value
        for name, value in event.items():
            if not isinstance(value, str):
                raise TypeError("an event's %s must be a string, not %r" % (name, value))
            value.encode("utf-8")  # a lone surrogate is no text: UnicodeEncodeError says where
        if not type:
            raise ValueError("an event's type must not be empty")
        if data is not None:
            event["data"] = data
        encoded = encode(event)  # now: what the handler does to the data afterwards is its own business
        effects = self._effects if self._effects is not None else []
        size = self._effects_bytes + len(encoded)
        if len(effects) >= MAX_EFFECTS or size > MAX_EFFECTS_BYTES:
            raise TooManyEffects(
                "this would be event %d of %d bytes in all, and one call may send %d of %d bytes: send a reference "
                "to what is large" % (len(effects) + 1, size, MAX_EFFECTS, MAX_EFFECTS_BYTES)
            )
        effects.append(encoded)
        self._effects, self._effects_bytes = effects, size

    def log(self, message):
        """As in AWS: writes to the function's log."""
        print(message)

    def __repr__(self):
        names = (
            "aws_request_id function_name function_version invoked_function_arn memory_limit_in_mb "
            "log_group_name log_stream_name project event_id trigger attempt client_context identity"
        )
        return "Context(%s)" % ", ".join("%s=%r" % (name, getattr(self, name)) for name in names.split())


class Identity:
    """AWS tells mobile users' Cognito identities here. There are none in Lambent."""

    cognito_identity_id = None
    cognito_identity_pool_id = None

    def __repr__(self):
        return "Identity()"


NOBODY = Identity()


class Client:
    """The application that called, as AWS's mobile SDKs describe it."""

    def __init__(self, fields):
        for name in ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name"):
            setattr(self, name, fields.get(name))


class ClientContext:
    """What the caller sent as client context: two dictionaries and a description of itself."""

    def __init__(self, sent):
        sent = sent if isinstance(sent, dict) else {}
        client = sent.get("client")
        self.custom = sent.get("custom") or {}
        self.env = sent.get("env") or {}
        self.client = Client(client) if isinstance(client, dict) else None

    def __repr__(self):
        return "ClientContext(custom=%r, env=%r)" % (self.custom, self.env)


def describe(init):
    """Takes from INIT what is the same for every call."""
    Context.function_name = init["function"]
    Context.function_version = init["version"]
    Context.invoked_function_arn = init["function_arn"]
    Context.memory_limit_in_mb = str(init["memory_mib"])  # a string, as in AWS
    Context.log_group_name = init["log_group"]
    Context.log_stream_name = init["log_stream"]
    Context.project = init["project"]
