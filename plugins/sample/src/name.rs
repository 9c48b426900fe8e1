//! What the Deployment of a Sample is called.

use alloc::{format, string::String};

/// The longest name: it is also the value of a label.
const LONGEST: usize = 63;

/// Stands for the name of the Sample.
const PLACEHOLDER: &str = "{name}";

/// A name, or one for each Sample: `{name}` in it stands for the name of the
/// Sample, so that several of them can live in one namespace.
#[derive(Debug, PartialEq)]
pub(crate) struct NameTemplate(String);

impl NameTemplate {
    /// # Errors
    ///
    /// What is wrong with it, where no Sample could get a name from it.
    pub(crate) fn new(template: &str) -> Result<Self, String> {
        let template = Self(template.into());
        match template.of("a") {
            Ok(_) => Ok(template),
            Err(_) => Err(format!(
                "\"{}\" makes no DNS name: expected lower-case letters, digits, '-' and '.', \
                 letters or digits at both ends and beside each '.', {LONGEST} characters at \
                 most; {PLACEHOLDER} stands for the name of the Sample",
                template.0
            )),
        }
    }

    /// The name for this Sample.
    ///
    /// # Errors
    ///
    /// A message that shows the name, where Kubernetes wouldn't take it.
    pub(crate) fn of(&self, sample: &str) -> Result<String, String> {
        let name = self.0.replace(PLACEHOLDER, sample);
        if is_dns_name(&name) {
            Ok(name)
        } else {
            Err(format!(
                "the name of the Deployment would be \"{name}\": expected a DNS name of at most \
                 {LONGEST} characters"
            ))
        }
    }
}

/// Whether it is a DNS subdomain (RFC 1123) that is short enough.
fn is_dns_name(name: &str) -> bool {
    name.len() <= LONGEST && name.split('.').all(is_dns_label)
}

fn is_dns_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !label.is_empty() && label.bytes().all(allowed) && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(template: &str, sample: &str) -> Result<String, String> {
        NameTemplate::new(template)?.of(sample)
    }

    #[test]
    fn a_name_is_the_same_for_each_sample() {
        assert_eq!(name("demo-deploy", "obj"), Ok("demo-deploy".into()));
    }

    #[test]
    fn a_template_makes_a_name_of_its_own_for_each_sample() {
        assert_eq!(name("{name}-deploy", "obj"), Ok("obj-deploy".into()));
        assert_eq!(name("{name}", "a.b"), Ok("a.b".into()));
        assert_eq!(name("{name}.{name}", "a"), Ok("a.a".into()));
    }

    #[test]
    fn a_template_that_makes_no_dns_name_is_refused() {
        let long = "x".repeat(LONGEST + 1);
        for template in [
            "",
            "Demo",
            "demo_deploy",
            "-demo",
            "demo-",
            "a..b",
            ".a",
            "a.",
            "a.-b",
            "d\u{e9}mo",
            "{nmae}-deploy",
            "{name",
            "{ name }",
            &long,
        ] {
            let message = name(template, "obj").unwrap_err();
            assert!(message.starts_with(&format!("\"{template}\" makes no DNS name: ")));
        }
    }

    #[test]
    fn a_sample_whose_name_makes_too_long_a_name_is_told_so() {
        let sample = "x".repeat(LONGEST - 1);
        assert_eq!(name("{name}d", &sample), Ok(format!("{sample}d")));
        let message = name("{name}-d", &sample).unwrap_err();
        assert_eq!(
            message,
            format!(
                "the name of the Deployment would be \"{sample}-d\": expected a DNS name of at \
                 most 63 characters"
            )
        );
    }
}
