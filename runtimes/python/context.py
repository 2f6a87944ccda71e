"""What a handler learns about its call: the second argument, shaped like that of AWS Lambda.

`describe` sets once what is the same for every call of a sandbox; a `Context` adds what is not.
Beyond AWS's there are `event_id`, `trigger`, `attempt` and `project`.
"""

import os
from time import time  # bound early: tests like to patch the module


class Context:
    function_name = function_version = invoked_function_arn = memory_limit_in_mb = None
    log_group_name = log_stream_name = project = None
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
