//! The socket that a server listens on, and where others find it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use anyhow::anyhow;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that the system holds until they are taken. Beyond it, it drops them, and who comes tries again after a
/// second; some hundred come at once where somebody means ill. The system may hold fewer (`net.core.somaxconn`).
const BACKLOG: u32 = 4_096;

/// Binds `address`.
pub(crate) fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // So that a restart finds it free; two processes still cannot have it.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bound().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!(
            "{address} is in use by another program; choose another port with --listen {}:PORT (0 takes a free one)",
            address.ip()
        ),
        io::ErrorKind::PermissionDenied => {
            anyhow!(
                "{address} may not be used by this user; choose a port above 1023 with --listen {}:PORT",
                address.ip()
            )
        }
        io::ErrorKind::AddrNotAvailable => {
            anyhow!("{} is no address of this machine; choose another with --listen IP:PORT", address.ip())
        }
        _ => anyhow::Error::from(error).context(format!("listening on {address}")),
    })
}

/// Where a browser finds the dashboard of what listens on `address`, also where that is all addresses of this machine.
pub(crate) fn dashboard_url(address: SocketAddr) -> String {
    reachable(address, own_address(address))
}

/// Where a browser finds what listens on `address`: on all addresses, this machine's loopback, and for others its `own`.
fn reachable(address: SocketAddr, own: Option<IpAddr>) -> String {
    if !address.ip().is_unspecified() {
        return format!("http://{address}/");
    }
    let loopback: IpAddr = if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    let here = format!("http://{}/", SocketAddr::new(loopback, address.port()));
    match own.filter(|own| !own.is_loopback() && !own.is_unspecified()) {
        Some(own) => format!("{here} or, from another machine, http://{}/", SocketAddr::new(own, address.port())),
        None => format!("{here} or, from another machine, this one's name with port {}", address.port()),
    }
}

/// The address that this machine has towards others, of the same family as `listening`. Nothing is sent: a datagram socket
/// that is given a peer (of a block kept for documentation, RFC 5737 and RFC 3849) only looks for the way.
fn own_address(listening: SocketAddr) -> Option<IpAddr> {
    if !listening.ip().is_unspecified() {
        return None;
    }
    let (from, to): (SocketAddr, SocketAddr) = if listening.is_ipv4() {
        ((Ipv4Addr::UNSPECIFIED, 0).into(), (Ipv4Addr::new(192, 0, 2, 1), 9).into())
    } else {
        ((Ipv6Addr::UNSPECIFIED, 0).into(), (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into())
    };
    let socket = UdpSocket::bind(from).ok()?;
    socket.connect(to).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_address_that_is_told_is_one_that_a_browser_reaches() {
        let own = Some(IpAddr::from([10, 0, 0, 7]));
        for (listening, own, text) in [
            ("127.0.0.1:8080", own, "http://127.0.0.1:8080/"),
            ("10.1.2.3:80", own, "http://10.1.2.3:80/"),
            ("0.0.0.0:8080", own, "http://127.0.0.1:8080/ or, from another machine, http://10.0.0.7:8080/"),
            ("0.0.0.0:80", None, "http://127.0.0.1:80/ or, from another machine, this one's name with port 80"),
            (
                "[::]:80",
                Some("fd00::7".parse().expect("an address")),
                "http://[::1]:80/ or, from another machine, http://[fd00::7]:80/",
            ),
        ] {
            assert_eq!(reachable(listening.parse().expect("an address"), own), text, "{listening}");
        }
    }

    #[tokio::test]
    async fn a_port_in_use_is_named_with_the_way_out() {
        let taken = bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = taken.local_addr().expect("its address");
        let error = bind(address).expect_err("it is taken").to_string();
        assert!(error.contains(&address.to_string()) && error.contains("--listen"), "{error}");
    }

    #[tokio::test]
    async fn hundreds_who_come_at_once_wait_here_and_not_a_second_elsewhere() {
        let held = std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok();
        if held.and_then(|text| text.trim().parse::<u32>().ok()).is_none_or(|held| held < 1_024) {
            println!("SKIPPED hundreds_who_come_at_once: the system holds fewer than 1,024 connections");
            return;
        }
        let listener = bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let come = || std::net::TcpStream::connect_timeout(&address, Duration::from_millis(900));
        // Nobody takes them.
        let held: Vec<_> = (0..400).map_while(|_| come().ok()).collect();
        assert_eq!(held.len(), 400);
    }
}
