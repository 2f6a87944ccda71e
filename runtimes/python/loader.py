"""From INIT to a handler: the environment of the function, and its import.

The function's own problems (a missing module, a syntax error, a handler that is not there) leave
as `Fault`, told with the function's part of the stack only.
"""

import _sitebuiltins
import builtins
import os
import sys
import time

import faults
from faults import Fault

PATH = "/usr/local/bin:/usr/bin:/bin"
DEFAULT_HANDLER = "handler.handler"


def load(init):
    """Does all that INIT asks for and returns the handler; raises `Fault`."""
    try:
        task_root = init["task_root"]
        name = init.get("handler") or DEFAULT_HANDLER
        set_environment(init, task_root, name)
        os.chdir(task_root)
    except (KeyError, TypeError, ValueError, OSError) as error:
        text = "the function cannot be set up: %s: %s" % (type(error).__name__, error)
        raise Fault("Runtime.InitError", text) from None

    own = [task_root]
    if os.path.isdir(task_root + "/python"):  # where an AWS layer keeps its modules
        own.append(task_root + "/python")
    sys.path[:0] = own
    module_name, _, attribute = name.rpartition(".")
    sys.argv = ["%s/%s.py" % (task_root, module_name.replace(".", "/"))]
    add_site_builtins()
    return find_handler(module_name.replace("/", "."), attribute, own)


def set_environment(init, task_root, handler):
    """Makes os.environ the function's own. Names that tell who it is cannot be set by its user."""
    environment = {
        "HOME": "/tmp",
        "TMPDIR": "/tmp",
        "PATH": PATH,
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
    }
    environment.update(init.get("env") or {})
    environment.update(
        {
            "AWS_EXECUTION_ENV": "AWS_Lambda_python%d.%d" % sys.version_info[:2],
            "AWS_LAMBDA_FUNCTION_NAME": init["function"],
            "AWS_LAMBDA_FUNCTION_VERSION": init["version"],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(init["memory_mib"]),
            "AWS_LAMBDA_LOG_GROUP_NAME": init["log_group"],
            "AWS_LAMBDA_LOG_STREAM_NAME": init["log_stream"],
            "LAMBDA_TASK_ROOT": task_root,
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "LAMBENT_PROJECT": init["project"],
            "_HANDLER": handler,
        }
    )
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()


def add_site_builtins():
    """`exit`, `quit` and `help`, which people use and only the site module, not loaded, would make."""
    builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D (i.e. EOF)")
    builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D (i.e. EOF)")
    builtins.help = _sitebuiltins._Helper()


def find_handler(module_name, attribute, own):
    parts = module_name.split(".")
    if not attribute or not all(parts):
        raise Fault(
            "Runtime.HandlerNotFound",
            "the handler must be named as module.function or folder/module.function, not %r"
            % ".".join(filter(None, (module_name, attribute))),
        )
    try:
        __import__(module_name)
        module = sys.modules[module_name]
    except BaseException as error:
        raise import_fault(module_name, own[0], error) from None
    came_from = getattr(module, "__file__", None)
    if not came_from or not came_from.startswith(tuple(folder + "/" for folder in own)):
        # Python's own `json`, say, is loaded already and hides the package's. Nobody wants to call that.
        raise Fault(
            "Runtime.HandlerNotFound",
            "module %r is Python's own (%s), not one of the package; give the file with the handler "
            "another name" % (module_name, came_from or "built in"),
        )
    try:
        handler = getattr(module, attribute)
    except AttributeError:
        raise Fault(
            "Runtime.HandlerNotFound", "module %r has no function %r" % (module_name, attribute)
        ) from None
    if not callable(handler):
        raise Fault(
            "Runtime.HandlerNotFound",
            "%r in module %r is not a function but of type %s" % (attribute, module_name, type(handler).__name__),
        )
    if getattr(getattr(handler, "__code__", None), "co_flags", 0) & 0x80:  # CO_COROUTINE
        import asyncio  # now, so that it counts as init and not as the first call's time
    return handler


def import_fault(module_name, task_root, error):
    """Why an import failed, by the error codes that users know."""
    kind, trace = "Runtime.InitError", faults.stack_trace(error.__traceback__)
    if isinstance(error, ModuleNotFoundError) and is_part(error.name, module_name):
        kind = "Runtime.ImportModuleError"
        text = "the package has no module %r (looked for %s/%s.py)" % (
            module_name,
            task_root,
            module_name.replace(".", "/"),
        )
    elif isinstance(error, ImportError):
        kind = "Runtime.ImportModuleError"
        text = "cannot import module %r: %s" % (module_name, faults.text(error))
    elif isinstance(error, SyntaxError) and str(error.filename).startswith(task_root + "/"):
        kind = "Runtime.UserCodeSyntaxError"
        text = "syntax error in module %r: %s" % (module_name, faults.text(error))
        trace = trace + [faults.syntax_line(error)]
    elif isinstance(error, SystemExit):
        text = "module %r called sys.exit(%s) while it was imported" % (module_name, faults.text(error))
    else:
        text = "%s while module %r was imported: %s" % (type(error).__name__, module_name, faults.text(error))
    return Fault(kind, text, trace)


def is_part(missing, module_name):
    """Whether the module that was not found is the handler's own, or a folder on the way to it."""
    return missing is not None and (module_name + ".").startswith(missing + ".")
