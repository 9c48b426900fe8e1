//! HTTP/1.1 by hand, for full control of what goes wrong: a request is read whole, an answer can be cut at any byte.

use std::io::{Error, Result};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// A request of the host's.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) accept: String,
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

/// An answer with all of its body.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) retry_after: Option<u32>,
    pub(super) body: Vec<u8>,
}

/// How an answer reaches the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Whole,
    /// Half of it, then the connection ends.
    Cut,
    /// Half of it, as if it were all.
    Truncated,
}

/// A connection of the host's.
pub(super) struct Peer {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Peer {
    pub(super) fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        Self { reader: BufReader::new(reader), writer }
    }

    /// The next request; none when the host has no more.
    pub(super) async fn request(&mut self) -> Result<Option<Request>> {
        let Some(first) = self.line().await? else { return Ok(None) };
        let mut words = first.split(' ').map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else { return Err(Error::other(first)) };
        let (mut accept, mut content_type, mut length) = (String::new(), String::new(), 0);
        while let Some(line) = self.line().await?.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").ok_or_else(|| Error::other(line.clone()))?;
            match name.to_ascii_lowercase().as_str() {
                "accept" => accept = value.into(),
                "content-type" => content_type = value.into(),
                "content-length" => length = value.parse().map_err(Error::other)?,
                "transfer-encoding" => return Err(Error::other("a body of unknown length")),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).await?;
        Ok(Some(Request { method, target, accept, content_type, body }))
    }

    async fn line(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        let read = self.reader.read_line(&mut line).await?;
        Ok((read > 0).then(|| line.trim_end().to_owned()))
    }

    /// Returns when the host has closed the connection.
    pub(super) async fn closed(&mut self) {
        // It sends nothing before it has its answer.
        let _ = self.reader.fill_buf().await;
    }

    /// True where the connection can be used for more.
    pub(super) async fn answer(&mut self, answer: &Answer, shape: Shape) -> Result<bool> {
        let half = answer.body.get(..answer.body.len() / 2).unwrap_or_default();
        let (length, body) = match shape {
            Shape::Whole => (answer.body.len(), answer.body.as_slice()),
            Shape::Cut => (answer.body.len(), half),
            Shape::Truncated => (half.len(), half),
        };
        let mut bytes = head(answer, &format!("content-length: {length}")).into_bytes();
        bytes.extend_from_slice(body);
        self.writer.write_all(&bytes).await?;
        Ok(shape != Shape::Cut)
    }

    /// Begins an answer whose length nobody knows.
    pub(super) async fn begin(&mut self, answer: &Answer) -> Result<()> {
        let head = head(answer, "transfer-encoding: chunked");
        self.writer.write_all(head.as_bytes()).await
    }

    /// Goes on with it.
    pub(super) async fn chunk(&mut self, bytes: &[u8]) -> Result<()> {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.writer.write_all(&chunk).await
    }

    /// Ends it well.
    pub(super) async fn end(&mut self) -> Result<()> {
        self.writer.write_all(b"0\r\n\r\n").await
    }
}

fn head(answer: &Answer, length: &str) -> String {
    let Answer { status, content_type, retry_after, .. } = answer;
    let retry = retry_after.map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
    format!("HTTP/1.1 {status} It\r\ncontent-type: {content_type}\r\n{length}\r\n{retry}\r\n")
}
