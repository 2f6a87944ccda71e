//! Writes zip archives byte by byte, with every field open to lies that a zip library would not
//! write.

use std::io::Write;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

pub(crate) const STORED: u16 = 0;
pub(crate) const DEFLATE: u16 = 8;
pub(crate) const FLAG_DESCRIPTOR: u16 = 1 << 3;

/// One entry: what its local header says, its bytes, and what the central directory says.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) local: Header,
    pub(crate) packed: Vec<u8>,
    pub(crate) descriptor: Vec<u8>,
    pub(crate) central: Header,
    /// The upper half is the Unix mode.
    pub(crate) attributes: u32,
    pub(crate) disk: u16,
    /// Instead of where the local header really is.
    pub(crate) offset: Option<u32>,
}

#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) name: Vec<u8>,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc: u32,
    pub(crate) packed_bytes: u32,
    pub(crate) unpacked_bytes: u32,
    pub(crate) extra: Vec<u8>,
}

impl Item {
    pub(crate) fn stored(name: impl AsRef<[u8]>, contents: &[u8]) -> Self {
        Self::new(name.as_ref(), STORED, contents.to_vec(), contents)
    }

    pub(crate) fn deflated(name: impl AsRef<[u8]>, contents: &[u8]) -> Self {
        Self::new(name.as_ref(), DEFLATE, deflate(contents), contents)
    }

    fn new(name: &[u8], method: u16, packed: Vec<u8>, contents: &[u8]) -> Self {
        let header = Header {
            name: name.to_vec(),
            flags: 0,
            method,
            crc: crc(contents),
            packed_bytes: packed.len().try_into().unwrap(),
            unpacked_bytes: contents.len().try_into().unwrap(),
            extra: Vec::new(),
        };
        Self {
            local: header.clone(),
            packed,
            descriptor: Vec::new(),
            central: header,
            attributes: 0o100_644 << 16,
            disk: 0,
            offset: None,
        }
    }

    pub(crate) fn mode(mut self, mode: u32) -> Self {
        self.attributes = mode << 16;
        self
    }

    /// The same lie in both headers.
    pub(crate) fn both(mut self, change: impl Fn(&mut Header)) -> Self {
        change(&mut self.local);
        change(&mut self.central);
        self
    }

    pub(crate) fn local(mut self, change: impl Fn(&mut Header)) -> Self {
        change(&mut self.local);
        self
    }

    pub(crate) fn central(mut self, change: impl Fn(&mut Header)) -> Self {
        change(&mut self.central);
        self
    }

    pub(crate) fn at(mut self, offset: u32) -> Self {
        self.offset = Some(offset);
        self
    }

    /// As written by a program that cannot seek back: nothing told before the data.
    pub(crate) fn streamed(mut self, signed: bool, wide: bool) -> Self {
        let Header { crc, packed_bytes, unpacked_bytes, .. } = self.central;
        let mut descriptor = if signed { b"PK\x07\x08".to_vec() } else { Vec::new() };
        put32(&mut descriptor, crc);
        for size in [packed_bytes, unpacked_bytes] {
            put32(&mut descriptor, size);
            if wide {
                put32(&mut descriptor, 0);
            }
        }
        self.descriptor = descriptor;
        self.both(|header| header.flags |= FLAG_DESCRIPTOR).local(|header| {
            (header.crc, header.packed_bytes, header.unpacked_bytes) = (0, 0, 0);
        })
    }

    pub(crate) fn local_bytes(&self) -> Vec<u8> {
        let mut out = b"PK\x03\x04\x14\x00".to_vec();
        self.local.put_common(&mut out);
        out.extend(&self.local.name);
        out.extend(&self.local.extra);
        out.extend(&self.packed);
        out.extend(&self.descriptor);
        out
    }

