//! The records of the zip format (APPNOTE 6.3.10, sections 4.3 to 4.5), taken apart and not judged.
//!
//! All numbers are little-endian. A reader returns `None` where the bytes end too early or do not
//! begin with the record's signature.

pub(super) const END_SIGNATURE: &[u8; 4] = b"PK\x05\x06";
pub(super) const END_BYTES: usize = 22;
pub(super) const LOCATOR_BYTES: usize = 20;
pub(super) const CENTRAL_SIGNATURE: &[u8; 4] = b"PK\x01\x02";
pub(super) const CENTRAL_BYTES: usize = 46;

const LOCATOR_SIGNATURE: &[u8; 4] = b"PK\x06\x07";
const END64_SIGNATURE: &[u8; 4] = b"PK\x06\x06";
const LOCAL_SIGNATURE: &[u8; 4] = b"PK\x03\x04";
const DESCRIPTOR_SIGNATURE: &[u8; 4] = b"PK\x07\x08";

/// In a 32-bit field: the number did not fit and stands in a zip64 record.
pub(super) const SEE_ZIP64: u32 = u32::MAX;
/// The same in a 16-bit field.
pub(super) const SEE_ZIP64_SHORT: u16 = u16::MAX;

const EXTRA_ZIP64: u16 = 0x0001;
const EXTRA_UNICODE_PATH: u16 = 0x7075;

/// Takes numbers from the front of some bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn bytes(&mut self, count: u16) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count.into())?;
        self.0 = rest;
        Some(taken)
    }

    fn signature(&mut self, expected: &[u8; 4]) -> Option<()> {
        (self.array::<4>()? == *expected).then_some(())
    }
}

/// End of central directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) disk: u16,
    pub(super) directory_disk: u16,
    pub(super) entries_here: u16,
    pub(super) entries: u16,
    pub(super) directory_bytes: u32,
    pub(super) directory_offset: u32,
    pub(super) comment_bytes: u16,
}

impl End {
    pub(super) fn read(mut cursor: Cursor<'_>) -> Option<Self> {
        cursor.signature(END_SIGNATURE)?;
        Some(Self {
            disk: cursor.u16()?,
            directory_disk: cursor.u16()?,
            entries_here: cursor.u16()?,
            entries: cursor.u16()?,
            directory_bytes: cursor.u32()?,
            directory_offset: cursor.u32()?,
            comment_bytes: cursor.u16()?,
        })
    }
}

/// Zip64 end of central directory locator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Locator {
    pub(super) disk: u32,
    pub(super) end64_offset: u64,
    pub(super) disks: u32,
}

impl Locator {
    pub(super) fn read(mut cursor: Cursor<'_>) -> Option<Self> {
        cursor.signature(LOCATOR_SIGNATURE)?;
        Some(Self { disk: cursor.u32()?, end64_offset: cursor.u64()?, disks: cursor.u32()? })
    }
}

/// Zip64 end of central directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct End64 {
    /// Of the record, without its first twelve bytes.
    pub(super) remaining_bytes: u64,
    pub(super) disk: u32,
    pub(super) directory_disk: u32,
    pub(super) entries_here: u64,
    pub(super) entries: u64,
    pub(super) directory_bytes: u64,
    pub(super) directory_offset: u64,
}

impl End64 {
    pub(super) fn read(mut cursor: Cursor<'_>) -> Option<Self> {
        cursor.signature(END64_SIGNATURE)?;
        let remaining_bytes = cursor.u64()?;
        let _versions: [u8; 4] = cursor.array()?;
        Some(Self {
            remaining_bytes,
            disk: cursor.u32()?,
            directory_disk: cursor.u32()?,
            entries_here: cursor.u64()?,
            entries: cursor.u64()?,
            directory_bytes: cursor.u64()?,
            directory_offset: cursor.u64()?,
        })
    }
}

/// One entry's record in the central directory, its sizes not yet widened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Central<'a> {
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) packed_bytes: u32,
    pub(super) unpacked_bytes: u32,
    pub(super) disk: u16,
    pub(super) attributes: u32,
    pub(super) header_offset: u32,
    pub(super) name: &'a [u8],
    pub(super) extra: Extra<'a>,
}

