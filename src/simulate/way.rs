//! The way to the appliance: where it is, and whose certificate it may show.

use std::io;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::Connector;
use url::Url;

use crate::twilio::door::PublicUrl;

/// Certificates that vouch for others, in place of those that the machine knows.
#[derive(Clone)]
pub struct Roots {
    for_requests: Vec<reqwest::Certificate>,
    for_streams: Arc<ClientConfig>,
}

/// A text in which no such certificates are.
#[derive(Debug, thiserror::Error)]
#[error("no certificates of an authority: {why}")]
pub struct BadRoots {
    why: String,
}

impl Roots {
    /// Takes them as PEM.
    pub fn parse(pem: &[u8]) -> Result<Self, BadRoots> {
        let bad = |why: String| BadRoots { why };
        let for_requests =
            reqwest::Certificate::from_pem_bundle(pem).map_err(|error| bad(error.to_string()))?;
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| bad(error.to_string()))?;
            store.add(certificate).map_err(|error| bad(error.to_string()))?;
        }
        if store.is_empty() {
            return Err(bad("there is none in it".to_owned()));
        }
        let client = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| bad(error.to_string()))?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Self { for_requests, for_streams: Arc::new(client) })
    }
}

/// Where the appliance is reached from here. Whatever its address here, it is spoken to by its public
/// name, and an encrypted one must prove that name: so it is when Twilio comes through the network.
pub(super) struct Way {
    base: Url,
    /// The host and port that are connected to.
    at: (String, u16),
    roots: Option<Roots>,
}

impl Way {
    /// Takes the address of its Twilio listener, as it is reached from here.
    pub(super) fn new(target: &Url, public_url: &PublicUrl, roots: Option<Roots>) -> Self {
        let host = target.host().map(|host| match host {
            url::Host::Domain(name) => name.to_owned(),
            url::Host::Ipv4(address) => address.to_string(),
            url::Host::Ipv6(address) => address.to_string(),
        });
        let port = target.port_or_known_default().unwrap_or_default();
        let at = (host.unwrap_or_default(), port);
        let mut base = target.clone();
        let public = Url::parse(public_url.as_str());
        if target.scheme() == "https"
            && let Some(name) = public.ok().as_ref().and_then(Url::host_str)
        {
            // A host that a URL had is fit to be one's.
            let _ = base.set_host(Some(name));
        }
        Self { base, at, roots }
    }

    /// Returns what a path behind the public address is asked for here.
    pub(super) fn url(&self, path: &str) -> Option<Url> {
        let base = self.base.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}{path}")).ok()
    }

    /// Makes a client that goes this way.
    pub(super) fn client(&self) -> reqwest::Result<reqwest::Client> {
        // The appliance is on this machine or on the office's network, whatever proxy there is.
        let client = reqwest::Client::builder()
            .no_proxy()
            .http1_only()
            .dns_resolver(Arc::new(Always { at: self.at.clone() }))
            .redirect(reqwest::redirect::Policy::none());
        match &self.roots {
            Some(roots) => client.tls_certs_only(roots.for_requests.clone()).build(),
            None => client.build(),
        }
    }

    /// Connects for a stream.
    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((self.at.0.as_str(), self.at.1)).await?;
        // A frame is worth sending before there are enough of them to fill a packet.
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Returns what a stream is encrypted by; none for what the machine knows.
    pub(super) fn connector(&self) -> Option<Connector> {
        self.roots.as_ref().map(|roots| Connector::Rustls(Arc::clone(&roots.for_streams)))
    }
}

/// Leads every name to one place.
struct Always {
    at: (String, u16),
}

impl Resolve for Always {
    fn resolve(&self, _: Name) -> Resolving {
        let at = self.at.clone();
        Box::pin(async move {
            let addresses: Vec<_> = lookup_host((at.0.as_str(), at.1)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
