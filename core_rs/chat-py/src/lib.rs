//! The only crate that names PyO3: the data plane as a Python module.
//!
//! Python calls in, in batches; nothing here ever calls Python, and the shards' threads never
//! attach to the interpreter. Whatever may wait runs detached from it.

mod config;
mod convert;
mod core;
mod errors;
mod scan;

use pyo3::prelude::*;

/// The allocator of the data plane; Python keeps its own. The tables of connections double as they
/// grow, and glibc's arenas keep the holes that the old halves leave.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// chatrooms._core; the types stand in chatrooms/_core.pyi.
#[pymodule(name = "_core", gil_used = false)]
mod module {
    #[pymodule_export]
    use crate::core::Core;
    #[pymodule_export]
    use crate::errors::CoreError;
    #[pymodule_export]
    use crate::scan::{judge_body, members};
}