impl<'a> Central<'a> {
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        cursor.signature(CENTRAL_SIGNATURE)?;
        let _versions: [u8; 4] = cursor.array()?;
        let flags = cursor.u16()?;
        let method = cursor.u16()?;
        let _time: [u8; 4] = cursor.array()?;
        let crc = cursor.u32()?;
        let packed_bytes = cursor.u32()?;
        let unpacked_bytes = cursor.u32()?;
        let (name_bytes, extra_bytes, comment_bytes) =
            (cursor.u16()?, cursor.u16()?, cursor.u16()?);
        let disk = cursor.u16()?;
        let _internal_attributes = cursor.u16()?;
        let attributes = cursor.u32()?;
        let header_offset = cursor.u32()?;
        let name = cursor.bytes(name_bytes)?;
        let extra = Extra(cursor.bytes(extra_bytes)?);
        cursor.bytes(comment_bytes)?;
        Some(Self {
            flags,
            method,
            crc,
            packed_bytes,
            unpacked_bytes,
            disk,
            attributes,
            header_offset,
            name,
            extra,
        })
    }
}

/// The header before an entry's data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Local<'a> {
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) packed_bytes: u32,
    pub(super) unpacked_bytes: u32,
    pub(super) name: &'a [u8],
    pub(super) extra: Extra<'a>,
}

impl<'a> Local<'a> {
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        cursor.signature(LOCAL_SIGNATURE)?;
        let _version = cursor.u16()?;
        let flags = cursor.u16()?;
        let method = cursor.u16()?;
        let _time: [u8; 4] = cursor.array()?;
        let crc = cursor.u32()?;
        let packed_bytes = cursor.u32()?;
        let unpacked_bytes = cursor.u32()?;
        let (name_bytes, extra_bytes) = (cursor.u16()?, cursor.u16()?);
        let name = cursor.bytes(name_bytes)?;
        let extra = Extra(cursor.bytes(extra_bytes)?);
        Some(Self { flags, method, crc, packed_bytes, unpacked_bytes, name, extra })
    }
}

/// What may follow an entry's data, written by programs that could not seek back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Descriptor {
    pub(super) crc: u32,
    pub(super) packed_bytes: u64,
    pub(super) unpacked_bytes: u64,
}

impl Descriptor {
    /// Takes all of `bytes`: its four shapes (signed or not, 32 or 64 bit) differ in length.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(bytes);
        if matches!(bytes.len(), 16 | 24) {
            cursor.signature(DESCRIPTOR_SIGNATURE)?;
        }
        let crc = cursor.u32()?;
        let (packed_bytes, unpacked_bytes) = match bytes.len() {
            12 | 16 => (cursor.u32()?.into(), cursor.u32()?.into()),
            20 | 24 => (cursor.u64()?, cursor.u64()?),
            _ => return None,
        };
        Some(Self { crc, packed_bytes, unpacked_bytes })
    }
}

/// The numbers that did not fit into a header.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wide {
    pub(super) unpacked_bytes: Option<u64>,
    pub(super) packed_bytes: Option<u64>,
    pub(super) header_offset: Option<u64>,
}

/// The extra fields of a header: pairs of a number and some bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extra<'a>(&'a [u8]);

impl<'a> Extra<'a> {
    /// Stops at the first malformed field: alignment tools pad with bytes that form none.
    fn fields(self) -> impl Iterator<Item = (u16, Cursor<'a>)> {
        let mut cursor = Cursor(self.0);
        std::iter::from_fn(move || {
            let (id, length) = (cursor.u16()?, cursor.u16()?);
            Some((id, Cursor(cursor.bytes(length)?)))
        })
    }

    /// Each number is present only if its field in the header says so, in this order.
    pub(super) fn wide(self, unpacked: u32, packed: u32, header_offset: u32) -> Wide {
        let Some((_, mut cursor)) = self.fields().find(|(id, _)| *id == EXTRA_ZIP64) else {
            return Wide::default();
        };
        let mut take = |field| if field == SEE_ZIP64 { cursor.u64() } else { None };
        Wide {
            unpacked_bytes: take(unpacked),
            packed_bytes: take(packed),
            header_offset: take(header_offset),
        }
    }

    /// A second name for the entry, in UTF-8; the header's is then in some local character set.
    pub(super) fn unicode_path(self) -> Option<&'a [u8]> {
        let (_, mut cursor) = self.fields().find(|(id, _)| *id == EXTRA_UNICODE_PATH)?;
        let _version_and_checksum: [u8; 5] = cursor.array()?;
        Some(cursor.0)
    }
}
