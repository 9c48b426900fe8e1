//! Why an event could not be handled, and how errors of other kinds become
//! that: [`OrFail`].

use alloc::{format, string::String, vec::Vec};
use core::fmt::Display;
use core::time::Duration;

use serde::Serialize;

use crate::patch_set::milliseconds;
use crate::{Failure, Next, Notice};

impl Failure {
    /// It is the input that is wrong: the host calls again when the object, the
    /// plugin or its settings change. The message says what is wrong and what
    /// would be right.
    ///
    /// ```
    /// use operon_plugin::{Failure, json};
    ///
    /// let failure = Failure::reject("spec.size is missing: expected a whole number")
    ///     .status(&json!({ "ready": false }));
    /// ```
    pub fn reject(message: impl Into<String>) -> Self {
        Self::new(Next::Reject, message)
    }

    /// It may go better later: the host calls again with backoff, or
    /// [`after`](Self::after) a delay.
    pub fn retry(message: impl Into<String>) -> Self {
        Self::new(Next::Retry(None), message)
    }

    fn new(next: Next, message: impl Into<String>) -> Self {
        Self { next, message: message.into(), status: None, notices: Vec::new() }
    }

    /// Retry after this delay instead of the host's backoff. A rejection
    /// becomes a retry.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.next = Next::Retry(Some(milliseconds(delay)));
        self
    }

    /// The status to write in spite of the failure. One that can't be made JSON
    /// is left out, and the message says so.
    #[must_use]
    pub fn status<T: Serialize + ?Sized>(mut self, status: &T) -> Self {
        match serde_json::to_string(status) {
            Ok(status) => self.status = Some(status),
            Err(error) => self.message = format!("{} (its status can't be made JSON: {error})", self.message),
        }
        self
    }

    /// A further message for people.
    #[must_use]
    pub fn notice(mut self, notice: Notice) -> Self {
        self.notices.push(notice);
        self
    }
}

/// Makes errors and missing values failures, so that `?` passes them on. Which
/// failure it is has to be said: no error is retried or rejected by accident.
///
/// ```
/// use operon_plugin::{Failure, OrFail};
///
/// fn port(text: Option<&str>) -> Result<u16, Failure> {
///     text.or_reject("spec.port is missing")?.parse().or_reject("spec.port")
/// }
///
/// let failure = port(Some("http")).unwrap_err();
/// assert_eq!(failure.message, "spec.port: invalid digit found in string");
/// ```
pub trait OrFail<T> {
    /// The value, or a rejection that begins with `what`.
    fn or_reject(self, what: &str) -> Result<T, Failure>;

    /// The value, or a failure to be retried that begins with `what`.
    fn or_retry(self, what: &str) -> Result<T, Failure>;
}

impl<T, E: Display> OrFail<T> for Result<T, E> {
    fn or_reject(self, what: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::reject(format!("{what}: {error}")))
    }

    fn or_retry(self, what: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::retry(format!("{what}: {error}")))
    }
}

impl<T> OrFail<T> for Option<T> {
    fn or_reject(self, what: &str) -> Result<T, Failure> {
        self.ok_or_else(|| Failure::reject(what))
    }

    fn or_retry(self, what: &str) -> Result<T, Failure> {
        self.ok_or_else(|| Failure::retry(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use crate::testing::UNWRITABLE;

    #[test]
    fn a_retry_leaves_the_delay_to_the_host_unless_it_names_one() {
        assert_eq!(Failure::retry("busy").next, Next::Retry(None));
        let failure = Failure::retry("busy").after(Duration::from_secs(2));
        assert_eq!(failure.next, Next::Retry(Some(2_000)));
    }

    #[test]
    fn a_rejection_with_a_delay_is_a_retry() {
        let failure = Failure::reject("wrong").after(Duration::from_millis(1));
        assert_eq!(failure.next, Next::Retry(Some(1)));
    }

    #[test]
    fn a_failure_carries_status_and_notices() {
        let failure = Failure::reject("wrong")
            .status(&json!({ "ready": false }))
            .notice(Notice::normal("Hint", "see the manual"));
        assert_eq!(failure.next, Next::Reject);
        assert_eq!(failure.status.as_deref(), Some("{\"ready\":false}"));
        assert_eq!(failure.notices, [Notice::normal("Hint", "see the manual")]);
    }

    #[test]
    fn a_status_that_is_no_json_is_left_out_and_the_message_says_so() {
        let failure = Failure::reject("wrong").status(&UNWRITABLE);
        assert_eq!(failure.status, None);
        assert!(failure.message.starts_with("wrong (its status can't be made JSON: "));
    }

    #[test]
    fn an_error_is_rejected_or_retried_as_the_caller_says() {
        let error = || Err::<(), _>("no");
        assert_eq!(error().or_reject("name"), Err(Failure::reject("name: no")));
        assert_eq!(error().or_retry("name"), Err(Failure::retry("name: no")));
        assert_eq!(Ok::<_, &str>(1).or_reject("name"), Ok(1));
    }

    #[test]
    fn a_missing_value_is_rejected_or_retried_as_the_caller_says() {
        assert_eq!(None::<()>.or_reject("none"), Err(Failure::reject("none")));
        assert_eq!(None::<()>.or_retry("none"), Err(Failure::retry("none")));
        assert_eq!(Some(1).or_retry("none"), Ok(1));
    }
}
