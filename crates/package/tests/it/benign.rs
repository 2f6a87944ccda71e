//! Archives as people make them, with the programs that they use. What is unpacked must equal what
//! went in, and what an independent reader sees.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::Path;
use std::process::Command;

use package::{Durability, Kind, Limits, Summary, inspect, unpack};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::raw_zip::{Archive, FLAG_DESCRIPTOR, Item, archive, extra};
use crate::tree::{self, Tree, tree};

/// Unpacks a package that both callers must accept, and compares with the other reader.
fn accepted(bytes: &[u8], file_name: &str) -> (Summary, Tree) {
    let limits = Limits::default();
    let inspected = inspect(bytes, Some(file_name), &limits).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("unpacked");
    let unpacked = unpack(bytes, Some(file_name), &limits, &into, Durability::UntilReboot).unwrap();
    assert_eq!(inspected, unpacked, "both callers see the same");
    let tree = tree::read(&into);
    if inspected.kind == Kind::Zip {
        assert_same_as_other_reader(bytes, &tree);
    }
    (inspected, tree)
}

fn assert_same_as_other_reader(bytes: &[u8], tree: &Tree) {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut files = 0;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        if entry.is_dir() {
            continue;
        }
        files += 1;
        let name = str::from_utf8(entry.name_raw()).unwrap().to_owned();
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).unwrap();
        assert_eq!(tree[Path::new(&name)].1.as_ref(), Some(&contents), "{name}");
    }
    assert_eq!(files, tree.values().filter(|(_, contents)| contents.is_some()).count());
}

#[test]
fn files_folders_and_modes_arrive_as_they_should() {
    let bytes = archive([
        Item::stored("handler.py", b"code"),
        Item::stored("bin/", b"").mode(0o040_700),
        Item::deflated("bin/tool", b"#!/bin/sh\n").mode(0o100_711),
        Item::stored("bin/setuid", b"s").mode(0o106_755),
        Item::stored("bin/sticky", b"t").mode(0o101_644),
        Item::stored("closed", b"c").mode(0o100_000),
        Item::stored("no-mode", b"n").mode(0),
        Item::stored("a/b/c/empty", b""),
        Item::stored("größe/日本 😀.txt", b"utf-8"),
    ]);
    let (summary, unpacked) = accepted(&bytes, "x.zip");
    let expected = tree([
        ("handler.py", 0o644, Some(&b"code"[..])),
        ("bin", 0o755, None),
        ("bin/tool", 0o755, Some(b"#!/bin/sh\n")),
        ("bin/setuid", 0o755, Some(b"s")),
        ("bin/sticky", 0o644, Some(b"t")),
        ("closed", 0o644, Some(b"c")),
        ("no-mode", 0o644, Some(b"n")),
        ("a", 0o755, None),
        ("a/b", 0o755, None),
        ("a/b/c", 0o755, None),
        ("a/b/c/empty", 0o644, Some(b"")),
        ("größe", 0o755, None),
        ("größe/日本 😀.txt", 0o644, Some("utf-8".as_bytes())),
    ]);
    assert_eq!(unpacked, expected);
    assert_eq!((summary.kind, summary.entries), (Kind::Zip, 9));
    assert_eq!(summary.unpacked_bytes, 4 + 10 + 1 + 1 + 1 + 1 + 5);
    assert_eq!(summary.likely_module(), Some("handler"));
}

#[test]
fn data_descriptors_of_every_shape_are_read() {
    for (signed, wide) in [(false, false), (true, false), (false, true), (true, true)] {
        let bytes = archive([
            Item::deflated("a.py", b"aaaaaaaaaa").streamed(signed, wide),
            Item::stored("b.py", b"b").streamed(signed, wide),
            Item::stored("d/", b"").streamed(signed, wide),
        ]);
        let (_, unpacked) = accepted(&bytes, "x.zip");
        assert_eq!(unpacked.len(), 3);
    }
    // The flag is set, but the header tells all, and no descriptor follows.
    let told = Item::stored("a.py", b"a").both(|header| header.flags |= FLAG_DESCRIPTOR);
    accepted(&archive([told]), "x.zip");
}

#[test]
fn comments_extra_fields_and_any_order_of_the_directory_are_read() {
    // Times and ids as Info-ZIP and macOS write them, and padding as alignment tools do.
    let mut fields = extra(0x5455, &[1, 0, 0, 0, 0]);
    fields.extend(extra(0x7875, &[1, 4, 0xe8, 3, 0, 0, 4, 0xe8, 3, 0, 0]));
    let padded = [&fields[..], &[0; 3]].concat();
    let mut commented = Archive::of([
        Item::stored("a.py", b"a").central(|header| header.extra = fields.clone()),
        Item::deflated("b.py", b"b").local(|header| header.extra = padded.clone()),
    ]);
    commented.comment = b"0123456789012345678901234567890123456789".to_vec();
    accepted(&commented.bytes(), "x.zip");

    // Stored archives in an archive hold end records of their own.
    let wheel = archive([Item::stored("inner.py", b"inner")]);
    accepted(&archive([Item::stored("dep.whl", &wheel), Item::stored("a.py", b"a")]), "x.zip");

    let (a, b) = (Item::stored("a.py", b"a"), Item::stored("b.py", b"b"));
    let length = u32::try_from(a.local_bytes().len()).unwrap();
    let mut swapped = Archive::of([a.clone()]);
    swapped.gap = b.local_bytes();
    swapped.items[0].offset = Some(0);
    swapped.ghosts = vec![b.at(length)];
    accepted(&swapped.bytes(), "x.zip");
}