    fn central_bytes(&self, offset: u32) -> Vec<u8> {
        // Made by Unix, version 2.0.
        let mut out = b"PK\x01\x02\x14\x03\x14\x00".to_vec();
        self.central.put_common(&mut out);
        put16(&mut out, 0);
        put16(&mut out, self.disk);
        put16(&mut out, 0);
        put32(&mut out, self.attributes);
        put32(&mut out, self.offset.unwrap_or(offset));
        out.extend(&self.central.name);
        out.extend(&self.central.extra);
        out
    }
}

impl Header {
    fn put_common(&self, out: &mut Vec<u8>) {
        put16(out, self.flags);
        put16(out, self.method);
        // Midnight of 2020-01-01.
        put32(out, 0x5021_0000);
        put32(out, self.crc);
        put32(out, self.packed_bytes);
        put32(out, self.unpacked_bytes);
        put16(out, self.name.len().try_into().unwrap());
        put16(out, self.extra.len().try_into().unwrap());
    }
}

/// Whole archives, with the end records open to lies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Archive {
    pub(crate) items: Vec<Item>,
    /// Only in the central directory.
    pub(crate) ghosts: Vec<Item>,
    /// Between the last entry and the directory.
    pub(crate) gap: Vec<u8>,
    pub(crate) comment: Vec<u8>,
    pub(crate) comment_bytes: Option<u16>,
    pub(crate) entries: Option<u16>,
    pub(crate) directory_bytes: Option<u32>,
    pub(crate) directory_offset: Option<u32>,
    pub(crate) disk: u16,
    /// Writes the zip64 end records, with this many entries.
    pub(crate) zip64_entries: Option<u64>,
}

impl Archive {
    pub(crate) fn of(items: impl IntoIterator<Item = Item>) -> Self {
        Self { items: items.into_iter().collect(), ..Self::default() }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut directory = Vec::new();
        for item in &self.items {
            directory.extend(item.central_bytes(length(&out)));
            out.extend(item.local_bytes());
        }
        for ghost in &self.ghosts {
            directory.extend(ghost.central_bytes(0));
        }
        out.extend(&self.gap);
        let (offset, count) = (length(&out), self.items.len() + self.ghosts.len());
        let directory_bytes = length(&directory);
        out.extend(directory);
        if let Some(entries) = self.zip64_entries {
            let at = out.len() as u64;
            out.extend(b"PK\x06\x06");
            put64(&mut out, 44);
            out.extend(b"\x2d\x03\x2d\x00");
            put64(&mut out, 0);
            put64(&mut out, entries);
            put64(&mut out, entries);
            put64(&mut out, directory_bytes.into());
            put64(&mut out, offset.into());
            out.extend(b"PK\x06\x07");
            put32(&mut out, 0);
            put64(&mut out, at);
            put32(&mut out, 1);
        }
        out.extend(b"PK\x05\x06");
        put16(&mut out, self.disk);
        put16(&mut out, self.disk);
        let entries = self.entries.unwrap_or(u16::try_from(count).unwrap_or(u16::MAX));
        put16(&mut out, entries);
        put16(&mut out, entries);
        put32(&mut out, self.directory_bytes.unwrap_or(directory_bytes));
        put32(&mut out, self.directory_offset.unwrap_or(offset));
        let comment_bytes = u16::try_from(self.comment.len()).unwrap();
        put16(&mut out, self.comment_bytes.unwrap_or(comment_bytes));
        out.extend(&self.comment);
        out
    }
}

pub(crate) fn archive(items: impl IntoIterator<Item = Item>) -> Vec<u8> {
    Archive::of(items).bytes()
}

pub(crate) fn extra(id: u16, contents: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put16(&mut out, id);
    put16(&mut out, contents.len().try_into().unwrap());
    out.extend(contents);
    out
}

pub(crate) fn deflate(contents: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(contents).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn crc(contents: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(contents);
    crc.sum()
}

fn length(bytes: &[u8]) -> u32 {
    bytes.len().try_into().unwrap()
}

fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend(value.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_le_bytes());
}
