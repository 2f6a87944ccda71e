//! Ordering keys: of the unfinished invocations of one key in one lane, one is claimable.
//!
//! Each that is stored gets the next *turn* of its key. If it is the only one it is due; otherwise
//! it is held, which is to say due at the end of time: claims walk an index by that time, and so
//! never come by. When one ends, the one with the smallest turn becomes due in the same transaction.
//!
//! Turns and not ids say the order, for two reasons: ids that are made within a millisecond are in
//! no order, and a dead letter that gets another round has an old id and goes to the end.

use model::{InvocationId, Timestamp};
use rusqlite::{Connection, params};

use super::ledger::{Fail, Ledger};
use super::query::{all, first, run};
use super::rows;

/// When an invocation is due that is held. The migration knows it, too, in words.
pub(super) const HELD: i64 = i64::MAX;

/// Keys that one transaction lets go: some 5 ms of the writer's time.
pub(super) const REPAIRS: usize = 256;

/// The turn of one more of this key, and whether it is held for those before it.
pub(super) fn next_turn(
    ledger: &Ledger,
    function: i64,
    lane: &str,
    key: &str,
) -> Result<(i64, bool), Fail> {
    let sql = "SELECT turn FROM invocations INDEXED BY invocations_by_key
               WHERE function = ?1 AND lane = ?2 AND ordering_key = ?3 AND status IN (0, 1, 2)
               ORDER BY turn DESC LIMIT 1";
    let last: Option<i64> =
        first(&ledger.conn, sql, params![function, lane, key], |row| Ok(row.get(0)?))?;
    Ok(last.map_or((1, false), |last| (last + 1, true)))
}

/// Puts a dead letter that is about to get another round behind the unfinished of its key. True if
/// it is held.
pub(super) fn queue_again(ledger: &Ledger, id: InvocationId) -> Result<bool, Fail> {
    let sql = "SELECT function, lane, ordering_key FROM invocations WHERE id = ?1";
    let key = first(&ledger.conn, sql, [id.as_bytes()], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?))
    })?;
    let Some((function, lane, Some(key))) = key else { return Ok(false) };
    let (turn, held) = next_turn(ledger, function, &lane, &key)?;
    let sql = "UPDATE invocations SET turn = ?2 WHERE id = ?1";
    run(&ledger.conn, sql, params![id.as_bytes(), turn])?;
    Ok(held)
}

/// The next of the key of one that has ended becomes due. False if there is none.
pub(super) fn release(ledger: &Ledger, ended: InvocationId, now: Timestamp) -> Result<bool, Fail> {
    let sql = "UPDATE invocations SET due_at = ?2
               WHERE due_at = ?3 AND status IN (0, 2) AND id =
                   (SELECT next.id FROM invocations ended
                    CROSS JOIN invocations next INDEXED BY invocations_by_key
                      ON next.function = ended.function AND next.lane = ended.lane
                     AND next.ordering_key = ended.ordering_key AND next.status IN (0, 1, 2)
                    WHERE ended.id = ?1 ORDER BY next.turn LIMIT 1)";
    Ok(run(&ledger.conn, sql, params![ended.as_bytes(), now.micros(), HELD])? > 0)
}

/// Those that are held for nothing, since nothing of their key is before them. There should be
/// none: each end lets go of the next. If there is one all the same, it and all behind it would
/// wait for ever, so somebody looks now and then.
pub(super) fn stuck(conn: &Connection) -> Result<Vec<InvocationId>, Fail> {
    // The columns beside the smallest turn are those of its row: SQLite says so of min().
    let sql = "SELECT id FROM
                   (SELECT id, due_at, status, min(turn)
                    FROM invocations INDEXED BY invocations_by_key
                    WHERE ordering_key IS NOT NULL AND status IN (0, 1, 2)
                    GROUP BY function, lane, ordering_key)
               WHERE due_at = ?1 AND status IN (0, 2) LIMIT ?2";
    let params = params![HELD, rows::count(REPAIRS)];
    all(conn, sql, params, |row| Ok(InvocationId::from_bytes(row.get(0)?)))
}

/// Lets those go that are still held for nothing.
pub(super) fn repair(ledger: &Ledger, stuck: &[InvocationId], now: Timestamp) -> Result<(), Fail> {
    let sql = "UPDATE invocations SET due_at = ?2
               WHERE id = ?1 AND due_at = ?3 AND status IN (0, 2) AND NOT EXISTS
                   (SELECT 1 FROM invocations before INDEXED BY invocations_by_key
                    WHERE before.function = invocations.function
                      AND before.lane = invocations.lane
                      AND before.ordering_key = invocations.ordering_key
                      AND before.turn < invocations.turn AND before.status IN (0, 1, 2))";
    for id in stuck {
        if run(&ledger.conn, sql, params![id.as_bytes(), now.micros(), HELD])? > 0 {
            tracing::warn!(invocation = %id, "it was held for nothing, and is due now");
        }
    }
    Ok(())
}
