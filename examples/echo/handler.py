"""Shows a function all that it is told: the event, the context, and its environment's names."""

import os


def handler(event, context):
    print("echo", context.aws_request_id)
    return {
        "event": event,
        "context": {
            "aws_request_id": context.aws_request_id,
            "function_name": context.function_name,
            "function_version": context.function_version,
            "invoked_function_arn": context.invoked_function_arn,
            "memory_limit_in_mb": context.memory_limit_in_mb,
            "log_group_name": context.log_group_name,
            "log_stream_name": context.log_stream_name,
            "remaining_ms": context.get_remaining_time_in_millis(),
            "project": context.project,
            "event_id": context.event_id,
            "trigger": context.trigger,
            "attempt": context.attempt,
        },
        "environment": sorted(os.environ),
    }
