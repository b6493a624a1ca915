//! The head of a request: where it ends, and its parts.
//!
//! `httparse` reads the parts but is lenient where smuggling begins (bare LF), and does not say
//! which limit was passed; the pass that looks for the end judges that.

use super::respond::Refusal;
use super::{ErrorCode, bad};
use crate::limits::{HEAD_BYTES_MAX, HEAD_LINE_BYTES_MAX, HEADERS_MAX};

/// Stands for a value that is not UTF-8.
pub(super) const NOT_UTF8: &str = "\u{fffd}";

/// How much of a head is there.
pub(super) enum Head {
    Partial,
    /// All of it, that many bytes.
    Whole(usize),
}

/// A request head.
pub(super) struct Request<'h, 'r> {
    pub(super) method: &'h str,
    /// The target's path, not decoded.
    pub(super) path: &'h str,
    /// What follows the first `?`, not decoded.
    pub(super) query: Option<&'h str>,
    pub(super) is_http_1_1: bool,
    headers: &'r [httparse::Header<'h>],
}

impl<'h> Request<'h, '_> {
    /// The values of all fields of that name, which is lower case. A value that is not UTF-8 is
    /// shown as [`NOT_UTF8`], which nothing accepts, so that it counts but never as absent.
    pub(super) fn values(&self, name: &'static str) -> impl Iterator<Item = &'h str> {
        let fields = self
            .headers
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name));
        fields.map(|field| {
            let value = std::str::from_utf8(field.value).unwrap_or(NOT_UTF8);
            value.trim_matches([' ', '\t'])
        })
    }

    /// The value of a field that must stand once.
    pub(super) fn only(&self, name: &'static str) -> Option<&'h str> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// Whether a comma-separated field lists `element`, in whatever case.
    pub(super) fn lists(&self, name: &'static str, element: &str) -> bool {
        self.values(name)
            .flat_map(|value| value.split(','))
            .any(|listed| {
                listed
                    .trim_matches([' ', '\t'])
                    .eq_ignore_ascii_case(element)
            })
    }
}

fn too_long(first_line: bool) -> Refusal {
    if first_line {
        Refusal::new(414, ErrorCode::TooLarge, "The request line is too long.")
    } else {
        Refusal::new(431, ErrorCode::TooLarge, "The header fields are too large.")
    }
}

/// Looks for the end of the head, and for what cannot become one.
pub(super) fn measure(bytes: &[u8]) -> Result<Head, Refusal> {
    let mut line_start = 0;
    let mut lines = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if index == HEAD_BYTES_MAX || index - line_start > HEAD_LINE_BYTES_MAX {
            return Err(too_long(lines == 0));
        }
        match byte {
            b'\n' => {
                // An empty line before the request line is not tolerated either.
                if index == line_start || bytes[index - 1] != b'\r' || index < 2 {
                    return Err(bad("A line must end with CR LF."));
                }
                if index == line_start + 1 {
                    return Ok(Head::Whole(index + 1));
                }
                lines += 1;
                line_start = index + 1;
                if lines > HEADERS_MAX + 1 {
                    return Err(too_long(false));
                }
            }
            b'\t' | b'\r' => {}
            0..=0x1f | 0x7f => return Err(bad("The head holds a byte that may not stand there.")),
            _ => {}
        }
    }
    Ok(Head::Partial)
}

/// Parses a whole head and hands it on.
pub(super) fn with_request<T>(
    head: &[u8],
    judge: impl FnOnce(&Request<'_, '_>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(too_long(false)),
        _ => return Err(bad("The request is malformed.")),
    }
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(bad("The request is malformed."));
    };
    let target = origin_form(target);
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let is_http_1_1 = version == 1;
    judge(&Request {
        method,
        path,
        query,
        is_http_1_1,
        headers: parsed.headers,
    })
}

/// The path and query of a target in absolute form, which servers must accept (RFC 9112 section
/// 3.2.2), or the target itself.
fn origin_form(target: &str) -> &str {
    let Some((scheme, rest)) = target.split_once("://") else {
        return target;
    };
    if !["http", "https", "ws", "wss"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
    {
        return target;
    }
    rest.find('/').map_or("/", |start| &rest[start..])
}
