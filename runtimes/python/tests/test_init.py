"""From INIT to READY: the environment, the import, and every way in which it fails."""

import os
import socket
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sandbox import HELLO, INIT, INIT_ERROR, INVOKE, READY, RESPONSE, Shim, frame, handler


class Init(unittest.TestCase):
    def check_fails(self, files, kind, message, **init):
        with Shim(files, **init) as shim:
            told, meta, payload = shim.init()
            self.assertEqual((told, payload), (INIT_ERROR, b""), meta)
            self.assertEqual(meta["error_type"], kind, meta)
            self.assertRegex(meta["error_message"], message)
            for line in meta["stack_trace"]:
                self.assertNotRegex(line, r"shim\.py|loader\.py|frozen importlib")
            self.assertIsNone(shim.receive())
            status, _, err = shim.exit()
            self.assertEqual((status, err), (1, ""))
            return meta

    def check_gives(self, files, answer, event=None, **init):
        with Shim(files, **init) as shim:
            kind, meta, got = shim.ready().invoke(event)
            self.assertEqual((kind, got), (RESPONSE, answer), meta)
            return shim.end()

    def test_hello_names_the_interpreter(self):
        with Shim() as shim:
            self.assertEqual(shim.kind, HELLO)
            self.assertRegex(shim.hello["runtime"], r"^python3\.\d+$")
            self.assertEqual(shim.hello["pid"], shim.process.pid)

    def test_ready_tells_how_long_init_took(self):
        with Shim(handler("return 1")) as shim:
            kind, meta, _ = shim.init()
            self.assertEqual(kind, READY)
            self.assertGreater(meta["init_us"], 0)

    def test_handler_can_be_named_in_three_ways(self):
        files = {"pkg/deep/module.py": "def go(event, context):\n    return __name__\n"}
        self.check_gives(files, "pkg.deep.module", handler="pkg/deep/module.go")
        self.check_gives(files, "pkg.deep.module", handler="pkg.deep.module.go")
        self.check_gives({"m.py": "def go(event, context): return 1"}, 1, handler="m.go")

    def test_bare_handler_file_needs_no_configuration(self):
        self.check_gives(handler("return 'here'"), "here", handler="")

    def test_handler_may_be_any_callable(self):
        source = "class Call:\n    def __call__(self, event, context): return 2\nhandler = Call()\n"
        self.check_gives({"handler.py": source}, 2)

    def test_package_and_its_python_folder_are_importable(self):
        files = handler("import inner; return inner.x")
        files["python/inner.py"] = "x = 5"
        self.check_gives(files, 5)

    def test_modules_named_like_ours_are_the_packages_own(self):
        files = handler("import channel, context as c, loader, faults\nreturn [channel.x, c.x, loader.x, faults.x]")
        for name in ("channel", "context", "loader", "faults"):
            files[name + ".py"] = "x = %r" % name
        self.check_gives(files, ["channel", "context", "loader", "faults"])

    def test_missing_handler_module(self):
        meta = self.check_fails({}, "Runtime.ImportModuleError", r"no module 'handler' \(looked for .*/handler\.py\)")
        self.assertEqual(meta["stack_trace"], [])

    def test_missing_dependency(self):
        meta = self.check_fails(
            {"handler.py": "x = 1\nimport requests_of_nobody\n"},
            "Runtime.ImportModuleError",
            "cannot import module 'handler': No module named 'requests_of_nobody'",
        )
        self.assertEqual(len(meta["stack_trace"]), 1)
        self.assertRegex(
            meta["stack_trace"][0],
            r'^  File ".*/handler\.py", line 2, in <module>\n    import requests_of_nobody\n$',
        )

    def test_import_error_of_an_inner_module(self):
        files = {"handler.py": "import inner\n", "inner.py": "from os import no_such_name\n"}
        meta = self.check_fails(files, "Runtime.ImportModuleError", "cannot import name 'no_such_name'")
        self.assertEqual(len(meta["stack_trace"]), 2)

    def test_syntax_error(self):
        meta = self.check_fails(
            {"handler.py": "x = 1\ndef handler(event context):\n"},
            "Runtime.UserCodeSyntaxError",
            r"syntax error in module 'handler': .*line 2",
        )
        self.assertRegex(meta["stack_trace"][-1], r'handler\.py", line 2\n    def handler\(event context\):\n')

    def test_syntax_error_of_an_inner_module(self):
        files = {"handler.py": "import inner\n", "inner.py": "  x = 1\n"}
        self.check_fails(files, "Runtime.UserCodeSyntaxError", "unexpected indent")

    def test_syntax_error_of_evaluated_text_is_an_ordinary_exception(self):
        self.check_fails({"handler.py": "eval('1 +')\n"}, "Runtime.InitError", "SyntaxError while module 'handler'")

    def test_handler_is_not_there(self):
        self.check_fails({"handler.py": "x = 1\n"}, "Runtime.HandlerNotFound", "no function 'handler'")

    def test_handler_is_not_callable(self):
        self.check_fails({"handler.py": "handler = 3\n"}, "Runtime.HandlerNotFound", "not a function but of type int")

    def test_handler_names_that_are_none(self):
        for name in ("handler", ".", "..x.y", "a..b", "/etc/x.y", "../x.y", "a/.b"):
            with self.subTest(name):
                self.check_fails(handler("return 1"), "Runtime.HandlerNotFound", "must be named", handler=name)

    def test_pythons_own_modules_are_no_handlers(self):
        for name in ("os.system", "json.dumps", "sys.exit", "builtins.exec", "__main__.x"):
            with self.subTest(name):
                self.check_fails({}, "Runtime.HandlerNotFound", "Python's own", handler=name)

    def test_file_hidden_by_a_loaded_module_is_told(self):
        files = {"json.py": "def handler(event, context): return 1\n"}
        self.check_fails(files, "Runtime.HandlerNotFound", "another name", handler="json.handler")

    def test_exception_while_importing(self):
        meta = self.check_fails(
            {"handler.py": "def f():\n    return {}['key']\nf()\n"},
            "Runtime.InitError",
            "KeyError while module 'handler' was imported: 'key'",
        )
        self.assertEqual(len(meta["stack_trace"]), 2)

    def test_exit_while_importing(self):
        self.check_fails({"handler.py": "import sys; sys.exit(3)\n"}, "Runtime.InitError", r"called sys\.exit\(3\)")

    def test_interrupt_and_recursion_while_importing(self):
        self.check_fails({"handler.py": "raise KeyboardInterrupt\n"}, "Runtime.InitError", "KeyboardInterrupt")
        self.check_fails({"handler.py": "def f(): f()\nf()\n"}, "Runtime.InitError", "RecursionError")

    def test_folder_that_is_not_there(self):
        self.check_fails({}, "Runtime.InitError", "No such file or directory", task_root="/nowhere/at/all")

    def test_environment_that_cannot_be(self):
        self.check_fails(handler("return 1"), "Runtime.InitError", "cannot be set up", env={"A=B": "c"})
        self.check_fails(handler("return 1"), "Runtime.InitError", "cannot be set up", env={"A": "\0"})
        self.check_fails(handler("return 1"), "Runtime.InitError", "cannot be set up", env={"A": 7})

    def test_environment_is_exactly_what_is_promised(self):
        os.environ["LAMBENT_TEST_LEAK"] = "from the worker"
        self.addCleanup(os.environ.pop, "LAMBENT_TEST_LEAK")
        with Shim(handler("import os\nreturn dict(os.environ)"), env={"NAME": "Jürgen", "TZ": "Europe/Berlin"}) as shim:
            _, _, got = shim.ready().invoke()
            self.assertRegex(got.pop("AWS_EXECUTION_ENV"), r"^AWS_Lambda_python3\.\d+$")
            self.assertEqual(
                got,
                {
                    "HOME": "/tmp",
                    "TMPDIR": "/tmp",
                    "PATH": "/usr/local/bin:/usr/bin:/bin",
                    "LANG": "C.UTF-8",
                    "TZ": "Europe/Berlin",
                    "NAME": "Jürgen",
                    "AWS_LAMBDA_FUNCTION_NAME": "hello",
                    "AWS_LAMBDA_FUNCTION_VERSION": "7",
                    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
                    "AWS_LAMBDA_LOG_GROUP_NAME": "/lambent/hello",
                    "AWS_LAMBDA_LOG_STREAM_NAME": "sandbox-1",
                    "LAMBDA_TASK_ROOT": shim.task,
                    "LAMBDA_RUNTIME_DIR": "/var/runtime",
                    "LAMBENT_PROJECT": "acme",
                    "_HANDLER": "handler.handler",
                },
            )

    def test_children_get_the_same_environment(self):
        body = "import subprocess\nreturn subprocess.check_output('echo $NAME $LAMBENT_PROJECT', shell=True).decode()"
        self.check_gives(handler(body), "n acme\n", env={"NAME": "n", "LAMBENT_PROJECT": "forged"})

    def test_place_and_path(self):
        body = "import os, sys\nreturn [os.getcwd() == os.path.realpath(sys.path[0]), sys.argv == [__file__], sys.path[0]]"
        with Shim(handler(body)) as shim:
            _, _, got = shim.ready().invoke()
            self.assertEqual(got, [True, True, shim.task])

    def test_main_module_and_builtins(self):
        body = "import __main__\nreturn [sorted(n for n in vars(__main__) if n[:2] != '__'), callable(exit), callable(quit), repr(help)[:4]]"
        self.check_gives(handler(body), [[], True, True, "Type"])

    def test_nothing_of_ours_is_in_the_modules(self):
        body = "import sys\nreturn [n for n, m in sys.modules.items() if 'runtimes' in (getattr(m, '__file__', '') or '')]"
        self.check_gives(handler(body), [])

    def test_init_in_single_bytes(self):
        with Shim(handler("return event")) as shim:
            shim.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            for byte in frame(INIT, shim.init_meta):
                shim.socket.sendall(bytes([byte]))
            self.assertEqual(shim.receive()[0], READY)
            self.assertEqual(shim.invoke([1])[2], [1])

    def test_init_and_first_invoke_in_one_piece(self):
        call = frame(INVOKE, {"invocation": "i", "attempt": 1, "deadline_ms": 0}, b'"x"')
        with Shim(handler("return event")) as shim:
            shim.socket.sendall(frame(INIT, shim.init_meta) + call)
            self.assertEqual(shim.receive()[0], READY)
            self.assertEqual(shim.receive()[2], b'"x"')

    def test_output_of_an_import_is_there_before_ready(self):
        with Shim({"handler.py": "print('loading', end='')\ndef handler(e, c): pass\n"}) as shim:
            shim.ready()
            self.assertEqual(shim.output(100), "loading")

    def test_zip_of_modules_is_importable(self):
        import io
        import zipfile

        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("inner.py", "x = 6")
        files = handler("import sys\nsys.path.insert(0, 'libs.zip')\nimport inner\nreturn inner.x")
        files["libs.zip"] = packed.getvalue()
        self.check_gives(files, 6)


