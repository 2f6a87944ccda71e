//! What an error of the client library means: who can do something about it.

use std::error::Error as StdError;

use async_nats::jetstream::context::{
    ConsumerInfoError, ConsumerInfoErrorKind, PublishError, PublishErrorKind, RequestErrorKind,
};
use async_nats::jetstream::{self, ErrorCode};
use tokio_rustls::rustls;

use crate::Kind;

/// An error while we were not let in yet.
pub(super) fn entering(error: &async_nats::ConnectError) -> Kind {
    use async_nats::ConnectErrorKind::{Authentication, AuthorizationViolation, ServerParse};
    match error.kind() {
        Authentication | AuthorizationViolation | ServerParse => Kind::Refused,
        _ if find::<rustls::Error>(error).is_some() => Kind::Refused,
        _ => Kind::Unreachable,
    }
}

/// An error of a question about streams and consumers; `otherwise` if the server did not say no.
pub(super) fn asking(error: &(dyn StdError + 'static), otherwise: Kind) -> Kind {
    if let Some(said) = find::<jetstream::Error>(error) {
        return answered(said);
    }
    if let Some(error) = find::<ConsumerInfoError>(error) {
        return match error.kind() {
            ConsumerInfoErrorKind::JetStream(said) => answered(&said),
            ConsumerInfoErrorKind::Offline => Kind::Busy,
            ConsumerInfoErrorKind::Request | ConsumerInfoErrorKind::TimedOut => otherwise,
            _ => Kind::Refused,
        };
    }
    match find::<jetstream::context::RequestError>(error).map(async_nats::error::Error::kind) {
        // Nobody listens where JetStream would: it is not switched on.
        Some(RequestErrorKind::NoResponders) => Kind::Refused,
        _ => otherwise,
    }
}

/// JetStream's own answer.
pub(super) fn answered(said: &jetstream::Error) -> Kind {
    const SWITCHED_OFF: [ErrorCode; 2] =
        [ErrorCode::JETSTREAM_NOT_ENABLED, ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT];
    // 503 is "not now": no leader, too little memory or disk, a stream that is full.
    if said.code() >= 500 && !SWITCHED_OFF.contains(&said.error_code()) {
        Kind::Busy
    } else {
        Kind::Refused
    }
}

pub(super) fn publishing(error: &PublishError) -> Kind {
    match error.kind() {
        PublishErrorKind::StreamNotFound
        | PublishErrorKind::MaxPayloadExceeded
        | PublishErrorKind::WrongLastMessageId
        | PublishErrorKind::WrongLastSequence => Kind::Refused,
        PublishErrorKind::MaxAckPending => Kind::Busy,
        PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => Kind::Lost,
        PublishErrorKind::Other => asking(error, Kind::Lost),
    }
}

/// The first cause of a type.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut cause = Some(error);
    while let Some(it) = cause {
        if let Some(found) = it.downcast_ref::<T>() {
            return Some(found);
        }
        // An I/O error shows the cause of what it wraps, and not that itself.
        let wrapped = it.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(found) = wrapped.and_then(|it| it.downcast_ref::<T>()) {
            return Some(found);
        }
        cause = it.source();
    }
    None
}
