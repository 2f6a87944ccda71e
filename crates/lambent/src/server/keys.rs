//! `lambent key`: API keys, made and removed in the data folder itself, by whoever owns it.
//!
//! The service may be running or not: the store's file takes a second writer for a moment, and a
//! running service reads the keys anew every few seconds.

use std::path::{Path, PathBuf};

use control::auth;
use model::{KeyName, Project};
use store::Store;
use store::sqlite::Sqlite;

use super::CannotServe;
use crate::clock::SystemClock;

/// A key that was made: shown once.
pub fn create(data: &Path, project: &str, name: &str) -> Result<String, CannotServe> {
    let (project, name) = (Project::parse(project)?, KeyName::parse(name)?);
    super::make_folder(data)?;
    with_store(data, async move |store| {
        auth::create_key(store, &SystemClock, project.clone(), name.clone())
            .await?
            .ok_or(CannotServe::KeyExists { project, name })
    })
}

/// Project, name and age of each key.
pub fn list(data: &Path) -> Result<Vec<store::Key>, CannotServe> {
    with_store(data, async |store| Ok(store.keys().await?))
}

pub fn remove(data: &Path, project: &str, name: &str) -> Result<(), CannotServe> {
    let (project, name) = (Project::parse(project)?, KeyName::parse(name)?);
    with_store(data, async move |store| match store.delete_key(&project, name.as_str()).await? {
        true => Ok(()),
        false => Err(CannotServe::NoSuchKey { project, name, data: PathBuf::from(data) }),
    })
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
