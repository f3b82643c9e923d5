//! Ports that systemd holds, so that a restart refuses no connection.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;

/// What may wait at a port: the queue that fieldtape.socket asks for, and the kernel's one more.
const WAITING_MAX: usize = 513;

/// The ports this process was started with.
#[derive(Debug, Default)]
pub struct Handed {
    ports: Vec<TcpListener>,
}

impl Handed {
    /// Takes them, at the first call. Before there are threads: it takes them out of the
    /// environment too, so that no other program thinks that they are its own.
    pub fn take() -> Self {
        let mut handed = ListenFd::from_env();
        let mut ports = Vec::new();
        for index in 0..handed.len() {
            match handed.take_tcp_listener(index) {
                Ok(port) => ports.extend(port),
                Err(error) => {
                    tracing::warn!(%error, "systemd handed over something that is no port");
                }
            }
        }
        Self { ports }
    }

    /// Gives out the port with this address, ready for the async runtime.
    pub(super) fn at(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let is_it = |port: &TcpListener| port.local_addr().is_ok_and(|held| held == address);
        let index = self.ports.iter().position(is_it)?;
        ready(self.ports.swap_remove(index))
    }

    /// Gives out any port there is.
    pub(super) fn any(&mut self) -> Option<TcpListener> {
        self.ports.pop().and_then(ready)
    }

    /// Closes the connections that wait. For a start that comes to nothing: while one waits, systemd
    /// would start us again and again, and whoever waits should hear it soon.
    pub fn turn_away(self) {
        for port in self.ports.into_iter().filter_map(ready) {
            for _ in 0..WAITING_MAX {
                match port.accept() {
                    Ok(_closed) => {}
                    Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                    Err(_) => break,
                }
            }
        }
    }
}

fn ready(port: TcpListener) -> Option<TcpListener> {
    match port.set_nonblocking(true) {
        Ok(()) => Some(port),
        Err(error) => {
            tracing::warn!(%error, "the port that systemd holds cannot be used");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpStream;

    use super::*;

    fn handed() -> (Handed, SocketAddr) {
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        (Handed { ports: vec![port] }, address)
    }

    #[test]
    fn a_port_is_given_out_once_and_by_its_address() {
        let (mut held, address) = handed();
        assert!(held.at("127.0.0.1:1".parse().unwrap()).is_none());
        assert_eq!(held.at(address).unwrap().local_addr().unwrap(), address);
        assert!(held.any().is_none());
    }

    #[test]
    fn who_waits_is_turned_away_at_once() {
        let (held, address) = handed();
        let mut waiting = TcpStream::connect(address).unwrap();
        held.turn_away();
        assert_eq!(waiting.read(&mut [0]).unwrap(), 0);
    }
}
