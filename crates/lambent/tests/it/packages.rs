//! Packages: dependencies that come in the zip, pure and compiled, work in a sandbox.
//!
//! A wheel with machine code is a folder with a shared object for one minor version of Python, and
//! often a second folder with the libraries that it needs, found by a path relative to itself. One
//! is built here from source where a compiler and Python's headers are; another is borrowed from the
//! interpreter's own modules, so that something compiled is loaded on every machine. Nothing is
//! fetched.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use zip::write::SimpleFileOptions;

use crate::service::Service;

/// The module of a wheel.
const MODULE: &str = r#"
#include <Python.h>
long tally(long, long);
static PyObject *sum(PyObject *self, PyObject *args) {
    long a, b;
    if (!PyArg_ParseTuple(args, "ll", &a, &b)) return NULL;
    return PyLong_FromLong(tally(a, b));
}
static PyMethodDef methods[] = {{"sum", sum, METH_VARARGS, "The sum of two numbers."}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_sum", 0, -1, methods};
PyMODINIT_FUNC PyInit__sum(void) { return PyModule_Create(&module); }
"#;

/// The library that it needs.
const LIBRARY: &str = "long tally(long a, long b) { return a + b; }\n";

/// Uses one dependency of each kind; `{native}` stands for an expression over `native`.
const HANDLER: &str = "
import importlib.resources, sys
import plain.words, layered
from fast import native
def handler(event, context):
    return {
        'native': {native},
        'file': native.__file__,
        'plain': plain.words.greet(event['name']),
        'data': importlib.resources.files('plain').joinpath('data/word.txt').read_text(),
        'layered': [layered.WHERE, layered.__file__],
    }
";

/// The interpreter that the service offers under this name.
struct Python {
    runtime: String,
    /// Where Python.h would be.
    include: PathBuf,
    /// How a compiled module's file name ends.
    suffix: String,
    /// Where the interpreter has its own compiled modules.
    modules: PathBuf,
}

impl Python {
    fn of_the_service(service: &Service) -> Self {
        let workers = service.get("/v1/workers").expect(200).json();
        let ask = "import sys, sysconfig as s
print('python%d.%d' % sys.version_info[:2], s.get_path('include'), s.get_config_var('EXT_SUFFIX'), s.get_config_var('DESTSHARED'), sep='\\n')";
        // The system's is the one that a sandbox has, if both have one version.
        for program in ["/usr/bin/python3", "/usr/local/bin/python3", "python3"] {
            let Ok(answer) = Command::new(program).args(["-I", "-c", ask]).output() else {
                continue;
            };
            let answer = String::from_utf8(answer.stdout).unwrap();
            let [runtime, include, suffix, modules] = answer.lines().collect::<Vec<_>>()[..] else {
                continue;
            };
            if workers.to_string().contains(&format!("\"{runtime}\"")) {
                return Self {
                    runtime: runtime.to_owned(),
                    include: include.into(),
                    suffix: suffix.to_owned(),
                    modules: modules.into(),
                };
            }
        }
        panic!("no interpreter here is one of the service's: {workers}")
    }

    /// Builds the wheel's module and its library into these folders. False without a compiler.
    fn build(&self, folder: &Path) -> bool {
        if !self.include.join("Python.h").exists()
            || Command::new("gcc").arg("-v").output().is_err()
        {
            println!("skipped: a module is compiled only where gcc and Python.h are");
            return false;
        }
        fs::write(folder.join("sum.c"), MODULE).unwrap();
        fs::write(folder.join("tally.c"), LIBRARY).unwrap();
        let compile = |arguments: &[&str]| {
            let mut gcc = Command::new("gcc");
            gcc.current_dir(folder).args(["-shared", "-fPIC", "-O1"]).args(arguments);
            let output = gcc.arg("-I").arg(&self.include).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        compile(&["tally.c", "-o", "libtally-1.so"]);
        let found_by = "-Wl,-rpath,$ORIGIN/../fast.libs";
        compile(&["sum.c", "-o", "_sum.so", "-L.", "-l:libtally-1.so", found_by]);
        true
    }
}

/// A zip of a handler with what it imports: `plain`, which is pure, `layered` in the folder of AWS's
/// layers, and these files of `fast`.
fn package(handler: &str, fast: &[(&str, &[u8])]) -> Vec<u8> {
    let files: [(&str, &[u8]); 6] = [
        ("handler.py", handler.as_bytes()),
        ("plain/__init__.py", b""),
        ("plain/words.py", b"def greet(name):\n    return 'hello ' + name\n"),
        ("plain/data/word.txt", b"a word"),
        ("plain-1.0.dist-info/METADATA", b"Metadata-Version: 2.1\nName: plain\nVersion: 1.0\n"),
        ("python/layered/__init__.py", b"from layered.inner import WHERE\n"),
    ];
    let inner: (&str, &[u8]) = ("python/layered/inner.py", b"WHERE = 'in a layer'\n");
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files.iter().chain([&inner]).chain(fast) {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Deploys it and calls it twice, in a new sandbox and in the same again.
#[track_caller]
fn check(service: &Service, python: &Python, zip: &[u8], native: &Value, file: &str) {
    let settings = [("runtime", python.runtime.as_str())];
    service.upload("native", "native.zip", zip, &settings, &[]).expect(201);
    for name in ["one", "two"] {
        let answer = service.invoke("native", &json!({"name": name})).expect(200).json();
        let expected = json!({
            "native": native,
            "file": file,
            "plain": format!("hello {name}"),
            "data": "a word",
            "layered": ["in a layer", "/var/task/python/layered/__init__.py"],
        });
        assert_eq!(answer, expected);
    }
}

#[test]
fn a_compiled_module_with_a_library_of_its_own_works_from_the_zip() {
    let service = Service::start();
    let python = Python::of_the_service(&service);
    let folder = tempfile::tempdir().unwrap();
    if !python.build(folder.path()) {
        return;
    }
    let module = fs::read(folder.path().join("_sum.so")).unwrap();
    let library = fs::read(folder.path().join("libtally-1.so")).unwrap();
    let name = format!("fast/_sum{}", python.suffix);
    let zip = package(
        &HANDLER.replace("{native}", "native.sum(40, 2)"),
        &[
            ("fast/__init__.py", b"from fast import _sum as native\n"),
            (&name, &module),
            ("fast.libs/libtally-1.so", &library),
        ],
    );
    check(&service, &python, &zip, &json!(42), &format!("/var/task/{name}"));
}

#[test]
fn a_compiled_module_of_the_interpreter_works_from_the_zip_under_another_name() {
    let service = Service::start();
    let python = Python::of_the_service(&service);
    // One that is a file of its own in the builds of distributions.
    let Ok(module) = fs::read(python.modules.join(format!("_json{}", python.suffix))) else {
        println!("skipped: no _json in {}", python.modules.display());
        return;
    };
    // In the layer's folder: that is where a layer has its wheels.
    let name = format!("python/fast/_json{}", python.suffix);
    let zip = package(
        &HANDLER.replace("{native}", "native.encode_basestring_ascii('\\u00e4')"),
        &[("python/fast/__init__.py", b"from fast import _json as native\n"), (&name, &module)],
    );
    check(&service, &python, &zip, &json!("\"\\u00e4\""), &format!("/var/task/{name}"));
}

#[test]
fn a_compiled_module_that_cannot_be_loaded_is_told_by_name() {
    let service = Service::start();
    let python = Python::of_the_service(&service);
    let handler = HANDLER.replace("{native}", "1");
    let settings = [("runtime", python.runtime.as_str())];
    let of_another = "fast/_sum.cpython-32m.so".to_owned();
    let damaged = format!("fast/_sum{}", python.suffix);
    for (name, file) in [("another", &of_another), ("damaged", &damaged)] {
        let init: &[u8] = b"from fast import _sum as native\n";
        let zip = package(&handler, &[("fast/__init__.py", init), (file, b"\x7fELF and no more")]);
        service.upload(name, "native.zip", &zip, &settings, &[]).expect(201);
        let problem = service.invoke(name, &json!({"name": "x"})).expect(502).json();
        assert_eq!(problem["reason"], "Runtime.ImportModuleError", "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("_sum"), "{problem}");
    }
}
