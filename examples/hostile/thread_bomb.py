"""Starts threads until it cannot."""

import threading

import attempt

MOST = 5_000


def handler(event, context):
    threads, result, end = [], "ok", threading.Event()
    threading.stack_size(64 * 1024)
    while len(threads) < MOST and result == "ok":
        thread = threading.Thread(target=end.wait, args=(60,), daemon=True)
        result = attempt.outcome(thread.start)
        if result == "ok":
            threads.append(thread)
    end.set()
    for thread in threads:
        thread.join()
    return {"threads": len(threads), "start": result}
