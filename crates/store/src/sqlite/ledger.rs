//! What the writer's operations work on: the connection, and the numbers of functions and projects
//! that it remembers.
//!
//! Only the writer's thread has one. Every method runs inside the transaction of a batch, and may
//! run again if that is rolled back; [`Ledger::forget`] then drops what was remembered.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::{Fault, FunctionId, FunctionName, InvocationId, Project, Timestamp, fault};
use rusqlite::{Connection, OptionalExtension, params};

use super::damage::Damage;
use super::rows;

/// Functions and projects remembered; beyond it they are forgotten and looked up again. About
/// 1 MiB.
const REMEMBERED: usize = 10_000;

/// Invocations that are known to be damaged, in each of two ways. With so many, the database is no more
/// to be worked with: what meets another one fails.
const PASSED_OVER: usize = 1_024;

/// How a job, or a read, can fail.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fail {
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    /// A row that this version did not write, or that the disk has changed.
    #[error("a row of {table} cannot be read: {why}")]
    Row { table: &'static str, why: String },
    /// An index that the disk has changed.
    #[error("the rows of {table} do not come in the order of their keys")]
    Disorder { table: &'static str },
    #[error("{0}")]
    Refused(String),
}

/// A function as the ledger's rows name it.
#[derive(Clone, Copy, Debug)]
pub(super) struct FunctionRef {
    pub(super) no: i64,
    pub(super) project: i64,
    /// The newest version's number.
    pub(super) latest: u32,
    pub(super) deleted: bool,
}

#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) conn: Connection,
    functions: HashMap<FunctionId, FunctionRef>,
    projects: HashMap<Project, i64>,
    pub(super) damage: Arc<Damage>,
    /// Damaged invocations that let themselves neither be leased nor ended.
    passed_over: HashSet<InvocationId>,
    /// Those whose events are on malformed pages, and what SQLite said of them.
    unreadable: HashMap<InvocationId, String>,
}

impl Ledger {
    pub(super) fn new(conn: Connection, damage: Arc<Damage>) -> Self {
        Self {
            conn,
            functions: HashMap::new(),
            projects: HashMap::new(),
            damage,
            passed_over: HashSet::new(),
            unreadable: HashMap::new(),
        }
    }

    /// Meets this one no more, until the store is opened again. False if there are too many.
    pub(super) fn pass_over(&mut self, id: InvocationId) -> bool {
        self.passed_over.len() < PASSED_OVER && self.passed_over.insert(id)
    }

    /// Does not try again to read what this one waits for. Nothing is learned if there are too many.
    pub(super) fn note_unreadable(&mut self, id: InvocationId, why: &Fail) {
        if self.unreadable.len() < PASSED_OVER {
            self.unreadable.insert(id, why.to_string());
        }
    }

    pub(super) fn unreadable(&self, id: InvocationId) -> Option<&str> {
        self.unreadable.get(&id).map(String::as_str)
    }

    /// How much is known of damage: more than before, and doing the same again may do better.
    pub(super) fn learned(&self) -> usize {
        self.passed_over.len() + self.unreadable.len()
    }

    /// The first `most` of what `find` finds (given a limit) that are not passed over.
    pub(super) fn not_passed_over(
        &self,
        most: usize,
        find: impl FnOnce(&Connection, i64) -> Result<Vec<InvocationId>, Fail>,
    ) -> Result<Vec<InvocationId>, Fail> {
        let mut found = find(&self.conn, rows::count(most + self.passed_over.len()))?;
        found.retain(|id| !self.passed_over.contains(id));
        found.truncate(most);
        Ok(found)
    }

    pub(super) fn execute(&self, sql: &str) -> Result<(), Fail> {
        self.conn.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// After a rollback, or a change of what is remembered.
    pub(super) fn forget(&mut self) {
        self.functions.clear();
        self.projects.clear();
    }

    /// The number of a project; a new one if it has none.
    pub(super) fn project(&mut self, name: &Project) -> Result<i64, Fail> {
        if let Some(no) = self.projects.get(name) {
            return Ok(*no);
        }
        self.conn
            .prepare_cached("INSERT INTO projects (name) VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([name.as_str()])?;
        let no = self
            .conn
            .prepare_cached("SELECT no FROM projects WHERE name = ?1")?
            .query_row([name.as_str()], |row| row.get(0))?;
        if self.projects.len() >= REMEMBERED {
            self.projects.clear();
        }
        self.projects.insert(name.clone(), no);
        Ok(no)
    }

    pub(super) fn function(&mut self, id: FunctionId) -> Result<Option<FunctionRef>, Fail> {
        if let Some(found) = self.functions.get(&id) {
            return Ok(Some(*found));
        }
        let found = self
            .conn
            .prepare_cached(
                "SELECT no, project, latest, deleted_at IS NOT NULL FROM functions WHERE id = ?1",
            )?
            .query_row([id.as_bytes()], |row| {
                Ok(FunctionRef {
                    no: row.get(0)?,
                    project: row.get(1)?,
                    latest: row.get(2)?,
                    deleted: row.get(3)?,
                })
            })
            .optional()?;
        if let Some(found) = found {
            if self.functions.len() >= REMEMBERED {
                self.functions.clear();
            }
            self.functions.insert(id, found);
        }
        Ok(found)
    }

    pub(super) fn forget_function(&mut self, id: FunctionId) {
        self.functions.remove(&id);
    }

    /// The function, even if it is long gone: then with a row that says so, since what was
    /// accepted for it, or called, is told about by its name.
    pub(super) fn function_or_grave(
        &mut self,
        id: FunctionId,
        project: &Project,
        name: &FunctionName,
        now: Timestamp,
    ) -> Result<FunctionRef, Fail> {
        if let Some(found) = self.function(id)? {
            return Ok(found);
        }
        let project = self.project(project)?;
        let fault = Fault::platform(fault::FUNCTION_DELETED, "the function has been deleted");
        self.conn
            .prepare_cached(
                "INSERT INTO functions (id, project, name, created_at, latest, deleted_at, deleted_fault)
                 VALUES (?1, ?2, ?3, ?4, 0, ?4, ?5)",
            )?
            .execute(params![
                id.as_bytes(),
                project,
                name.as_str(),
                now.micros(),
                rows::fault_text(&fault)?
            ])?;
        Ok(FunctionRef { no: self.conn.last_insert_rowid(), project, latest: 0, deleted: true })
    }

    /// Why nothing of this function runs any more, if that is so.
    pub(super) fn grave(&self, function: i64) -> Result<Option<Fault>, Fail> {
        let text: Option<String> = self
            .conn
            .prepare_cached(
                "SELECT deleted_fault FROM functions WHERE no = ?1 AND deleted_at IS NOT NULL",
            )?
            .query_row([function], |row| row.get(0))
            .optional()?
            .flatten();
        text.map(|text| rows::fault(&text)).transpose()
    }
}