class BadFrames(unittest.TestCase):
    def check_ends(self, *pieces, after_init=False, status=76, says="lambent: "):
        with Shim(handler("return 1")) as shim:
            if after_init:
                shim.ready()
            shim.socket.sendall(b"".join(pieces))
            shim.socket.shutdown(socket.SHUT_WR)
            self.assertIsNone(shim.receive())
            ended, out, err = shim.exit()
            self.assertEqual((ended, out), (status, ""), err)
            self.assertIn(says, err)
            self.assertNotIn("Traceback", err)

    def test_garbage_ends_the_shim(self):
        self.check_ends(b"GET / HTTP/1.1\r\n\r\n", says="header is not valid")
        self.check_ends(b"\xff" * 64, says="header is not valid")

    def test_header_fields_that_are_wrong(self):
        self.check_ends(frame(INIT, {}, version=2), says="header is not valid")
        self.check_ends(frame(INIT, {}, reserved=1), says="header is not valid")
        self.check_ends(b"\x01\x01\0\0" + b"\xff\xff\xff\xff" * 2, says="header is not valid")
        self.check_ends(b"\x01\x01\0\0" + (262145).to_bytes(4, "little") + bytes(4), says="header is not valid")

    def test_frames_out_of_order(self):
        call = frame(INVOKE, {"invocation": "i", "deadline_ms": 0}, b"{}")
        self.check_ends(call, says="first frame must be INIT")
        self.check_ends(frame(INIT, {}), after_init=True, says="only INVOKE may follow")
        self.check_ends(frame(RESPONSE, {}), after_init=True, says="only INVOKE may follow")

    def test_metadata_that_is_none(self):
        for meta in (b"", b"[]", b"{", b"\xff\xff", b"[" * 100_000, b"{} {}"):
            with self.subTest(meta[:4]):
                self.check_ends(frame(INIT, meta), says="metadata is not")

    def test_invoke_without_its_names(self):
        self.check_ends(frame(INVOKE, {"deadline_ms": 0}), after_init=True, says="'invocation'")
        self.check_ends(frame(INVOKE, {"invocation": "i"}), after_init=True, says="'deadline_ms'")

    def test_end_within_a_frame(self):
        self.check_ends(frame(INIT, {"function": "x"})[:-1], says="closed within a frame")
        self.check_ends(b"\x01\x01\0", says="closed within a frame")

    def test_end_between_frames_is_the_ordinary_end(self):
        self.check_ends(status=0, says="")
        self.check_ends(after_init=True, status=0, says="")

    def test_end_does_not_wait_for_threads(self):
        header = "import threading\nthreading.Thread(target=threading.Event().wait).start()"
        with Shim(handler("return 1", header)) as shim:
            shim.ready()
            self.assertEqual(shim.end()[0], 0)


if __name__ == "__main__":
    unittest.main()
