//! Secrets at rest: a source's password is sealed before the store sees it, with AES-256-GCM and a
//! key that is not in the database.
//!
//! The key is a file: one that the operator names, or `secret.key` in the data folder, which is made
//! when the first secret is. A copy of the database alone tells nothing; a copy of the whole folder
//! does, unless the key is kept elsewhere. What is sealed names its place (project, source, field) as
//! data that is authenticated with it, so a sealed secret that somebody moves to a source of theirs
//! does not open there. Secrets of destinations are kept in the same way ([`Home`]).
//!
//! Nothing here prints a secret or a key. Changing the key is not done here: put the sources again.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use model::{FunctionId, Project, SourceName};

const KEY_BYTES: usize = 32;
/// In the data folder, if the operator names no other.
pub const KEY_FILE: &str = "secret.key";
/// How a sealed secret is written: this byte, the nonce, the text with its tag.
const FORM: u8 = 1;

/// Where a secret belongs.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub project: &'a Project,
    pub source: &'a SourceName,
    pub field: &'static str,
}

/// Where the secret of a function's destination belongs.
#[derive(Clone, Copy, Debug)]
pub struct DestinationPlace<'a> {
    pub project: &'a Project,
    pub function: FunctionId,
    pub field: &'static str,
}

/// Anything that has secrets.
pub trait Home {
    /// No two have one.
    fn name(&self) -> Vec<u8>;
    /// As an error says it.
    fn whose(&self) -> String;
}

/// Why a secret could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("cannot read the key for secrets {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot make the key for secrets {}: {source}", path.display())]
    Make { path: PathBuf, source: io::Error },
    #[error(
        "the key for secrets {} has {bytes} bytes: it must be 32 random bytes, or these in base64 \
         (openssl rand -base64 32)",
        path.display()
    )]
    NotAKey { path: PathBuf, bytes: usize },
    #[error(
        "the secrets of {whose} were sealed with another key than {}: bring that key back, or put it \
         again with its secrets",
        key.display()
    )]
    OtherKey { whose: String, key: PathBuf },
    #[error("the machine's random numbers failed, so nothing can be sealed")]
    Random,
}

/// Seals and opens. The key is read when it is first needed.
pub struct Secrets {
    path: PathBuf,
    /// Whether a missing key is made.
    makes: bool,
    key: Mutex<Option<[u8; KEY_BYTES]>>,
}

impl Secrets {
    /// With the key of an operator, read at once.
    pub fn with_key_of(path: &Path) -> Result<Self, SecretError> {
        let key = read(path)?;
        Ok(Self { path: path.into(), makes: false, key: Mutex::new(Some(key)) })
    }

    /// With the key in a data folder, which is made with the first secret.
    pub fn in_folder(data: &Path) -> Self {
        Self { path: data.join(KEY_FILE), makes: true, key: Mutex::new(None) }
    }

    pub fn seal(&self, place: impl Home, secret: &[u8]) -> Result<Bytes, SecretError> {
        let key = self.cipher(true)?;
        let mut text = secret.to_vec();
        let nonce = key
            .seal_in_place_append_tag(Aad::from(place.name()), &mut text)
            .map_err(|_unspecified| SecretError::Random)?;
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + text.len());
        sealed.push(FORM);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&text);
        Ok(sealed.into())
    }

    pub fn open(&self, place: impl Home, sealed: &[u8]) -> Result<Vec<u8>, SecretError> {
        let key = self.cipher(false)?;
        let other = || SecretError::OtherKey { whose: place.whose(), key: self.path.clone() };
        let Some((&[FORM], rest)) = sealed
            .split_at_checked(1)
            .and_then(|(form, rest)| Some((<&[u8; 1]>::try_from(form).ok()?, rest)))
        else {
            return Err(other());
        };
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or_else(other)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_unspecified| other())?;
        let mut text = text.to_vec();
        let opened = key.open_in_place(nonce, Aad::from(place.name()), &mut text);
        Ok(opened.map_err(|_unspecified| other())?.to_vec())
    }

    fn cipher(&self, sealing: bool) -> Result<RandomizedNonceKey, SecretError> {
        let mut held = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let key = match *held {
            Some(key) => key,
            None => {
                let key = match read(&self.path) {
                    Err(SecretError::Read { source, .. })
                        if self.makes && sealing && source.kind() == io::ErrorKind::NotFound =>
                    {
                        make(&self.path)?
                    }
                    read => read?,
                };
                *held.insert(key)
            }
        };
        Ok(RandomizedNonceKey::new(&AES_256_GCM, &key).expect("the key has the cipher's length"))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").field("path", &self.path).finish_non_exhaustive()
    }
}

