//! An answer that is given at once, with what goes wrong with it.

use std::{io, sync::Arc, time::Duration};

use k8s_openapi::jiff::Timestamp;
use kube::client::Body;
use rand::{RngExt, rngs::StdRng};
use serde_json::json;

use super::{
    Moment, Shared, Stop,
    asked::Asked,
    fault::{Drawn, Fault},
    http::{Answer, Peer, Request, Shape},
    locked,
    log::Entry,
};

/// What the host gets.
pub(super) enum Given {
    Answer(Answer, Shape),
    /// The end of the connection.
    Nothing,
    /// A connection that says nothing.
    Silence,
}

impl Given {
    /// False: the connection ends.
    pub(super) async fn give(self, peer: &mut Peer) -> io::Result<bool> {
        match self {
            Self::Answer(answer, shape) => peer.answer(&answer, shape).await,
            Self::Nothing => Ok(false),
            Self::Silence => {
                peer.closed().await;
                Ok(false)
            }
        }
    }
}

impl Shared {
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request,
        asked: Asked,
        drawn: Option<Drawn>,
        stop: Option<Stop>,
    ) -> Given {
        if let Some(stop @ Stop { moment: Moment::Before, .. }) = stop {
            stop.stopped(&asked).await;
            return Given::Nothing;
        }
        let told = stop.is_none();
        let stop = match stop {
            Some(late @ Stop { moment: Moment::Late, .. }) => {
                late.stopped(&asked).await;
                None
            }
            stop => stop,
        };
        let mut drawn = drawn;
        if let Some(Drawn { fault, dice }) = &mut drawn {
            self.injected(*fault);
            if let Some(given) = instead(*fault, dice).await {
                return given;
            }
        }
        let at = Timestamp::now();
        let Ok(answer) = self.forward(request).await else { return Given::Nothing };
        let told = told && drawn.as_ref().is_none_or(|drawn| drawn.fault == Fault::Latency);
        let entry = Entry { asked: asked.clone(), status: answer.status, at, answered: Timestamp::now(), told };
        locked(&self.log).entries.push(entry);
        if let Some(stop) = stop {
            stop.stopped(&asked).await;
            return Given::Nothing;
        }
        match drawn {
            Some(Drawn { fault, dice }) => spoilt(answer, fault, dice),
            None => Given::Answer(answer, Shape::Whole),
        }
    }

    async fn forward(&self, request: Request) -> kube::Result<Answer> {
        let response = self.send(request).await?;
        let head = head(&response);
        Ok(Answer { body: response.into_body().collect_bytes().await?.to_vec(), ..head })
    }
}

/// What is answered in place of the API server.
pub(super) async fn instead(fault: Fault, dice: &mut StdRng) -> Option<Given> {
    match fault {
        Fault::Refused => Some(Given::Nothing),
        Fault::Unanswered => Some(Given::Silence),
        Fault::Status(code) => Some(Given::Answer(status(code, dice), Shape::Whole)),
        Fault::Conflict => Some(Given::Answer(status(409, dice), Shape::Whole)),
        Fault::Expired => Some(Given::Answer(status(410, dice), Shape::Whole)),
        Fault::Latency => {
            tokio::time::sleep(lag(dice)).await;
            None
        }
        _ => None,
    }
}

/// What becomes of the API server's own answer.
fn spoilt(mut answer: Answer, fault: Fault, mut dice: StdRng) -> Given {
    match fault {
        Fault::LostAnswer if dice.random() => Given::Nothing,
        Fault::LostAnswer => {
            Given::Answer(status([500, 503, 504][dice.random_range(0..3_usize)], &mut dice), Shape::Whole)
        }
        Fault::Cut => Given::Answer(answer, Shape::Cut),
        Fault::Truncated => Given::Answer(answer, Shape::Truncated),
        Fault::Garbage => {
            answer.body = garbage(&mut dice).into();
            Given::Answer(answer, Shape::Whole)
        }
        _ => Given::Answer(answer, Shape::Whole),
    }
}

/// The head of what the API server answers.
pub(super) fn head(response: &::http::Response<Body>) -> Answer {
    let header = |name: &str| response.headers().get(name)?.to_str().ok();
    Answer {
        status: response.status().as_u16(),
        content_type: header("content-type").unwrap_or("application/json").into(),
        retry_after: header("retry-after").and_then(|seconds| seconds.parse().ok()),
        body: Vec::new(),
    }
}

/// An error as the API server tells it, or as a load balancer before it does.
pub(super) fn status(code: u16, dice: &mut StdRng) -> Answer {
    let reason = match code {
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    };
    let mut body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "a fault of the test", "reason": reason, "code": code,
    });
    let retry_after = [429, 503].contains(&code).then_some(1);
    if retry_after.is_some() {
        body["details"] = json!({"retryAfterSeconds": 1});
    }
    let (content_type, body) = match code {
        500.. | 429 if dice.random() => ("text/plain", "a fault of the test".to_owned()),
        _ => ("application/json", body.to_string()),
    };
    Answer { status: code, content_type: content_type.into(), retry_after, body: body.into() }
}

/// In place of an answer.
pub(super) fn garbage(dice: &mut StdRng) -> &'static str {
    ["{\"kind\":\"Sample\",\"metadata\":{\"na", "\u{0}\u{1}garbage", "<html>", "{}", "null"]
        [dice.random_range(0..5_usize)]
}

/// In place of a line of a watch. A beginning of JSON that goes on with the next event is not among them: kube's client takes it for the
/// end of what a server said, which on the wire of HTTP it would be.
pub(super) fn garbage_line(dice: &mut StdRng) -> &'static str {
    ["\u{0}\u{1}garbage\n", "<html>\n", "{}\n", "null\n"][dice.random_range(0..4_usize)]
}

/// Less than what any client waits for.
pub(super) fn lag(dice: &mut StdRng) -> Duration {
    Duration::from_millis(dice.random_range(100..1500))
}
