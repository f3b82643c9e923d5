//! The `application/x-www-form-urlencoded` body of a webhook.

/// Fields that one form may have: Twilio sends some 30 and up to 99 custom ones.
pub const FIELDS_MAX: usize = 256;

/// A form with more fields than any of Twilio's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("form has more than {FIELDS_MAX} fields")]
pub struct TooManyFields;

/// A decoded form: every field in the order it came, blank and repeated ones too.
///
/// The signature covers blank fields, so none may be lost before it is checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Form {
    pairs: Vec<(String, String)>,
}

impl Form {
    /// Decodes a request body.
    pub fn parse(body: &[u8]) -> Result<Self, TooManyFields> {
        let mut fields = form_urlencoded::parse(body);
        let pairs: Vec<_> = fields.by_ref().take(FIELDS_MAX).map(into_owned).collect();
        if fields.next().is_some() { Err(TooManyFields) } else { Ok(Self { pairs }) }
    }

    /// Returns the decoded fields in wire order, as the signature wants them.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// Returns the first value of a field, blank or not.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the first value of a field unless it is blank: Twilio sends both for "none".
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }
}

/// Shows the fields' names only: their values are phone numbers and tokens.
impl std::fmt::Debug for Form {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_set().entries(self.pairs.iter().map(|(name, _)| name)).finish()
    }
}

fn into_owned(
    (name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>),
) -> (String, String) {
    (name.into_owned(), value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_and_repeated_fields_and_their_order_are_kept() {
        let form = Form::parse(b"b=2&a=&b=1&c&To=%2B1500+5550%20006&=x").unwrap();
        let expected = [("b", "2"), ("a", ""), ("b", "1"), ("c", ""), ("To", "+1500 5550 006")];
        assert_eq!(form.pairs().len(), expected.len() + 1);
        for (pair, (name, value)) in form.pairs().iter().zip(expected) {
            assert_eq!((pair.0.as_str(), pair.1.as_str()), (name, value));
        }
        assert_eq!(form.get("b"), Some("2"));
        assert_eq!((form.get("a"), form.filled("a")), (Some(""), None));
    }

    #[test]
    fn a_form_of_too_many_fields_is_refused() {
        let body = |count| vec!["a=1"; count].join("&").into_bytes();
        assert_eq!(Form::parse(&body(FIELDS_MAX)).unwrap().pairs().len(), FIELDS_MAX);
        assert_eq!(Form::parse(&body(FIELDS_MAX + 1)), Err(TooManyFields));
    }

    #[test]
    fn what_is_printed_holds_no_value() {
        let form = Form::parse(b"From=%2B15005550123").unwrap();
        assert_eq!(format!("{form:?}"), r#"{"From"}"#);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_taken(body: Vec<u8>) {
            Form::parse(&body).unwrap();
        }
    }
}