// Names hold no line feed, so no two are equal.
impl Home for Place<'_> {
    fn name(&self) -> Vec<u8> {
        format!("lambent source\n{}\n{}\n{}", self.project, self.source, self.field).into_bytes()
    }

    fn whose(&self) -> String {
        format!("source {}", self.source)
    }
}

impl Home for DestinationPlace<'_> {
    fn name(&self) -> Vec<u8> {
        let Self { project, function, field } = self;
        format!("lambent destination\n{project}\n{function}\n{field}").into_bytes()
    }

    fn whose(&self) -> String {
        format!("a destination of function {}", self.function)
    }
}

fn read(path: &Path) -> Result<[u8; KEY_BYTES], SecretError> {
    let bytes = fs::read(path).map_err(|source| SecretError::Read { path: path.into(), source })?;
    let not_a_key = || SecretError::NotAKey { path: path.into(), bytes: bytes.len() };
    if let Ok(key) = <[u8; KEY_BYTES]>::try_from(bytes.as_slice()) {
        return Ok(key);
    }
    let decoded = STANDARD.decode(bytes.trim_ascii()).map_err(|_not_base64| not_a_key())?;
    decoded.try_into().map_err(|_length| not_a_key())
}

/// Durable before it is used: a secret that is sealed with a key that is lost is lost.
fn make(path: &Path) -> Result<[u8; KEY_BYTES], SecretError> {
    let mut key = [0; KEY_BYTES];
    aws_lc_rs::rand::fill(&mut key).map_err(|_unspecified| SecretError::Random)?;
    let written = || {
        // A crash must not leave half of a key under the name that counts.
        let draft = path.with_extension("key.new");
        let mut file =
            fs::File::options().create(true).write(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(&key)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    written().map_err(|source| SecretError::Make { path: path.into(), source })?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn place<'a>(project: &'a Project, source: &'a SourceName) -> Place<'a> {
        Place { project, source, field: "url" }
    }

    fn names() -> (Project, SourceName) {
        (Project::parse("p").unwrap(), SourceName::parse("s").unwrap())
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_and_in_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::in_folder(folder.path());
        let (project, source) = names();
        let sealed = secrets.seal(place(&project, &source), b"pass word").unwrap();
        assert!(!sealed.windows(4).any(|it| it == b"pass" || it == b"word"));
        assert_ne!(sealed, secrets.seal(place(&project, &source), b"pass word").unwrap());
        assert_eq!(secrets.open(place(&project, &source), &sealed).unwrap(), b"pass word");
        let other = SourceName::parse("other").unwrap();
        for elsewhere in [
            place(&project, &other),
            place(&Project::parse("q").unwrap(), &source),
            Place { field: "key", ..place(&project, &source) },
        ] {
            let error = secrets.open(elsewhere, &sealed).unwrap_err();
            assert!(matches!(error, SecretError::OtherKey { .. }), "{error}");
        }
        for cut in 0..sealed.len() {
            assert!(secrets.open(place(&project, &source), &sealed[..cut]).is_err());
        }
    }

    #[test]
    fn the_key_is_made_once_for_its_owner_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let (project, source) = names();
        let missing = Secrets::in_folder(folder.path()).open(place(&project, &source), b"\x01");
        assert!(matches!(missing, Err(SecretError::Read { .. })), "opening makes no key");
        let sealed = Secrets::in_folder(folder.path()).seal(place(&project, &source), b"x");
        let mode = fs::metadata(folder.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = Secrets::in_folder(folder.path());
        assert_eq!(again.open(place(&project, &source), &sealed.unwrap()).unwrap(), b"x");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_key_is_told_apart_and_nothing_shows_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let (project, source) = names();
        let file = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let raw = Secrets::with_key_of(&file("raw", &[7; 32])).unwrap();
        let text = file("text", format!("{}\n", STANDARD.encode([7; 32])).as_bytes());
        let sealed = raw.seal(place(&project, &source), b"x").unwrap();
        let same = Secrets::with_key_of(&text).unwrap();
        assert_eq!(same.open(place(&project, &source), &sealed).unwrap(), b"x");
        let other = Secrets::with_key_of(&file("other", &[8; 32])).unwrap();
        let error = other.open(place(&project, &source), &sealed).unwrap_err().to_string();
        assert!(error.contains("another key") && error.contains("source s"), "{error}");
        let error = Secrets::with_key_of(&file("short", b"abc")).unwrap_err().to_string();
        assert!(error.contains("3 bytes") && !error.contains("abc"), "{error}");
        assert!(!format!("{raw:?}").contains('7'), "{raw:?}");
        assert!(Secrets::with_key_of(&folder.path().join("none")).is_err());
    }
}
