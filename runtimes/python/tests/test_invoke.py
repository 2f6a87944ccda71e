"""Calls: events in, answers out, exceptions as errors, and functions that misbehave."""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sandbox import ERROR, INVOKE, RESPONSE, Shim, handler

MAX_ANSWER_BYTES = 6 * 1024 * 1024


class Case(unittest.TestCase):
    def check_gives(self, body, answer, event=None, header="", **call):
        with Shim(handler(body, header)) as shim:
            kind, meta, got = shim.ready().invoke(event, **call)
            self.assertEqual((kind, got), (RESPONSE, answer), meta)
            self.assertEqual(meta, {"invocation": call.get("invocation", "i-1")})

    def check_raises(self, body, kind, message, event=None, raw=None, header=""):
        """The call ends so, and the sandbox answers the next call as if nothing had been."""
        source = "if event == 'again': return 'well'\n" + body
        with Shim(handler(source, header)) as shim:
            told, meta, payload = shim.ready().invoke(event, raw)
            self.assertEqual((told, payload, meta.get("invocation")), (ERROR, None, "i-1"), meta)
            self.assertEqual(meta["error_type"], kind, meta)
            self.assertRegex(meta["error_message"], message)
            for line in meta["stack_trace"]:
                self.assertNotRegex(line, r"shim\.py")
            self.assertLessEqual(shim.meta_len, 256 * 1024)
            kind, _, again = shim.invoke("again", invocation="i-2")
            self.assertEqual((kind, again), (RESPONSE, "well"))
            return meta


class Effects(Case):
    def test_events_travel_beside_the_answer(self):
        body = """
data = {"n": 1.50, "ü": None}
context.send("a.b", data)
data["n"] = "changed afterwards"
context.send("c", source="s", id="i", subject="t")
return "done"
"""
        with Shim(handler(body)) as shim:
            kind, meta, answer = shim.ready().invoke({})
            self.assertEqual((kind, answer), (RESPONSE, "done"))
            sent = [
                {"type": "a.b", "data": {"n": 1.5, "ü": None}},
                {"type": "c", "source": "s", "id": "i", "subject": "t"},
            ]
            self.assertEqual(meta, {"invocation": "i-1", "effects": sent})

    def test_each_call_sends_its_own(self):
        with Shim(handler("if event: context.send('x')")) as shim:
            _, meta, _ = shim.ready().invoke(1)
            self.assertEqual(meta["effects"], [{"type": "x"}])
            _, meta, _ = shim.invoke(0, invocation="i-2")
            self.assertEqual(meta, {"invocation": "i-2"})

    def test_a_call_that_fails_sends_nothing(self):
        with Shim(handler("context.send('x')\nraise ValueError('no')")) as shim:
            kind, meta, _ = shim.ready().invoke({})
            self.assertEqual(kind, ERROR)
            self.assertNotIn("effects", meta)

    def test_more_than_may_be_is_an_error_that_names_the_limit(self):
        many = "for n in range(event): context.send('x', n)"
        with Shim(handler(many)) as shim:
            _, meta, _ = shim.ready().invoke(100)
            self.assertEqual(len(meta["effects"]), 100)
            kind, meta, _ = shim.invoke(101)
            self.assertEqual((kind, meta["error_type"]), (ERROR, "Function.TooManyEffects"))
            self.assertIn("100", meta["error_message"])
        with Shim(handler("context.send('x', 'y' * event)")) as shim:
            kind, _, _ = shim.ready().invoke(128 * 1024 - 100)
            self.assertEqual(kind, RESPONSE)
            self.assertLessEqual(shim.meta_len, 256 * 1024)
            kind, meta, _ = shim.invoke(128 * 1024)
            self.assertEqual((kind, meta["error_type"]), (ERROR, "Function.TooManyEffects"))

    def test_a_handler_may_take_the_error_and_go_on(self):
        body = """
try:
    context.send("x", "y" * 200_000)
except Exception as error:
    context.send(type(error).__name__)
"""
        with Shim(handler(body)) as shim:
            _, meta, _ = shim.ready().invoke({})
            self.assertEqual(meta["effects"], [{"type": "TooManyEffects"}])

    def test_what_is_no_event_is_refused_where_it_is_sent(self):
        for arguments, kind in (
            ("1", "TypeError"),
            ("''", "ValueError"),
            ("'x', id=7", "TypeError"),
            ("'\\ud800'", "UnicodeEncodeError"),
            ("'x', {1, 2}", "TypeError"),
            ("'x', float('nan')", "ValueError"),
        ):
            self.check_raises("context.send(%s)" % arguments, kind, ".")


