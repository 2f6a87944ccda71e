//! Lines of a log, as they are written.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::{Answer, ClientError};
use crate::http::invocations::LogLine;

/// A log line has at most 64 KiB of text, and JSON spells a byte with at most six.
const LINE_BYTES: usize = 512 * 1024;

/// The log of a function from now on: one JSON document per line, blank lines in between to show
/// that somebody is there.
#[derive(Debug)]
pub struct LogStream {
    body: Incoming,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no line feed.
    searched: usize,
    request: String,
    url: String,
}

impl LogStream {
    pub(super) fn new(body: Incoming, request: String, url: String) -> Self {
        Self { body, buffer: BytesMut::new(), searched: 0, request, url }
    }

    /// The next line; none when the service ended the stream, as it does when it shuts down.
    pub async fn next(&mut self) -> Result<Option<Answer<LogLine>>, ClientError> {
        while let Some(line) = self.line().await? {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let answer = Answer::parse(line).map_err(|source| ClientError::BadAnswer {
                request: self.request.clone(),
                url: self.url.clone(),
                source,
            })?;
            return Ok(Some(answer));
        }
        Ok(None)
    }

    async fn line(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            let found = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
            if let Some(at) = found {
                let mut line = self.buffer.split_to(self.searched + at + 1);
                line.truncate(line.len() - 1);
                self.searched = 0;
                return Ok(Some(line.freeze()));
            }
            self.searched = self.buffer.len();
            if self.searched > LINE_BYTES {
                let request = self.request.clone();
                return Err(ClientError::LineTooLong { request, most: LINE_BYTES });
            }
            match self.body.frame().await {
                // A line without its end was cut off, and is no line.
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
                Some(Err(source)) => {
                    let request = self.request.clone();
                    return Err(ClientError::Broken { request, source: source.into() });
                }
            }
        }
    }
}
