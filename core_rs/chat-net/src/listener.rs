//! The listening socket and what it accepts.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

/// Connections the kernel keeps until they are accepted (bounded by net.core.somaxconn).
const BACKLOG: i32 = 4_096;
/// Bytes the kernel keeps per connection for sending, so that the backlog is ours.
const SEND_BUFFER_BYTES: usize = 128 * 1024;

/// Bytes the kernel keeps per connection that is not read; it would grow to megabytes by itself.
const RECEIVE_BUFFER_BYTES: usize = 128 * 1024;

/// Binds and listens.
///
/// # Errors
/// What the system says: address in use, no such address, no permission.
pub(crate) fn listen(address: SocketAddr, reuse_port: bool) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&fd, true)?;
    if reuse_port {
        sockopt::set_socket_reuseport(&fd, true)?;
    }
    // Inherited by what is accepted, and known when a window is first offered (tcp(7)).
    sockopt::set_socket_recv_buffer_size(&fd, RECEIVE_BUFFER_BYTES)?;
    net::bind(&fd, &address)?;
    net::listen(&fd, BACKLOG)?;
    Ok(fd)
}

/// The address a listener is bound to.
///
/// # Errors
/// What the system says.
pub(crate) fn address_of(listener: &OwnedFd) -> io::Result<SocketAddr> {
    let name = net::getsockname(listener)?;
    SocketAddr::try_from(name).map_err(|_| io::Error::other("not an internet address"))
}

/// What one accept came to.
pub(crate) enum Accepted {
    /// A connection.
    Socket(OwnedFd, IpAddr),
    /// Nothing waits.
    Nothing,
    /// No descriptors or memory left.
    Exhausted,
    /// That one failed; there may be others.
    Failed,
}

/// Accepts one connection, without delay (RFC 896 off) and with a bounded send buffer.
pub(crate) fn accept(listener: &OwnedFd) -> Accepted {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (fd, from) = match net::acceptfrom_with(listener.as_fd(), flags) {
        Ok((fd, Some(from))) => (fd, from),
        Err(Errno::AGAIN) => return Accepted::Nothing,
        Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
            return Accepted::Exhausted;
        }
        Ok((_, None)) | Err(_) => return Accepted::Failed,
    };
    let Ok(from) = SocketAddr::try_from(from) else {
        return Accepted::Failed;
    };
    let quick = sockopt::set_tcp_nodelay(&fd, true);
    let bounded = sockopt::set_socket_send_buffer_size(&fd, SEND_BUFFER_BYTES);
    if quick.and(bounded).is_err() {
        return Accepted::Failed;
    }
    Accepted::Socket(fd, from.ip().to_canonical())
}
