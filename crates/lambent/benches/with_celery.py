"""What Celery does with the same broker on the same machine: a full queue, emptied by a worker.

    with_celery.py amqp://… COUNT

Settings are those that make the two alike: persistent messages, two processes (`prefork`),
acknowledged after they ran (`acks_late`), no record of results, which Celery keeps elsewhere if at
all. Nothing here measures what Celery could do with other settings.
"""

import os
import subprocess
import sys
import time

from celery import Celery

QUEUE = "bench-celery"
PROCESSES = 2
# At a hundredth of the rate that is measured.
PATIENCE_S = 400

app = Celery("celery_bench", broker=os.environ.get("BENCH_BROKER"))
app.conf.update(
    task_default_queue=QUEUE,
    task_acks_late=True,
    task_ignore_result=True,
    task_default_delivery_mode="persistent",
    worker_prefetch_multiplier=64,
)


@app.task(name="bench.work")
def work(data):
    return data


def waiting():
    """Messages in the queue that no process has taken."""
    with app.connection_for_read() as connection:
        return connection.default_channel.queue_declare(QUEUE, passive=True).message_count


def main(url, count):
    app.conf.broker_url = url
    begin = time.monotonic()
    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        for _ in range(count):
            work.apply_async(({"n": 1},), producer=producer)
    published = count / (time.monotonic() - begin)
    words = ["-P", "prefork", "-c", str(PROCESSES), "-l", "ERROR"]
    words += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    folder = os.path.dirname(os.path.abspath(__file__))
    environment = dict(
        os.environ, BENCH_BROKER=url, PYTHONPATH=folder, PYTHONDONTWRITEBYTECODE="1"
    )
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "with_celery", "worker", *words],
        env=environment,
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        # The start of the worker is not what is measured.
        until = time.monotonic() + PATIENCE_S
        while waiting() == count:
            if worker.poll() is not None or time.monotonic() > until:
                raise SystemExit("the worker does not take anything")
            time.sleep(0.01)
        begin = time.monotonic()
        left = count
        while left:
            if worker.poll() is not None or time.monotonic() > until:
                raise SystemExit("the worker does not come to an end")
            time.sleep(0.05)
            left = waiting()
        rate = count / (time.monotonic() - begin)
    finally:
        worker.terminate()
        worker.wait()
    print(f"celery, {PROCESSES} processes: run to their end {rate:.0f}/s, published {published:.0f}/s")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