#[test]
fn zip64_records_are_read_even_where_they_are_not_needed() {
    let items = [Item::stored("a.py", b"a"), Item::stored("b.py", b"b")];
    for entries in [None, Some(u16::MAX)] {
        let wide = Archive { zip64_entries: Some(2), entries, ..Archive::of(items.clone()) };
        accepted(&wide.bytes(), "x.zip");
    }
}

#[test]
fn archives_by_the_zip_crate_are_read() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let deflated = SimpleFileOptions::default().unix_permissions(0o755);
    writer.add_directory("pkg", stored).unwrap();
    writer.start_file("pkg/__init__.py", stored).unwrap();
    writer.start_file("pkg/large.bin", deflated.large_file(true)).unwrap();
    let contents: Vec<u8> =
        (0..300_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
    writer.write_all(&contents).unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    let (summary, unpacked) = accepted(&bytes, "x.zip");
    assert_eq!(unpacked[Path::new("pkg/large.bin")], (0o755, Some(contents)));
    assert!(summary.has_python_module("pkg"));
}

/// A tree with what packages have: empty files, executables, names beyond ASCII, bytes that do not
/// compress.
fn sample_tree(root: &Path) -> Tree {
    use std::os::unix::fs::PermissionsExt;
    let noise: Vec<u8> =
        (0..100_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    for folder in ["pkg/sub", "empty", "größe"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for (name, contents, mode) in [
        ("handler.py", &b"def handler(event, context):\n    return event\n"[..], 0o644),
        ("pkg/__init__.py", b"", 0o644),
        ("pkg/sub/noise.bin", &noise, 0o644),
        ("pkg/tool", b"#!/bin/sh\necho\n", 0o755),
        ("größe/日本.txt", "日本".as_bytes(), 0o644),
    ] {
        let path = root.join(name);
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    for folder in ["pkg", "pkg/sub", "empty", "größe"] {
        fs::set_permissions(root.join(folder), fs::Permissions::from_mode(0o755)).unwrap();
    }
    tree::read(root)
}

/// Runs a packer in the sample tree; `None` where it is not installed.
fn packed_by(program: &str, arguments: &[&str]) -> Option<(Vec<u8>, Tree)> {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::create_dir(&source).unwrap();
    let expected = sample_tree(&source);
    let output = match Command::new(program).args(arguments).current_dir(&source).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        output => output.unwrap(),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // To its standard output where it cannot seek back, else to a file.
    let file = folder.path().join("out.zip");
    let bytes = if file.exists() { fs::read(file).unwrap() } else { output.stdout };
    Some((bytes, expected))
}

const PYTHON_FILES: &str = r#"
import os, sys, zipfile
files = sorted(os.path.join(d, n) for d, ds, ns in os.walk(".") for n in ds + ns)
"#;

#[test]
fn archives_by_python_are_read() {
    let to_file = format!(
        "{PYTHON_FILES}
with zipfile.ZipFile('../out.zip', 'w', zipfile.ZIP_DEFLATED) as z:
    for f in files: z.write(f)
"
    );
    let to_pipe = format!(
        "{PYTHON_FILES}
with zipfile.ZipFile(sys.stdout.buffer, 'w', zipfile.ZIP_DEFLATED) as z:
    for f in files: z.write(f)
"
    );
    for script in [to_file, to_pipe] {
        let Some((bytes, expected)) = packed_by("/usr/bin/python3", &["-I", "-c", &script]) else {
            return;
        };
        assert_eq!(accepted(&bytes, "x.zip").1, expected);
    }
}

#[test]
fn archives_by_python_with_names_only_are_read() {
    let script = "
import zipfile
with zipfile.ZipFile('../out.zip', 'w') as z:
    z.writestr('handler.py', 'code'); z.writestr('d/', ''); z.writestr('d/größe', b'')
    with z.open('d/wide', 'w', force_zip64=True) as f: f.write(b'wide')
";
    let Some((bytes, _)) = packed_by("/usr/bin/python3", &["-I", "-c", script]) else { return };
    let (_, unpacked) = accepted(&bytes, "x.zip");
    assert_eq!(unpacked[Path::new("d/wide")], (0o644, Some(b"wide".to_vec())));
}

#[test]
fn archives_by_info_zip_are_read() {
    for arguments in [
        &["-qr", "../out.zip", "."][..],
        &["-qr", "-", "."],
        &["-qr0", "../out.zip", "."],
        &["-qrX9", "../out.zip", "."],
    ] {
        let Some((bytes, expected)) = packed_by("zip", arguments) else { return };
        assert_eq!(accepted(&bytes, "x.zip").1, expected, "{arguments:?}");
    }
}

#[test]
fn source_files_are_unpacked_under_their_own_name() {
    let source = "def handler(event, context):\n    return 'größe'\n".as_bytes();
    let (summary, unpacked) = accepted(source, "hello.py");
    assert_eq!(unpacked, tree([("hello.py", 0o644, Some(source))]));
    assert_eq!(summary.kind, Kind::PythonSource);
    assert_eq!(summary.likely_module(), Some("hello"));
    assert!(summary.has_python_module("hello"));
}
