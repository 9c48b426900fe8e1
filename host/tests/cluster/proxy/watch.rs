//! A watch, passed on line by line, with what goes wrong with it.

use std::{io, pin::pin};

use futures::{Stream, StreamExt, stream};
use http_body_util::{BodyDataStream, BodyExt};
use k8s_openapi::jiff::Timestamp;
use kube::client::Body;
use rand::RngExt;

use super::{
    Shared,
    answer::{Given, garbage_line, head, instead, lag, status},
    asked::Asked,
    fault::{Drawn, Fault},
    http::{Answer, Peer, Request, Shape},
    locked,
    log::Entry,
};

/// How it goes on after an event.
enum After {
    Well,
    /// It goes wrong again.
    Badly,
    /// The answer has ended.
    Ended,
    /// The connection has.
    Closed,
}

impl Shared {
    /// False: the connection ends.
    pub(super) async fn watch(
        &self,
        peer: &mut Peer,
        request: Request,
        asked: Asked,
        mut drawn: Option<Drawn>,
    ) -> io::Result<bool> {
        let at = Timestamp::now();
        if let Some(Drawn { fault, dice }) = &mut drawn
            && let Some(given) = instead(*fault, dice).await
        {
            self.injected(*fault);
            return given.give(peer).await;
        }
        let Ok(response) = self.send(request).await else { return Ok(false) };
        let begun = head(&response);
        let entry = Entry { asked, status: begun.status, at, answered: Timestamp::now(), told: true };
        locked(&self.log).entries.push(entry);
        if begun.status != 200 {
            let body = response.into_body().collect_bytes().await.map_err(io::Error::other)?.to_vec();
            return Given::Answer(Answer { body, ..begun }, Shape::Whole).give(peer).await;
        }
        peer.begin(&begun).await?;
        self.pass_on(peer, pin!(lines(response.into_body())), drawn).await
    }

    async fn pass_on(
        &self,
        peer: &mut Peer,
        mut lines: impl Stream<Item = Vec<u8>> + Unpin,
        mut drawn: Option<Drawn>,
    ) -> io::Result<bool> {
        // Events before it goes wrong.
        let mut well: u32 = match &mut drawn {
            Some(Drawn { fault: Fault::Silent, .. }) | None => 0,
            Some(Drawn { dice, .. }) => dice.random_range(1..4),
        };
        loop {
            if let Some(Drawn { fault: fault @ (Fault::Silent | Fault::FallsSilent), .. }) = drawn
                && well == 0
            {
                self.injected(fault);
                peer.closed().await;
                return Ok(false);
            }
            let line = tokio::select! {
                line = lines.next() => line,
                () = peer.closed() => return Ok(false),
            };
            let Some(line) = line else {
                peer.end().await?;
                return Ok(true);
            };
            match &mut drawn {
                Some(drawn_now) if well == 0 => match self.spoil(peer, &line, drawn_now).await? {
                    After::Well => drawn = None,
                    After::Badly => {}
                    After::Ended => {
                        peer.end().await?;
                        return Ok(true);
                    }
                    After::Closed => return Ok(false),
                },
                _ => {
                    well = well.saturating_sub(1);
                    peer.chunk(&line).await?;
                }
            }
        }
    }

    /// An event goes wrong.
    async fn spoil(&self, peer: &mut Peer, line: &[u8], Drawn { fault, dice }: &mut Drawn) -> io::Result<After> {
        self.injected(*fault);
        Ok(match fault {
            Fault::Cut => After::Closed,
            Fault::Truncated => {
                peer.chunk(&line[..line.len() / 2]).await?;
                After::Ended
            }
            Fault::ExpiredEvent => {
                let told = String::from_utf8(status(410, dice).body).map_err(io::Error::other)?;
                peer.chunk(format!("{{\"type\":\"ERROR\",\"object\":{told}}}\n").as_bytes()).await?;
                After::Ended
            }
            // In place of the event: those that follow are well again.
            Fault::GarbageEvent => {
                peer.chunk(garbage_line(dice).as_bytes()).await?;
                After::Well
            }
            _ => {
                // They add up.
                tokio::time::sleep(lag(dice) / 15).await;
                peer.chunk(line).await?;
                After::Badly
            }
        })
    }
}

/// The lines of a body, each with its end; ends with the body, however that ends.
fn lines(body: Body) -> impl Stream<Item = Vec<u8>> {
    let begun: (BodyDataStream<Body>, Vec<u8>) = (body.into_data_stream(), Vec::new());
    let next = async |(mut data, mut begun): (BodyDataStream<Body>, Vec<u8>)| loop {
        if let Some(end) = begun.iter().position(|byte| *byte == b'\n') {
            let rest = begun.split_off(end + 1);
            return Some((begun, (data, rest)));
        }
        begun.extend_from_slice(&data.next().await?.ok()?);
    };
    stream::unfold(begun, next)
}
