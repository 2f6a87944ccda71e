//! A small HTTP client for the demo: one request, one connection, one answer.
//!
//! The demo must work where there is no curl. It prints the curl line that asks for the same, so
//! [`Request`] can be said both ways and the two cannot drift apart.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::failure::{Attempting, Failure, Outcome};

/// An answer takes a thousandth of this; a server that hangs must not hang the demo.
const PATIENCE: Duration = Duration::from_secs(60);
/// Marks the parts of a multipart body. Long enough not to be in anybody's code.
const BOUNDARY: &str = "lambent-demo-4f1c9d3a7b2e";

pub(crate) enum Body<'a> {
    None,
    Json(&'a str),
    /// A multipart form with one file: how the line names it, and what is in it.
    File {
        path: &'a str,
        content: &'a str,
    },
}

pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) body: Body<'a>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    #[cfg(test)]
    pub(crate) fn plain(status: u16, body: &str) -> Self {
        Self { status, headers: Vec::new(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

impl Request<'_> {
    /// The line that somebody could type to ask for the same.
    pub(crate) fn as_curl(&self, server: SocketAddr) -> String {
        let usual = if matches!(self.body, Body::None) { "GET" } else { "POST" };
        let method = if self.method == usual { "" } else { &format!(" -X {}", self.method) };
        let body = match self.body {
            Body::None => String::new(),
            Body::Json(json) => format!(" -d '{json}'"),
            Body::File { path, .. } => format!(" -F code=@{path}"),
        };
        format!("curl{method} http://{server}{}{body}", self.path)
    }

    pub(crate) fn send(&self, server: SocketAddr) -> Outcome<Answer> {
        let attempt = || format!("ask http://{server}{} ({})", self.path, self.method);
        let mut stream = TcpStream::connect_timeout(&server, PATIENCE).attempting(attempt)?;
        stream.set_read_timeout(Some(PATIENCE)).attempting(attempt)?;
        stream.set_write_timeout(Some(PATIENCE)).attempting(attempt)?;
        stream.write_all(self.as_bytes(server).as_bytes()).attempting(attempt)?;
        let mut reader = BufReader::new(stream);
        read(&mut reader).attempting(attempt)
    }

    fn as_bytes(&self, server: SocketAddr) -> String {
        let Self { method, path, .. } = self;
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\n");
        let (kind, body) = match self.body {
            Body::None => return head + "\r\n",
            Body::Json(json) => ("application/json".to_owned(), json.to_owned()),
            Body::File { path, content } => {
                let name = path.rsplit('/').next().unwrap_or(path);
                let disposition = format!("form-data; name=\"code\"; filename=\"{name}\"");
                let body = format!(
                    "--{BOUNDARY}\r\ncontent-disposition: {disposition}\r\n\r\n{content}\r\n\
                     --{BOUNDARY}--\r\n"
                );
                (format!("multipart/form-data; boundary={BOUNDARY}"), body)
            }
        };
        let length = body.len();
        format!("{head}content-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}")
    }
}

fn read(reader: &mut impl BufRead) -> Outcome<Answer> {
    let first = line(reader)?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| Failure::new(format!("{first:?} is not HTTP")))?;
    let mut headers = Vec::new();
    loop {
        let line = line(reader)?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    let mut answer = Answer { status, headers, body: String::new() };
    let chunked = answer.header("transfer-encoding").is_some_and(|it| it.contains("chunked"));
    let length = answer.header("content-length").and_then(|length| length.parse().ok());
    let body = match (chunked, length) {
        (true, _) => chunks(reader)?,
        (false, Some(length)) => exactly(reader, length)?,
        (false, None) => {
            let mut body = Vec::new();
            reader.read_to_end(&mut body).attempting(|| "read the answer".to_owned())?;
            body
        }
    };
    answer.body = String::from_utf8_lossy(&body).into_owned();
    Ok(answer)
}

fn line(reader: &mut impl BufRead) -> Outcome<String> {
    let mut line = String::new();
    let read = reader.read_line(&mut line).attempting(|| "read the answer".to_owned())?;
    if read == 0 {
        return Err(Failure::new("the server closed the connection in the middle of its answer"));
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn exactly(reader: &mut impl BufRead, length: usize) -> Outcome<Vec<u8>> {
    let mut body = vec![0; length];
    reader.read_exact(&mut body).attempting(|| format!("read an answer of {length} bytes"))?;
    Ok(body)
}

fn chunks(reader: &mut impl BufRead) -> Outcome<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(reader)?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16);
        let size = size.attempting(|| "read the size of a chunk".to_owned())?;
        if size == 0 {
            return Ok(body);
        }
        body.extend(exactly(reader, size)?);
        line(reader)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Outcome<Answer> {
        read(&mut BufReader::new(text.as_bytes()))
    }

    #[test]
    fn a_body_of_known_length_is_read() {
        let it = answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n\r\n{}rest").unwrap();
        assert_eq!((it.status, it.body.as_str(), it.header("a")), (200, "{}", Some("b")));
    }

    #[test]
    fn a_chunked_body_is_put_together() {
        let head = "HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n";
        let it = answer(&format!("{head}3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n")).unwrap();
        assert_eq!((it.status, it.body.as_str()), (202, "abcde"));
    }

    #[test]
    fn a_connection_that_ends_early_is_told() {
        assert!(answer("").is_err());
        assert!(answer("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab").is_err());
    }

    #[test]
    fn a_request_can_be_typed() {
        let server = "127.0.0.1:8080".parse().unwrap();
        let put = Request {
            method: "PUT",
            path: "/v1/functions/hello",
            body: Body::File { path: "examples/hello/hello.py", content: "x" },
        };
        assert_eq!(
            put.as_curl(server),
            "curl -X PUT http://127.0.0.1:8080/v1/functions/hello -F code=@examples/hello/hello.py"
        );
        let post = Request { method: "POST", path: "/v1/events", body: Body::Json("{}") };
        assert_eq!(post.as_curl(server), "curl http://127.0.0.1:8080/v1/events -d '{}'");
    }

    #[test]
    fn a_file_is_sent_as_a_form() {
        let server = "127.0.0.1:1".parse().unwrap();
        let body = Body::File { path: "a/b.py", content: "code" };
        let text = Request { method: "PUT", path: "/", body }.as_bytes(server);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        assert!(body.contains("name=\"code\"; filename=\"b.py\"\r\n\r\ncode\r\n--"), "{body}");
    }
}
