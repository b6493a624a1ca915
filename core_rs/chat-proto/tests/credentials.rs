//! Credentials of the handshake: where they may stand, and what form they must have there.

#[path = "common/http.rs"]
mod http;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chat_proto::handshake::Credential;
use http::{accepted, asking, refused, request, status, with_lines};

/// A token is found in the subprotocol and in Authorization; the answer never repeats it.
#[test]
fn tokens_are_found_where_they_may_stand() {
    let bearer = |token: &str| format!("chat.v1, bearer.{}", URL_SAFE_NO_PAD.encode(token));
    let found = Credential::Bearer("aa.bb.c-_".into());
    let by_protocol = request(&[("Sec-WebSocket-Protocol", Some(&bearer("aa.bb.c-_")))]);
    let shown = accepted(&by_protocol);
    assert_eq!(shown.credential, found);
    assert!(
        !String::from_utf8(shown.response)
            .unwrap()
            .contains("bearer")
    );
    for value in ["Bearer aa.bb.c-_", "bearer  aa.bb.c-_"] {
        assert_eq!(
            accepted(&request(&[("Authorization", Some(value))])).credential,
            found
        );
    }
    let both = |token| {
        request(&[
            ("Sec-WebSocket-Protocol", Some(&*bearer("aa.bb.c-_"))),
            ("Authorization", Some(token)),
        ])
    };
    assert_eq!(accepted(&both("Bearer aa.bb.c-_")).credential, found);
    assert_eq!(
        accepted(&both("Bearer aa.bb.other")).credential,
        Credential::Conflict
    );
}

/// A credential whose form is wrong is 400; whether it is good is not asked here.
#[test]
fn malformed_credentials_are_answered_400() {
    for protocol in [
        "chat.v1, bearer.",
        "chat.v1, bearer.a",
        "chat.v1, bearer.YQ==",
        "chat.v1, bearer.a+b/",
        "chat.v1, bearer.YR",
        "chat.v1, bearer._w",
        "chat.v1, bearer.IA",
        "chat.v1, bearer.YQ, bearer.YQ",
    ] {
        let request = request(&[("Sec-WebSocket-Protocol", Some(protocol))]);
        assert_eq!(status(&request), 400, "{protocol}");
    }
    for value in [
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer \"x\"",
        "Bearer =",
    ] {
        assert_eq!(
            status(&request(&[("Authorization", Some(value))])),
            400,
            "{value}"
        );
    }
    assert_eq!(
        status(&with_lines(
            "Authorization: Bearer a\r\nAuthorization: Bearer a"
        )),
        400
    );
}

/// A ticket is found in the query; beside a token it is a conflict.
#[test]
fn tickets_are_found_in_the_query() {
    let ticket = |query: &str| accepted(&asking(&format!("GET /ws?{query} HTTP/1.1"))).credential;
    assert_eq!(ticket("ticket=a-B_9"), Credential::Ticket("a-B_9".into()));
    assert_eq!(ticket("x=1&ticket=%61b&y"), Credential::Ticket("ab".into()));
    let both = with_lines("Authorization: Bearer abc").replacen("/ws ", "/ws?ticket=abc ", 1);
    assert_eq!(accepted(&both).credential, Credential::Conflict);
    for query in [
        "ticket=",
        "ticket",
        "ticket=a&ticket=a",
        "ticket=a%20b",
        "ticket=%ff",
        "ticket=a+b",
    ] {
        assert_eq!(
            status(&asking(&format!("GET /ws?{query} HTTP/1.1"))),
            400,
            "{query}"
        );
    }
    let long = format!("GET /ws?ticket={} HTTP/1.1", "a".repeat(513));
    assert_eq!(status(&asking(&long)), 400);
}

/// A token in the query is refused by its own code, whatever it is called, and not repeated.
#[test]
fn tokens_in_the_query_are_refused() {
    for query in [
        "token=abc",
        "access_token=abc",
        "x=1&Token=abc",
        "%74oken=abc",
        "jwt=a",
        "authorization=a",
        "ticket=eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln",
        "q=eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
    ] {
        let (status, head, body) = refused(asking(&format!("GET /ws?{query} HTTP/1.1")).as_bytes());
        assert_eq!(
            (status, body["code"].as_str()),
            (400, Some("token_in_url")),
            "{query}"
        );
        assert!(!body.to_string().contains("eyJ") && !head.contains("eyJ"));
    }
}
