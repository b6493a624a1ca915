//! Holds the error table to `tests/vectors/errors.json`, as a test on the Python side does.

use std::path::Path;

use chat_proto::ErrorCode;

/// The vector file and the enum state the same codes in the same order.
#[test]
fn error_table_is_that_of_the_vectors() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/errors.json");
    let text = std::fs::read_to_string(path).unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let stated: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row["code"].as_str(),
                row["status"].as_u64(),
                row["retry"].as_bool(),
            )
        })
        .collect();
    let built: Vec<_> = ErrorCode::ALL
        .iter()
        .map(|code| {
            (
                Some(code.name()),
                Some(code.http_status().into()),
                Some(code.retry()),
            )
        })
        .collect();
    assert_eq!(stated, built);
}
