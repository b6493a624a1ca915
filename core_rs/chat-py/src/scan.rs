//! The strict JSON judge of the sockets, for REST.

use chat_proto::error::ErrorCode;
use chat_proto::{body, json};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::errors::refused;

/// Top-level members of a strict JSON object, their exact value bytes.
#[pyfunction]
pub(crate) fn members<'py>(py: Python<'py>, document: &[u8]) -> PyResult<Bound<'py, PyDict>> {
    let object = json::object(document).map_err(|_| refused(ErrorCode::BadRequest, None))?;
    let members = PyDict::new(py);
    for member in &object {
        members.set_item(&*member.key, PyBytes::new(py, member.value))?;
    }
    Ok(members)
}

/// Whether `body` is a message body within the bounds.
#[pyfunction]
#[pyo3(name = "judge_body")]
pub(crate) fn judge_body(body: &[u8]) -> PyResult<()> {
    json::check(body).map_err(|_| refused(ErrorCode::BadRequest, Some("body")))?;
    body::judge(body).map_err(|error| refused(error.code, Some(error.field)))
}
