"""Sleeps longer than it may. {"seconds": 900}"""

import time


def handler(event, context):
    time.sleep(min(event.get("seconds", 900), 900))
    return {"remaining_ms": context.get_remaining_time_in_millis()}