class Answers(Case):
    def test_event_comes_back_as_it_went(self):
        event = {"name": "Jürgen 🦀 \u0000 \"\\", "n": [1, 2.5, -3e300, 10**40, True, None], "": {}}
        self.check_gives("return event", event, event)

    def test_answer_is_compact_utf8(self):
        with Shim(handler("return {'a': [1, 'ü']}")) as shim:
            shim.ready().send(INVOKE, {"invocation": "i", "deadline_ms": 0}, b"{}")
            self.assertEqual(shim.receive()[2], '{"a":[1,"ü"]}'.encode())

    def test_empty_event_is_an_empty_object(self):
        with Shim(handler("return [event]")) as shim:
            self.assertEqual(shim.ready().invoke(raw=b"")[2], [{}])

    def test_spaces_around_an_event_are_allowed(self):
        with Shim(handler("return event")) as shim:
            self.assertEqual(shim.ready().invoke(raw=b" \n[1] \r\n")[2], [1])

    def test_no_answer_is_null(self):
        with Shim(handler("pass")) as shim:
            shim.ready().send(INVOKE, {"invocation": "i", "deadline_ms": 0}, b"{}")
            self.assertEqual(shim.receive()[2], b"null")

    def test_lone_surrogate_keeps_its_escape(self):
        with Shim(handler("return event")) as shim:
            shim.ready().send(INVOKE, {"invocation": "i", "deadline_ms": 0}, b'"\\ud800x"')
            self.assertEqual(shim.receive()[2], b'"\\ud800x"')

    def test_invocation_of_any_text_is_given_back(self):
        self.check_gives("return context.aws_request_id", 'i"\\ü\n', invocation='i"\\ü\n')

    def test_coroutine_handler_runs_to_its_end(self):
        source = "import asyncio\nasync def handler(event, context):\n    await asyncio.sleep(0)\n    return [event]\n"
        with Shim({"handler.py": source}) as shim:
            self.assertEqual(shim.ready().invoke(1)[2], [1])
            self.assertEqual(shim.invoke(2)[2], [2])

    def test_handler_that_returns_a_coroutine_is_awaited(self):
        self.check_gives("async def later(): return 4\nreturn later()", 4)

    def test_large_events_and_answers_pass(self):
        event = "x" * (MAX_ANSWER_BYTES - 2)
        self.check_gives("return event", event, event)

    def test_many_calls_of_growing_size(self):
        with Shim(handler("return event")) as shim:
            shim.ready()
            for size in [0, 1, 100, 32_700, 32_800, 65_500, 65_536, 65_600, 200_000, 1]:
                self.assertEqual(shim.invoke("y" * size)[2], "y" * size)

    def test_state_lasts_from_call_to_call(self):
        with Shim(handler("global n\nn += 1\nreturn n", "n = 0")) as shim:
            shim.ready()
            self.assertEqual([shim.invoke()[2] for _ in range(3)], [1, 2, 3])

    def test_patched_json_module_changes_nothing(self):
        body = "import json\njson.loads = json.dumps = None\njson.JSONEncoder.default = json.JSONDecoder.decode = None\nreturn [event]"
        with Shim(handler(body)) as shim:
            shim.ready()
            self.assertEqual([shim.invoke(1)[2], shim.invoke(2)[2]], [[1], [2]])


