//! Where models are published.

use std::fmt;

use url::Url;

/// Where whisper.cpp's own models are.
const PUBLISHED_AT: &str = "https://huggingface.co/ggerganov/whisper.cpp/resolve/main/";

/// An address that is no mirror's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no base address: write it like \"https://mirror.example.org/whisper\"")]
pub struct BadMirror(String);

/// The folder on the web that a model's file is in.
#[derive(Clone, PartialEq, Eq)]
pub struct Mirror {
    /// An address that was looked at, ending with a slash.
    base: String,
}

impl Mirror {
    /// Reads an http or https address; the file's name is appended to it.
    pub fn parse(text: &str) -> Result<Self, BadMirror> {
        let bad = || BadMirror(text.to_owned());
        let base = Url::parse(text.trim()).map_err(|_| bad())?;
        let web = matches!(base.scheme(), "http" | "https") && base.host().is_some();
        if !web || base.query().is_some() || base.fragment().is_some() {
            return Err(bad());
        }
        let base: String = base.into();
        Ok(Self { base: format!("{}/", base.trim_end_matches('/')) })
    }

    /// Returns the address of a file there.
    pub(super) fn address(&self, file_name: &str) -> Result<Url, BadMirror> {
        let address = format!("{}{file_name}", self.base);
        Url::parse(&address).map_err(|_| BadMirror(address))
    }
}

impl Default for Mirror {
    /// Returns where they are published.
    fn default() -> Self {
        Self { base: PUBLISHED_AT.to_owned() }
    }
}

/// Shows where it is, without the password that may be in the address.
impl fmt::Display for Mirror {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&Url::parse(&self.base).map(|url| shown(&url)).unwrap_or_default())
    }
}

impl fmt::Debug for Mirror {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Mirror({self})")
    }
}

/// Writes an address without user and password, and without what a signed one carries.
pub(super) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_below_the_base_with_or_without_a_slash() {
        for base in ["https://m.example/whisper", "https://m.example/whisper/"] {
            let mirror = Mirror::parse(base).unwrap();
            let address = mirror.address("ggml-base.bin").unwrap();
            assert_eq!(address.as_str(), "https://m.example/whisper/ggml-base.bin");
        }
        let published = Mirror::default().address("ggml-tiny.bin").unwrap();
        assert_eq!(published.as_str(), format!("{PUBLISHED_AT}ggml-tiny.bin"));
    }

    #[test]
    fn a_password_in_the_address_is_not_shown() {
        let mirror = Mirror::parse("https://box:secret@m.example:8443/w").unwrap();
        assert_eq!(format!("{mirror} {mirror:?}").matches("secret").count(), 0);
        assert_eq!(mirror.to_string(), "https://m.example:8443/w/");
    }

    #[test]
    fn what_is_no_web_address_is_refused() {
        for text in ["", "m.example/whisper", "ftp://m.example/", "file:///media", "https://m/?a=b"]
        {
            assert!(Mirror::parse(text).is_err(), "{text}");
        }
    }
}
