//! Rows of what goes out: a trigger's delivery, and where messages are sent.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use model::Delivery;
use model::delivery::Batch;
use model::transform::{Path, Transform};
use serde::{Deserialize, Serialize};

use super::{json, micros, parse, trusted, unknown};
use crate::sqlite::ledger::Fail;
use crate::{MessageStatus, Purpose, Target};

pub(in crate::sqlite) fn purpose_number(purpose: Purpose) -> u8 {
    match purpose {
        Purpose::Destination => 1,
        Purpose::Effect => 2,
    }
}

pub(in crate::sqlite) fn purpose_of(number: u8) -> Result<Purpose, Fail> {
    match number {
        1 => Ok(Purpose::Destination),
        2 => Ok(Purpose::Effect),
        other => Err(unknown("outbox", "purpose", other)),
    }
}

pub(in crate::sqlite) fn message_status_of(number: u8) -> Result<MessageStatus, Fail> {
    match number {
        0 => Ok(MessageStatus::Waits),
        1 => Ok(MessageStatus::Sent),
        2 => Ok(MessageStatus::GaveUp),
        other => Err(unknown("outbox", "status", other)),
    }
}

#[derive(Serialize, Deserialize)]
struct DeliveryRow {
    /// The texts that it was compiled from, here and below.
    transform: Option<String>,
    batch: Option<BatchRow>,
    ordering_key: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct BatchRow {
    size: u32,
    window_us: u64,
    partial_responses: bool,
    bisect: bool,
}

/// None for the default, which most triggers have.
pub(in crate::sqlite) fn delivery_text(delivery: &Delivery) -> Result<Option<String>, Fail> {
    if *delivery == Delivery::default() {
        return Ok(None);
    }
    let Delivery { transform, batch, ordering_key } = delivery;
    let batch = batch.map(|Batch { size, window, partial_responses, bisect }| {
        let window_us = micros(window);
        BatchRow { size, window_us, partial_responses, bisect }
    });
    let row = DeliveryRow {
        transform: transform.as_ref().map(Transform::to_string),
        batch,
        ordering_key: ordering_key.as_ref().map(Path::to_string),
    };
    json("triggers", &row).map(Some)
}

pub(in crate::sqlite) fn delivery(text: Option<&str>) -> Result<Delivery, Fail> {
    let Some(text) = text else { return Ok(Delivery::default()) };
    let row: DeliveryRow = parse("triggers", text)?;
    let transform = row.transform.as_deref().map(Transform::parse).transpose();
    let ordering_key = row.ordering_key.as_deref().map(Path::parse).transpose();
    let batch = row.batch.map(|BatchRow { size, window_us, partial_responses, bisect }| {
        let window = Duration::from_micros(window_us);
        Batch { size, window, partial_responses, bisect }
    });
    Ok(Delivery {
        transform: trusted("triggers", transform)?,
        batch,
        ordering_key: trusted("triggers", ordering_key)?,
    })
}

#[derive(Serialize, Deserialize)]
struct TargetRow<'a> {
    kind: Cow<'a, str>,
    settings: Cow<'a, str>,
}

/// Without the secrets, which have their own column.
pub(in crate::sqlite) fn target_text(target: &Target) -> Result<String, Fail> {
    let row = TargetRow { kind: (&*target.kind).into(), settings: (&*target.settings).into() };
    json("outbox", &row)
}

pub(in crate::sqlite) fn target(text: &str, sealed: Option<Bytes>) -> Result<Target, Fail> {
    let row: TargetRow<'_> = parse("outbox", text)?;
    Ok(Target { kind: row.kind.into_owned(), settings: row.settings.into_owned(), sealed })
}
