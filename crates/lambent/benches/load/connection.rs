//! One HTTP/1.1 connection that is kept alive, and as much of HTTP as Lambent's answers need:
//! a status line, headers, and a body of a told length.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// More than any answer's headers; a server that sends more is not the one we mean.
const HEAD_BYTES: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// The answer that is being read. Nothing of the next one can be in it: we do not pipeline.
    buffer: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Answer<'c> {
    pub(crate) status: u16,
    pub(crate) body: &'c [u8],
}

/// A whole request, ready to be sent.
pub(crate) fn request(method: &str, path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(128 + body.len());
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    whole.extend_from_slice(head.as_bytes());
    whole.extend_from_slice(body);
    whole
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    pub(crate) async fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request).await
    }

    pub(crate) async fn receive(&mut self) -> io::Result<Answer<'_>> {
        self.buffer.clear();
        let mut seen = 0_usize;
        let head = loop {
            self.more().await?;
            // The end may lie across two reads.
            let from = seen.saturating_sub(3);
            if let Some(at) = self.buffer[from..].windows(4).position(|four| four == b"\r\n\r\n") {
                break from + at + 4;
            }
            seen = self.buffer.len();
            if seen > HEAD_BYTES {
                return Err(invalid(format!(
                    "the answer's headers have more than {HEAD_BYTES} bytes"
                )));
            }
        };
        let (status, length) = parse(&self.buffer[..head])?;
        while self.buffer.len() < head + length {
            self.more().await?;
        }
        if self.buffer.len() > head + length {
            return Err(invalid("more bytes came than the answer has".into()));
        }
        Ok(Answer { status, body: &self.buffer[head..] })
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the server closed the connection before the answer was whole",
            )),
            _ => Ok(()),
        }
    }
}

/// Status and length of the body.
fn parse(head: &[u8]) -> io::Result<(u16, usize)> {
    let head = str::from_utf8(head)
        .map_err(|why| invalid(format!("the answer's headers are no text: {why}")))?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 "))
        .and_then(|line| line.get(..3)?.parse().ok())
        .ok_or_else(|| invalid(format!("this is no answer: {:?}", head.lines().next())))?;
    let mut length = None;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            let told = value.trim().parse();
            length =
                Some(told.map_err(|why| invalid(format!("Content-Length is {value:?}: {why}")))?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(invalid(format!("an answer in {} is not read here", value.trim())));
        }
    }
    match length {
        Some(length) => Ok((status, length)),
        None if status == 204 || status == 304 => Ok((status, 0)),
        None => Err(invalid(format!("the answer with status {status} tells no Content-Length"))),
    }
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
