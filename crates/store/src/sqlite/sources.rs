//! Sources: their settings, and how far each has been read.

use bytes::Bytes;
use model::{Project, SourceId, SourceName};
use rusqlite::{Connection, Row, params};

use super::events;
use super::ledger::{Fail, Ledger};
use super::query::{all, first, run};
use super::rows::{time, trusted};
use crate::{Appended, NewEvent, NewSource, Source, failpoint};

// ---- writes ----

/// Of another kind, what has its name now is another source: what the old one's cursor says means
/// nothing to it.
pub(super) fn put_source(ledger: &mut Ledger, new: &NewSource) -> Result<Source, Fail> {
    let project = ledger.project(&new.project)?;
    let (name, now) = (new.name.as_str(), new.now.micros());
    let sql = "SELECT id FROM sources WHERE project = ?1 AND name = ?2 AND kind = ?3";
    let same = first(&ledger.conn, sql, params![project, name, new.kind], |_| Ok(()))?.is_some();
    if same {
        let sql = "UPDATE sources SET settings = ?3, sealed = ?4, enabled = ?5, updated_at = ?6
                   WHERE project = ?1 AND name = ?2";
        let params = params![project, name, new.settings, new.sealed.as_deref(), new.enabled, now];
        run(&ledger.conn, sql, params)?;
    } else {
        let sql = "DELETE FROM sources WHERE project = ?1 AND name = ?2";
        run(&ledger.conn, sql, params![project, name])?;
        let sql = "INSERT INTO sources
                       (project, name, id, kind, settings, sealed, enabled, created_at, updated_at)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)";
        let params = params![
            project,
            name,
            new.id.as_bytes(),
            new.kind,
            new.settings,
            new.sealed.as_deref(),
            new.enabled,
            now
        ];
        run(&ledger.conn, sql, params)?;
    }
    let sql = format!("SELECT {COLUMNS} WHERE s.project = ?1 AND s.name = ?2");
    let found = first(&ledger.conn, &sql, params![project, name], read)?;
    found.ok_or_else(|| Fail::Refused("the source that was just written is not there".into()))
}

pub(super) fn delete_source(
    ledger: &mut Ledger,
    project: &Project,
    name: &SourceName,
) -> Result<bool, Fail> {
    let project = ledger.project(project)?;
    let sql = "DELETE FROM sources WHERE project = ?1 AND name = ?2";
    Ok(run(&ledger.conn, sql, params![project, name.as_str()])? > 0)
}

/// Moves the cursor and stores what lay between.
pub(super) fn append_from(
    ledger: &mut Ledger,
    source: SourceId,
    before: Option<&str>,
    after: &str,
    new: &[NewEvent],
) -> Result<Option<Vec<Appended>>, Fail> {
    let sql = "UPDATE sources SET cursor = ?3 WHERE id = ?1 AND cursor IS ?2";
    if run(&ledger.conn, sql, params![source.as_bytes(), before, after])? == 0 {
        return Ok(None);
    }
    failpoint!("append_from.before_events");
    events::append(ledger, new).map(Some)
}

// ---- reads ----

const COLUMNS: &str = "s.id, p.name, s.name, s.kind, s.settings, s.sealed, s.enabled, s.created_at,
    s.updated_at, s.cursor FROM sources s JOIN projects p ON p.no = s.project";

fn read(row: &Row<'_>) -> Result<Source, Fail> {
    let project: String = row.get(1)?;
    let name: String = row.get(2)?;
    Ok(Source {
        id: SourceId::from_bytes(row.get(0)?),
        project: trusted("projects", Project::parse(&project))?,
        name: trusted("sources", SourceName::parse(&name))?,
        kind: row.get(3)?,
        settings: row.get(4)?,
        sealed: row.get::<_, Option<Vec<u8>>>(5)?.map(Bytes::from),
        enabled: row.get(6)?,
        created_at: time(row.get(7)?),
        updated_at: time(row.get(8)?),
        cursor: row.get(9)?,
    })
}

pub(super) fn sources(conn: &Connection, project: Option<&Project>) -> Result<Vec<Source>, Fail> {
    let sql = format!("SELECT {COLUMNS} WHERE ?1 IS NULL OR p.name = ?1 ORDER BY p.name, s.name");
    all(conn, &sql, [project.map(Project::as_str)], read)
}
