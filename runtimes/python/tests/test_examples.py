"""The examples that need no sandbox, run by the real shim."""

import base64
import os
import subprocess
import sys
import tempfile
import unittest
import zipfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import sandbox
from sandbox import ERROR, INIT_ERROR, RESPONSE, Shim

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "examples")


def package(name):
    folder = os.path.join(EXAMPLES, name)
    files = {}
    for file in os.listdir(folder):
        if file.endswith(".py"):
            with open(os.path.join(folder, file), "rb") as source:
                files[file] = source.read()
    return files


class Examples(unittest.TestCase):
    def call(self, name, event, handler="", **call):
        with Shim(package(name), handler=handler) as shim:
            return shim.ready().invoke(event, **call)

    def test_hello(self):
        self.assertEqual(self.call("hello", {"name": "you"})[2], {"hello": "you"})
        self.assertEqual(self.call("hello", {})[2], {"hello": "world"})

    def test_echo(self):
        got = self.call("echo", {"path": "/a"}, event_id="e-1", trigger="t", attempt=2)[2]
        self.assertEqual(got["event"], {"path": "/a"})
        self.assertEqual((got["context"]["event_id"], got["context"]["attempt"]), ("e-1", 2))
        self.assertIn("LAMBENT_PROJECT", got["environment"])

    def test_csv_sum_of_a_call_and_of_an_event(self):
        csv = "name,amount\na,0.10\nb,0.20\nc,\nd,nan\n\n"
        expected = {"column": "amount", "sum": "0.30", "rows": 2, "skipped": 2}
        self.assertEqual(self.call("csv_sum", {"csv": csv})[2], expected)
        event = {"specversion": "1.0", "type": "file.created", "data": {"content": csv}}
        self.assertEqual(self.call("csv_sum", event)[2], expected)
        kind, meta, _ = self.call("csv_sum", {"csv": csv, "column": "x"})
        self.assertEqual((kind, meta["error_type"]), (ERROR, "ValueError"))

    def test_thumbnails(self):
        with tempfile.TemporaryDirectory() as out:
            built = subprocess.run(
                [os.path.join(EXAMPLES, "thumbnails", "build.sh"), out],
                env=dict(os.environ, PYTHON=sandbox.PYTHON, PIP_RETRIES="0", PIP_TIMEOUT="10"),
                capture_output=True,
                text=True,
            )
            if built.returncode:
                self.skipTest("Pillow cannot be had here: " + built.stderr.strip()[-200:])
            with zipfile.ZipFile(os.path.join(out, "thumbnails.zip")) as archive:
                files = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
            # An uncompressed bitmap, 64 x 32, made by hand: the test itself has no Pillow.
            pixels = b"\x10\x80\xf0" * (64 * 32)
            header = b"BM" + (54 + len(pixels)).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
            header += (40).to_bytes(4, "little") + (64).to_bytes(4, "little") + (32).to_bytes(4, "little")
            header += (1).to_bytes(2, "little") + (24).to_bytes(2, "little") + bytes(24)
            image = base64.b64encode(header + pixels).decode()
            with Shim(files) as shim:
                kind, meta, got = shim.ready().invoke({"image": image, "width": 16, "height": 16})
                self.assertEqual(kind, RESPONSE, meta)
                self.assertEqual((got["size"], got["original_size"], got["format"]), ([16, 8], [64, 32], "jpeg"))
                self.assertEqual(base64.b64decode(got["image"])[:2], b"\xff\xd8")


class Hostile(unittest.TestCase):
    def shim(self, name):
        shim = Shim(package("hostile"), handler=name + ".handler")
        self.addCleanup(shim.__exit__)
        return shim.ready()

    def test_bad_answers_are_told(self):
        shim = self.shim("bad_answer")
        for how in ("nan", "infinity", "set", "bytes", "keys", "circle", "deep"):
            kind, meta, _ = shim.invoke({"how": how})
            self.assertEqual((kind, meta["error_type"]), (ERROR, "Runtime.MarshalError"), how)

    def test_huge_answer_is_told(self):
        shim = self.shim("huge_answer")
        self.assertEqual(shim.invoke({})[1]["error_type"], "Function.ResponseSizeTooLarge")
        self.assertEqual(shim.invoke({"bytes": 6291456})[0], RESPONSE)

    def test_leaving_without_an_answer_closes_the_channel(self):
        for how, status in (("exec", 0), ("exit", 0), ("exit_status", 42), ("kill", -9), ("raise", 3)):
            with self.subTest(how):
                shim = self.shim("close_channel")
                self.assertIsNone(shim.invoke({"how": how}))
                self.assertEqual(shim.exit()[:2], (status, "leaving by %s\n" % how))
        for how in ("close", "shutdown"):
            with self.subTest(how):
                self.assertIsNone(self.shim("close_channel").invoke({"how": how}))

    def test_forged_frames_are_what_they_say(self):
        shim = self.shim("frame_garbage")
        self.assertEqual(shim.invoke({"how": "double"})[2], "first answer")
        self.assertEqual(shim.receive()[2], b'"second answer"')

    def test_forged_log_is_bytes_as_written(self):
        shim = self.shim("forged_log")
        self.assertEqual(shim.invoke({})[2]["lines"], 14)

    def test_what_would_hurt_a_machine_stays_away_from_it(self):
        for name in ("kill_all", "mount_tricks", "fork_bomb", "rewrite_own_code", "write_proc_sys"):
            with self.subTest(name), Shim(package("hostile"), handler=name + ".handler") as shim:
                kind, meta, _ = shim.init()
                if shim.process.pid <= 256:
                    self.skipTest("this machine looks like a sandbox itself")
                self.assertEqual((kind, meta["error_type"]), (INIT_ERROR, "Runtime.InitError"))
                self.assertIn("this is not a sandbox", meta["error_message"])


if __name__ == "__main__":
    unittest.main()
