use super::*;

#[derive(serde::Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(serde::Deserialize)]
struct Vector {
    id: String,
    algorithm: String,
    auth_token: String,
    url: String,
    params: Option<Vec<(String, String)>>,
    raw_body: Option<String>,
    content_type: Option<String>,
    body: Option<String>,
    signature: String,
    valid: bool,
}

impl Vector {
    fn verdict(&self) -> Result<(), SignatureError> {
        let shared = self.algorithm == "HMAC_SHA256";
        let validator = if shared {
            let key = SharedKey::new(&self.auth_token).unwrap();
            Validator::new(AuthToken::new("another").unwrap(), Some(key))
        } else {
            Validator::new(AuthToken::new(&self.auth_token).unwrap(), None)
        };
        let settings = format!("key=webhooks_sharedkey_x,algorithm={}", self.algorithm);
        let json = self.content_type.as_deref() == Some("application/json");
        let body = match (&self.params, &self.body) {
            (Some(params), _) => SignedBody::Form(params),
            (None, Some(body)) if json => SignedBody::Json(body.as_bytes()),
            _ => SignedBody::None,
        };
        let settings = shared.then_some(settings.as_str());
        validator.verify(&self.url, body, Some(&self.signature), settings)
    }
}

fn vectors() -> Vec<Vector> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/assets/signature_vectors.json");
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str::<Vectors>(&text).unwrap().vectors
}

fn validator() -> Validator {
    Validator::new(AuthToken::new("0123456789abcdef0123456789abcdef").unwrap(), None)
}

#[test]
fn every_known_signature_gets_its_verdict() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 40);
    for vector in &vectors {
        let verdict = vector.verdict();
        assert_eq!(verdict.is_ok(), vector.valid, "{}: {verdict:?}", vector.id);
    }
}

#[test]
fn a_form_decoded_by_us_is_the_form_that_was_signed() {
    for vector in vectors().iter().filter(|vector| vector.valid) {
        if let (Some(params), Some(raw)) = (&vector.params, &vector.raw_body) {
            let form = super::super::form::Form::parse(raw.as_bytes()).unwrap();
            assert_eq!(form.pairs(), params, "{}", vector.id);
        }
    }
}

#[test]
fn what_we_sign_we_accept() {
    let fields = [("b".to_owned(), String::new()), ("a".to_owned(), "é".to_owned())];
    for url in [
        "https://rec.example.test/x?k=v#rc=5&rp=all",
        "https://user:pass@rec.example.test:8443/x?k=v",
        "https://[2001:db8::1]:8443/x?k=v",
        "wss://rec.example.test:8443/x?k=v",
        "http://rec.example.test:8080/x?k=v",
    ] {
        let signature = validator().sign(url, &fields);
        let received = url.split('#').next().unwrap().replace("user:pass@", "");
        let verdict =
            validator().verify(&received, SignedBody::Form(&fields), Some(&signature), None);
        assert_eq!(verdict, Ok(()), "{url}");
    }
}

#[test]
fn a_port_that_appears_or_goes_is_tolerated_and_another_is_not() {
    let signed = |url| mac(Algorithm::HmacSha1, validator().auth_token.0.as_bytes(), url);
    let verdict =
        |url, signature: &str| validator().verify(url, SignedBody::None, Some(signature), None);
    let with_port = signed(b"wss://h/m".as_slice());
    assert_eq!(verdict("wss://h:443/m", &with_port), Ok(()));
    assert_eq!(verdict("wss://h/m", &signed(b"wss://h:443/m")), Ok(()));
    assert_eq!(verdict("https://[::1]/m", &signed(b"https://[::1]:443/m")), Ok(()));
    assert_eq!(verdict("https://[::1]:9/m", &signed(b"https://[::1]/m")), Ok(()));
    assert_eq!(verdict("wss://h/m", &signed(b"wss://h:8443/m")), Err(SignatureError::Mismatch));
}

#[test]
fn the_settings_header_cannot_choose_a_secret_that_is_not_configured() {
    let verdict = |validator: &Validator, settings| {
        validator.verify("https://h/x", SignedBody::None, Some("x"), Some(settings))
    };
    let plain = validator();
    assert_eq!(verdict(&plain, "algorithm=HMAC_SHA256"), Err(SignatureError::NoSharedKey));
    assert_eq!(verdict(&plain, "algorithm=HMAC_MD5"), Err(SignatureError::UnknownAlgorithm));
    let signature = plain.sign("https://h/x", &[]);
    for settings in ["", "key=k", "key=k,algorithm=HMAC_SHA1", "algorithm=HMAC_SHA1"] {
        let verdict =
            plain.verify("https://h/x", SignedBody::None, Some(&signature), Some(settings));
        assert_eq!(verdict, Ok(()), "{settings}");
    }
    let both = Validator::new(plain.auth_token.clone(), SharedKey::new("shared").ok());
    let settings = "key=webhooks_sharedkey_x,algorithm=HMAC_SHA256";
    assert_eq!(verdict(&both, settings), Err(SignatureError::Mismatch));
    let by_key = mac(Algorithm::HmacSha1, b"shared", b"https://h/x");
    let settings = Some("key=webhooks_sharedkey_x, algorithm=HMAC_SHA1");
    assert_eq!(both.verify("https://h/x", SignedBody::None, Some(&by_key), settings), Ok(()));
}

#[test]
fn a_request_without_a_signature_is_refused() {
    for header in [None, Some("")] {
        let verdict = validator().verify("https://h/x", SignedBody::None, header, None);
        assert_eq!(verdict, Err(SignatureError::Missing));
    }
}

#[test]
fn a_secret_is_never_printed_and_never_empty() {
    let printed = format!("{:?} {:?}", validator(), SharedKey::new("shared-secret"));
    assert!(!printed.contains("0123") && !printed.contains("shared-secret"), "{printed}");
    assert_eq!(AuthToken::new(" \n").unwrap_err(), EmptySecret);
}

proptest::proptest! {
    #[test]
    fn any_url_and_headers_are_taken(url: String, header: String, settings: String) {
        // The verdict on noise does not matter, only that there is one.
        let _verdict =
            validator().verify(&url, SignedBody::Json(b"{}"), Some(&header), Some(&settings));
        let _verdict =
            validator().verify(&url, SignedBody::None, Some(&header), Some(&settings));
        validator().sign(&url, &[]);
    }
}
