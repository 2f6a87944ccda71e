//! A request's body: pieces in memory, sent in slices so that somebody can watch them go.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// Sent at a time: small enough for a progress bar to move, large enough to cost nothing.
const SLICE_BYTES: usize = 64 * 1024;

/// Told with the bytes handed to the connection so far, and all of them.
pub(super) type Progress = Box<dyn FnMut(u64, u64) + Send>;

pub(super) struct Outgoing {
    pieces: VecDeque<Bytes>,
    sent: u64,
    total: u64,
    progress: Option<Progress>,
}

impl Outgoing {
    pub(super) fn new(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        let pieces: VecDeque<_> = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        let total = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self { pieces, sent: 0, total, progress: None }
    }

    pub(super) fn watched(mut self, progress: Option<Progress>) -> Self {
        self.progress = progress;
        self
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let Some(piece) = this.pieces.front_mut() else { return Poll::Ready(None) };
        let slice = piece.split_to(piece.len().min(SLICE_BYTES));
        if piece.is_empty() {
            this.pieces.pop_front();
        }
        this.sent += slice.len() as u64;
        if let Some(progress) = &mut this.progress {
            progress(this.sent, this.total);
        }
        Poll::Ready(Some(Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.total - self.sent)
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a body of {} bytes, {} of them sent", self.total, self.sent)
    }
}