class Errors(Case):
    def test_exception_is_told_by_class_text_and_stack(self):
        meta = self.check_raises("deep()", "Broken", "^no luck: ü$", header="class Broken(Exception): pass\ndef deep():\n    raise Broken('no luck: ü')\n")
        self.assertEqual(len(meta["stack_trace"]), 2)
        self.assertRegex(meta["stack_trace"][0], r'^  File ".*/handler\.py", line \d+, in handler\n    deep\(\)\n$')
        self.assertRegex(meta["stack_trace"][1], r"in deep\n    raise Broken\('no luck: ü'\)\n$")

    def test_exception_of_a_coroutine_has_no_frames_of_asyncio(self):
        source = "async def handler(event, context):\n    if event != 'again': raise OSError(2, 'gone')\n    return 'well'\n"
        with Shim({"handler.py": source}) as shim:
            _, meta, _ = shim.ready().invoke()
            self.assertEqual((meta["error_type"], meta["error_message"]), ("FileNotFoundError", "[Errno 2] gone"))
            self.assertEqual(len(meta["stack_trace"]), 1)
            self.assertEqual(shim.invoke("again")[2], "well")

    def test_exceptions_beside_exception(self):
        self.check_raises("raise KeyboardInterrupt", "KeyboardInterrupt", "^$")
        self.check_raises("raise GeneratorExit('x')", "GeneratorExit", "^x$")
        self.check_raises("raise type('Own', (BaseException,), {})", "Own", "^$")

    def test_memory_and_recursion(self):
        self.check_raises("return 'x' * (1 << 62)", "MemoryError", "^$")
        meta = self.check_raises("def f(): f()\nf()", "RecursionError", "maximum recursion depth")
        self.assertEqual(len(meta["stack_trace"]), 65)
        self.assertRegex(meta["stack_trace"][32], r"… \d+ frames left out …")

    def test_wrong_number_of_arguments(self):
        source = "def handler(event):\n    return 1\n"
        with Shim({"handler.py": source}) as shim:
            _, meta, _ = shim.ready().invoke()
            self.assertEqual((meta["error_type"], meta["stack_trace"]), ("TypeError", []))

    def test_exceptions_that_do_not_want_to_be_told(self):
        header = (
            "class A(Exception):\n    def __str__(self): raise self\n"
            "class B(Exception):\n    def __str__(self): return 3\n"
            "class C(Exception):\n    def __str__(self):\n        import sys; sys.exit(1)\n"
            "class S(str):\n    def __len__(self): raise KeyError\n    def __getitem__(self, i): raise KeyError\n"
            "class D(Exception):\n    def __str__(self): return S('plain')\n"
        )
        self.check_raises("raise A", "A", "could not be had: its __str__ raised A", header=header)
        self.check_raises("raise B", "B", "could not be had: its __str__ raised TypeError", header=header)
        self.check_raises("raise C", "C", "could not be had: its __str__ raised SystemExit", header=header)
        self.check_raises("raise D", "D", "plain", header=header)

    def test_name_of_a_class_cannot_pass_as_the_platforms_word(self):
        self.check_raises("raise type('Sandbox.Failure', (Exception,), {})('x')", "Failure", "x")
        self.check_raises("raise type('X' * 100_000, (Exception,), {})('x')", "X" * 127 + "…", "x")
        self.check_raises("raise type('Sandbox.', (Exception,), {})('x')", "Exception", "x")

    def test_huge_texts_are_cut(self):
        meta = self.check_raises("raise ValueError('x' * 10_000_000)", "ValueError", "^x+…$")
        self.assertEqual(len(meta["error_message"]), 32 * 1024)
        for mark in ("\\0", "\\U0001F980", "\\ud800", '"'):
            with self.subTest(mark):
                self.check_raises("raise ValueError('%s' * 10_000_000)" % mark, "ValueError", "^")

    def test_worst_trace_fits_in_a_frame(self):
        body = (
            "name = '\\1' * 5000\n"
            "source = 'def f(n):\\n    if n: f(n - 1)\\n    else: raise ValueError(chr(1) * 100_000)'\n"
            "space = {}\nexec(compile(source, name, 'exec'), space)\nspace['f'](200)"
        )
        self.check_raises(body, "ValueError", "^\x01+…$")

    def test_source_that_would_block_is_not_read(self):
        body = "import os, tempfile\npath = tempfile.mkdtemp() + '/fifo'\nos.mkfifo(path)\nexec(compile('1 / 0', path, 'exec'))"
        self.check_raises(body, "ZeroDivisionError", "division by zero")

    def test_answers_that_are_not_json(self):
        for body, why in [
            ("return float('nan')", "Out of range float"),
            ("return [float('inf')]", "Out of range float"),
            ("return {1, 2}", "Object of type set is not JSON serializable"),
            ("return b'x'", "Object of type bytes"),
            ("return {(1,): 2}", "keys must be str"),
            ("x = []\nx.append(x)\nreturn x", "nested too deeply, or contains itself"),
            ("x = []\nfor _ in range(100_000): x = [x]\nreturn x", "nested too deeply"),
            ("class D(dict):\n    def items(self): raise SystemExit(3)\nreturn D(a=1)", "not JSON: 3$"),
        ]:
            with self.subTest(body):
                self.check_raises(body, "Runtime.MarshalError", why)

    def test_events_that_are_not_json(self):
        for raw, why in [
            (b"{", "not usable JSON: Expecting property name"),
            (b"nope", "not usable JSON: Expecting value"),
            (b"1 2", "not usable JSON: Extra data"),
            (b"   ", "not usable JSON"),
            (b"[NaN]", "not usable JSON: NaN is not JSON"),
            (b'"\xff"', "not usable JSON: .*utf-8"),
            (b"[" * 200_000 + b"]" * 200_000, "nested too deeply"),
        ]:
            with self.subTest(raw[:4]):
                self.check_raises("return 1", "Runtime.UnmarshalError", why, raw=raw)

    def test_answer_over_the_limit(self):
        body = "return 'x' * %d" % (MAX_ANSWER_BYTES - 1)
        self.check_raises(body, "Function.ResponseSizeTooLarge", "has 6291457 bytes as JSON; the most is 6291456")
        self.check_raises("return 'ü' * %d" % (MAX_ANSWER_BYTES // 2), "Function.ResponseSizeTooLarge", "6291458")


class Contexts(Case):
    def test_context_has_what_aws_has(self):
        body = (
            "c = context\n"
            "return [c.aws_request_id, c.function_name, c.function_version, c.invoked_function_arn,\n"
            "  c.memory_limit_in_mb, c.log_group_name, c.log_stream_name, c.client_context,\n"
            "  c.identity.cognito_identity_id, c.identity.cognito_identity_pool_id]"
        )
        arn = "arn:aws:lambda:local:acme:function:hello:7"
        expected = ["i-1", "hello", "7", arn, "256", "/lambent/hello", "sandbox-1", None, None, None]
        self.check_gives(body, expected)

    def test_context_has_what_is_ours(self):
        body = "return [context.event_id, context.trigger, context.attempt, context.project]"
        self.check_gives(body, ["e-1", "on-file", 3, "acme"], event_id="e-1", trigger="on-file", attempt=3)
        self.check_gives(body, [None, None, 1, "acme"])

    def test_remaining_time_counts_down_to_zero(self):
        with Shim(handler("return context.get_remaining_time_in_millis()")) as shim:
            shim.ready()
            soon = int(time.time() * 1000) + 50_000
            left = shim.invoke(deadline_ms=soon)[2]
            self.assertIsInstance(left, int)
            self.assertTrue(0 < left <= 50_000, left)
            self.assertEqual(shim.invoke(deadline_ms=1)[2], 0)

    def test_client_context(self):
        body = "c = context.client_context\nreturn [c.custom, c.env, c.client.app_title, c.client.installation_id]"
        sent = {"custom": {"a": 1}, "env": {"b": "c"}, "client": {"app_title": "t"}}
        self.check_gives(body, [{"a": 1}, {"b": "c"}, "t", None], client_context=sent)

    def test_context_is_new_for_each_call_and_open_to_additions(self):
        with Shim(handler("old = hasattr(context, 'mine')\ncontext.mine = 1\nrepr(context)\nreturn old")) as shim:
            shim.ready()
            self.assertEqual([shim.invoke()[2], shim.invoke()[2]], [False, False])

    def test_trace_is_in_the_environment_for_its_call_only(self):
        with Shim(handler("import os\nreturn os.environ.get('_X_AMZN_TRACE_ID')")) as shim:
            shim.ready()
            self.assertEqual([shim.invoke(trace="Root=1")[2], shim.invoke()[2]], ["Root=1", None])


class Output(Case):
    def test_output_is_in_the_pipe_before_the_answer(self):
        body = "import sys\nprint('line')\nprint('rest', end='')\nprint('err', end='', file=sys.stderr)\nreturn 1"
        with Shim(handler(body)) as shim:
            shim.ready().invoke()
            self.assertEqual(shim.output(100), "line\nrest")
            self.assertEqual(os.read(shim.process.stderr.fileno(), 100), b"err")

    def test_output_is_in_the_pipe_before_an_error(self):
        with Shim(handler("print('rest', end='')\nraise ValueError")) as shim:
            shim.ready().invoke()
            self.assertEqual(shim.output(100), "rest")

    def test_what_destructors_print_is_of_their_call(self):
        header = "class Loud:\n    def __del__(self): print('gone')\n"
        with Shim(handler("x = Loud()\nreturn 1", header)) as shim:
            shim.ready().invoke()
            self.assertEqual(shim.output(100), "gone\n")

    def test_what_destructors_print_is_of_their_call_when_it_failed(self):
        header = "class Loud:\n    def __del__(self): print('gone')\n"
        with Shim(handler("x = Loud()\ncontext.y = Loud()\nraise ValueError", header)) as shim:
            shim.ready().invoke()
            self.assertEqual(shim.output(100), "gone\ngone\n")

    def test_text_without_a_form_in_utf8_is_escaped(self):
        with Shim(handler("print('ü \\ud800')")) as shim:
            kind, meta, _ = shim.ready().invoke()
            self.assertEqual(kind, RESPONSE, meta)
            self.assertEqual(shim.output(100), "ü \\ud800\n")

    def test_closed_or_replaced_streams_do_not_break_the_protocol(self):
        for body in [
            "import sys; sys.stdout.close(); sys.stderr.close(); return 1",
            "import sys; sys.stdout = sys.stderr = None; return 1",
            "import sys; sys.stdout = object(); return 1",
            "import sys\nclass Out:\n    def flush(self): raise SystemExit(3)\nsys.stdout = Out(); return 1",
            "import os; os.close(1); os.close(2); return 1",
            "import sys; del sys.stdout; return 1",
        ]:
            with self.subTest(body), Shim(handler(body)) as shim:
                shim.ready()
                for _ in range(2):
                    answer = shim.invoke()
                    self.assertIsNotNone(answer)
                self.assertEqual(shim.end()[0], 0)

    def test_replaced_stream_is_flushed_and_so_is_the_first(self):
        body = "import io, sys\nprint('first', end='')\nsys.stdout = io.StringIO()\nprint('second')\nreturn 1"
        with Shim(handler(body)) as shim:
            shim.ready().invoke()
            self.assertEqual(shim.output(100), "first")


class Ends(Case):
    def check_ends(self, body, status, out="", err=""):
        with Shim(handler(body)) as shim:
            self.assertIsNone(shim.ready().invoke())
            self.assertEqual(shim.exit(), (status, out, err))

    def test_exit_ends_the_process_with_its_status(self):
        self.check_ends("import sys\nprint('bye', end='')\nsys.exit(3)", 3, "bye")
        self.check_ends("exit()", 0)
        self.check_ends("raise SystemExit('no more')", 1, err="no more\n")
        self.check_ends("import sys; sys.exit(-1)", 255)
        self.check_ends("import os; os._exit(9)", 9)

    def test_exit_in_a_coroutine(self):
        with Shim({"handler.py": "import sys\nasync def handler(e, c): sys.exit(4)\n"}) as shim:
            self.assertIsNone(shim.ready().invoke())
            self.assertEqual(shim.exit()[0], 4)

    def test_exit_does_not_wait_for_threads(self):
        self.check_ends("import sys, threading\nthreading.Thread(target=threading.Event().wait).start()\nsys.exit(5)", 5)

    def test_crash_is_the_end_of_the_channel(self):
        self.check_ends("import os; os.abort()", -6)

    def test_program_that_is_executed_does_not_hold_the_channel(self):
        body = "import os\nos.execv('/bin/sh', ['sh', '-c', 'ls /proc/self/fd | grep -c ^3$; exit 0'])"
        with Shim(handler(body)) as shim:
            self.assertIsNone(shim.ready().invoke())

    def test_closed_channel_ends_the_shim(self):
        with Shim(handler("import os; os.close(3); return 1")) as shim:
            self.assertIsNone(shim.ready().invoke())
            self.assertNotEqual(shim.exit()[0], 0)


class Forks(Case):
    def check_answers_once(self, body, kind):
        with Shim(handler(body, "import os, sys")) as shim:
            shim.ready()
            for number in range(3):
                name = "i-%d" % number
                told, meta, _ = shim.invoke(invocation=name)
                self.assertEqual((told, meta["invocation"]), (kind, name), meta)
            status, _, _ = shim.end()
            self.assertEqual(status, 0)
            shim.socket.settimeout(30)
            self.assertIsNone(shim.receive())  # nothing more came, from no process

    def test_child_that_returns_is_not_heard(self):
        self.check_answers_once("pid = os.fork()\nif pid: os.waitpid(pid, 0)\nreturn pid", RESPONSE)

    def test_two_forks_make_one_answer(self):
        self.check_answers_once("os.fork()\nos.fork()\nreturn 1", RESPONSE)

    def test_child_that_raises_is_not_heard(self):
        self.check_answers_once("pid = os.fork()\nif pid: os.waitpid(pid, 0)\nraise ValueError", ERROR)

    def test_child_that_raises_alone_is_not_heard(self):
        self.check_answers_once("pid = os.fork()\nif not pid: raise ValueError\nos.waitpid(pid, 0)\nreturn 1", RESPONSE)

    def test_child_made_behind_pythons_back_is_not_heard(self):
        body = "import ctypes\npid = ctypes.CDLL(None).fork()\nif pid: os.waitpid(pid, 0)\nreturn 1"
        self.check_answers_once(body, RESPONSE)

    def test_exit_of_a_child_is_its_own(self):
        body = "pid = os.fork()\nif not pid: sys.exit(7)\nreturn os.waitpid(pid, 0)[1] >> 8"
        with Shim(handler(body, "import os, sys")) as shim:
            self.assertEqual(shim.ready().invoke()[2], 7)

    def test_processes_of_the_standard_library_work(self):
        body = (
            "import multiprocessing\n"
            "with multiprocessing.get_context('fork').Pool(2) as pool: got = pool.map(abs, [-1, -2])\n"
            "return got"
        )
        self.check_gives(body, [1, 2])


if __name__ == "__main__":
    unittest.main()
