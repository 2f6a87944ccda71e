//! `lambent key`: API keys, made and removed in the data folder itself, by whoever owns it.
//!
//! The service may be running or not: the store's file takes a second writer for a moment, and a
//! running service reads the keys anew every other second. A change is waited for: when the command
//! returns, the new key is in force and the removed one opens nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use control::auth;
use model::{KeyName, Project};
use store::Store;
use store::sqlite::Sqlite;

use super::CannotServe;
use crate::clock::SystemClock;

/// What reading the keys takes a service on a machine that is busy; it waits for no writer.
const READING: Duration = Duration::from_secs(1);

/// A key that was made: shown once.
pub fn create(data: &Path, project: &str, name: &str) -> Result<String, CannotServe> {
    let (project, name) = (Project::parse(project)?, KeyName::parse(name)?);
    super::make_folder(data)?;
    change(data, async move |store| {
        auth::create_key(store, &SystemClock, project.clone(), name.clone())
            .await?
            .ok_or(CannotServe::KeyExists { project, name })
    })
}

/// Project, name and age of each key.
pub fn list(data: &Path) -> Result<Vec<store::Key>, CannotServe> {
    with_store(data, async |store| Ok(store.keys().await?))
}

/// Removes a key; the last one only with `open`, since that opens the service to everybody on this
/// machine.
pub fn remove(data: &Path, project: &str, name: &str, open: bool) -> Result<(), CannotServe> {
    let (project, name) = (Project::parse(project)?, KeyName::parse(name)?);
    change(data, async move |store| {
        let keys = store.keys().await?;
        let last = matches!(&keys[..], [key] if key.project == project && key.name == name);
        if last && !open {
            return Err(CannotServe::LastKey { project, name });
        }
        match store.delete_key(&project, name.as_str()).await? {
            true => Ok(()),
            false => Err(CannotServe::NoSuchKey { project, name, data: PathBuf::from(data) }),
        }
    })
}

/// Makes a change, and waits until a running service knows it.
fn change<T>(
    data: &Path,
    work: impl AsyncFnOnce(&dyn Store) -> Result<T, CannotServe>,
) -> Result<T, CannotServe> {
    let changed = with_store(data, work)?;
    if Sqlite::is_in_use(data) {
        std::thread::sleep(auth::RELOAD + READING);
    }
    Ok(changed)
}

fn with_store<T>(
    data: &Path,
    work: impl AsyncFnOnce(&dyn Store) -> Result<T, CannotServe>,
) -> Result<T, CannotServe> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CannotServe::Async)?;
    runtime.block_on(async {
        let store = Sqlite::open_beside(data)?;
        work(&store).await
    })
}
