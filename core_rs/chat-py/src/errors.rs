//! The one mapping from errors of the core to Python exceptions.

use chat_proto::error::ErrorCode;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

pyo3::create_exception!(
    chatrooms._core,
    CoreError,
    pyo3::exceptions::PyException,
    "A document or body was refused: (code, field or None)."
);

/// A refusal of a document.
pub(crate) fn refused(code: ErrorCode, field: Option<&str>) -> PyErr {
    CoreError::new_err((code.name(), field.map(str::to_owned)))
}

/// A value that the caller should have known to be wrong.
pub(crate) fn bad_value(what: impl Into<String>) -> PyErr {
    PyValueError::new_err(what.into())
}

/// A call on a core that is not running.
pub(crate) fn not_running() -> PyErr {
    PyRuntimeError::new_err("the core is not running")
}
