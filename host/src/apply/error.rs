//! What the API server's answer to a write means for the event that it belongs to.

use std::{fmt::Display, time::Duration};

use kube::core::Status;

/// Why the writes of an event ended early.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ApplyError {
    /// The object is gone; or its write went where nothing is, such as a subresource that it has not, which looks alike.
    #[error("{0}")]
    Gone(String),
    /// The object is gone or made anew; or somebody else's write got in the way, which looks alike.
    #[error("{0}")]
    Conflict(String),
    /// The object's namespace is going, and the object with it: nobody has to be told.
    #[error("{0}")]
    Ending(String),
    /// It won't do by itself: a person has to see it. Tried again slowly.
    #[error("{0}")]
    Refused(String),
    /// It may do in a moment.
    #[error("{message}")]
    Unavailable {
        /// What was tried and what was answered.
        message: String,
        /// The API server's own word on when.
        retry_after: Option<Duration>,
    },
}

/// Whose write it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The object that is handled; the write carried its uid.
    TheObject,
    /// Something in the same namespace.
    Beside,
    /// Anything else.
    Elsewhere,
}

impl ApplyError {
    /// Reads the answer; `what` says which write it was.
    pub fn from_answer(error: &kube::Error, to: To, what: impl Display) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::Unavailable { message: format!("{what}: {error}"), retry_after: None };
        };
        let message = format!("{what}: the API server answered {} {}: {}", status.code, status.reason, status.message);
        match status.code {
            // A write that carries the uid of an object that is gone is a conflict (tried on 1.36), of one that was made anew an
            // attempt to change its uid.
            404 if to == To::TheObject => Self::Gone(message),
            409 if to == To::TheObject => Self::Conflict(message),
            422 if to == To::TheObject && is_about_uid(status) => Self::Conflict(message),
            403 if has_cause(status, "NamespaceTerminating") && to == To::Elsewhere => {
                Self::Unavailable { message, retry_after: None }
            }
            403 if has_cause(status, "NamespaceTerminating") => Self::Ending(message),
            404 if to == To::Beside && is_namespace(status) => Self::Ending(message),
            409 | 408 | 429 | 500.. => {
                let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
                let retry_after = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
                Self::Unavailable { message, retry_after }
            }
            _ => Self::Refused(message),
        }
    }

    /// The same with another message.
    #[must_use]
    pub fn map(self, message_of: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Gone(message) => Self::Gone(message_of(message)),
            Self::Conflict(message) => Self::Conflict(message_of(message)),
            Self::Ending(message) => Self::Ending(message_of(message)),
            Self::Refused(message) => Self::Refused(message_of(message)),
            Self::Unavailable { message, retry_after } => {
                Self::Unavailable { message: message_of(message), retry_after }
            }
        }
    }
}

/// The namespace is what is not there.
fn is_namespace(status: &Status) -> bool {
    status.details.as_ref().is_some_and(|details| details.kind == "namespaces")
}

fn is_about_uid(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.field == "metadata.uid")
}

fn has_cause(status: &Status, reason: &str) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == reason)
}

#[cfg(test)]
mod tests {
    use kube::core::response::{StatusCause, StatusDetails};

    use super::*;

    fn answered(code: u16, to: To, cause: (&str, &str), retry_after_seconds: u32) -> ApplyError {
        let cause = StatusCause { reason: cause.0.into(), field: cause.1.into(), message: String::new() };
        let none = String::new;
        let details = StatusDetails {
            name: none(),
            group: none(),
            kind: none(),
            uid: none(),
            causes: vec![cause],
            retry_after_seconds,
        };
        let status = Status { code, details: Some(details), ..Status::failure("no", "Reason") };
        ApplyError::from_answer(&kube::Error::Api(status.boxed()), to, "patches[0]")
    }

    #[test]
    fn a_write_to_an_object_that_may_be_gone_or_another_is_told_apart() {
        assert!(matches!(answered(404, To::TheObject, ("", ""), 0), ApplyError::Gone(_)));
        for (code, field) in [(409, ""), (422, "metadata.uid")] {
            assert!(matches!(answered(code, To::TheObject, ("", field), 0), ApplyError::Conflict(_)));
        }
    }

    #[test]
    fn where_the_objects_own_namespace_goes_nobody_is_told() {
        let terminating = |to| answered(403, to, ("NamespaceTerminating", ""), 0);
        assert!(matches!(terminating(To::Beside), ApplyError::Ending(_)));
        assert!(matches!(terminating(To::TheObject), ApplyError::Ending(_)));
        assert!(matches!(terminating(To::Elsewhere), ApplyError::Unavailable { .. }));
    }

    #[test]
    fn what_a_person_has_to_mend_is_refused_with_the_servers_words() {
        for code in [400, 403, 404, 405, 422] {
            let error = answered(code, To::Elsewhere, ("", "metadata.uid"), 0);
            assert_eq!(error, ApplyError::Refused(format!("patches[0]: the API server answered {code} Reason: no")));
        }
        assert!(matches!(answered(422, To::TheObject, ("", "spec"), 0), ApplyError::Refused(_)));
        assert!(matches!(answered(403, To::TheObject, ("", ""), 0), ApplyError::Refused(_)));
    }

    #[test]
    fn what_may_do_in_a_moment_is_tried_again_when_the_server_says() {
        for code in [408, 409, 429, 500, 503, 504] {
            let error = answered(code, To::Elsewhere, ("", ""), 7);
            assert!(matches!(error, ApplyError::Unavailable { retry_after: Some(after), .. } if after.as_secs() == 7));
        }
        assert!(matches!(answered(503, To::Elsewhere, ("", ""), 0), ApplyError::Unavailable { retry_after: None, .. }));
    }
}
