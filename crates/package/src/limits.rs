//! How large a package may be, in every direction in which one can be large.

/// The limits of one package. [`Limits::default`] is what users get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The uploaded archive. 50 MiB is what AWS Lambda takes in a direct upload, so packages that
    /// were made for it fit; it is also what one request holds in memory.
    pub archive_bytes: u64,
    /// The sum of all files. 250 MiB as AWS Lambda's, which is what build tools prune towards.
    pub unpacked_bytes: u64,
    /// Files and folders together, the folders that only paths imply included: each costs an inode
    /// and a few system calls. Large scientific packages have 10,000 to 20,000.
    pub entries: u32,
    /// One component of a path. NAME_MAX of ext4, xfs, btrfs and tmpfs.
    pub name_bytes: usize,
    /// A whole path. PATH_MAX is 4,096 with its NUL; 256 are left for the folder that the package
    /// is mounted at, or its deepest files could not be opened by an absolute path.
    pub path_bytes: usize,
    /// Components of a path. Deep trees exist to break recursive programs; the deepest that
    /// package managers make stay below 30.
    pub depth: usize,
    /// How many bytes may come out of each that goes in, once more than [`Self::RATIO_FLOOR`] come
    /// out. Source and machine code reach 3 to 10, a sparse table 100; deflate's own end is 1,032.
    pub ratio: u64,
    /// One Python source file. CPython needs about 100 times its size to compile it, and the
    /// largest generated modules in use are near 2 MiB.
    pub source_bytes: u64,
}

impl Limits {
    /// Below this nothing is a bomb: a megabyte of blanks is harmless and compresses without limit.
    pub const RATIO_FLOOR: u64 = 1024 * 1024;

    /// Whether so much out of so little is a bomb rather than a package.
    pub(crate) fn is_bomb(&self, unpacked: u64, packed: u64) -> bool {
        unpacked > Self::RATIO_FLOOR && unpacked > packed.saturating_mul(self.ratio)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            archive_bytes: 50 * 1024 * 1024,
            unpacked_bytes: 250 * 1024 * 1024,
            entries: 50_000,
            name_bytes: 255,
            path_bytes: 4_096 - 256,
            depth: 64,
            ratio: 200,
            source_bytes: 5 * 1024 * 1024,
        }
    }
}
