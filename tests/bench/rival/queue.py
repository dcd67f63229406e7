"""The queue between the API and the workers: Celery on Redis, tuned for many short tasks."""

from celery import Celery

from tests.bench.rival.settings import settings

SYNC = "sync"


def make_queue() -> Celery:
    """Return the application; results go by Redis's publish and subscribe, not by a result backend."""
    queue = Celery("rival", broker=f"redis+socket://{settings().redis}")
    queue.conf.update(
        task_ignore_result=True,
        task_serializer="json",
        task_compression=None,
        task_send_sent_event=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        worker_disable_rate_limits=True,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        broker_pool_limit=16,
        broker_connection_retry_on_startup=True,
        # Otherwise each greenlet finds the backend anew.
        result_backend_thread_safe=True,
    )
    return queue
