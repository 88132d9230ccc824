"""How often Python's garbage collector runs in a process that is there for a worker."""

import gc

#: As the interpreter starts; read before an application's modules are imported.
DEFAULT_THRESHOLD = gc.get_threshold()
OBJECTS_BETWEEN_COLLECTIONS = 10_000


def collect_less_often() -> None:
    """Collect after more objects were made, and never look at those that exist by now.

    A task leaves about a dozen objects, so that Python's default threshold collects every 60 tasks,
    which takes a sixth of the processor time of short tasks. An application that has chosen a
    threshold keeps it.
    """
    if gc.get_threshold() == DEFAULT_THRESHOLD:
        gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, *DEFAULT_THRESHOLD[1:])
    gc.freeze()
