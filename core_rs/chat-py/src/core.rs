//! `Core`: the sockets of a node as one Python object.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use chat_net::metrics::{BOUNDS_US, Histogram};
use chat_net::{Node, NodeConfig};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::config::Arguments;
use crate::convert::{self, AckIn, AttachIn, RefusalIn, RunIn, WelcomeIn};
use crate::errors::{bad_value, not_running};

/// Seconds: upper bounds, counts, sum.
type Seconds = (Vec<f64>, Vec<u64>, f64);

enum State {
    Configured(Box<NodeConfig>),
    Running(Arc<Node>),
    Stopped,
}

/// All sockets of a node.
#[pyclass(module = "chatrooms._core", frozen)]
pub(crate) struct Core {
    state: Mutex<State>,
    /// Calls that carried events towards subscribers: their number never depends on how many.
    deliver_calls: AtomicU64,
}

impl Core {
    fn node(&self) -> PyResult<Arc<Node>> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Running(node) => Ok(node.clone()),
            State::Configured(_) | State::Stopped => Err(not_running()),
        }
    }

    fn end(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *state, State::Stopped);
        drop(state);
        if let State::Running(node) = before {
            node.stop();
        }
    }
}

/// One that nobody stopped: its threads are waited for, without the interpreter while it lives.
impl Drop for Core {
    fn drop(&mut self) {
        if Python::try_attach(|py| py.detach(|| self.end())).is_none() {
            self.end();
        }
    }
}

const DEFAULTS: &std::ffi::CStr = c"dict(
    shards=1, origins=(), trusted_proxies=(), ping_ms=25_000, deflate=False, rate_limits=True,
    subscriptions_max=100, connections_max=200_000, connections_per_address_max=0,
    handshakes_per_address_max=1024, recent_bytes_max=67_108_864, outgoing_bytes_max=0,
    drain_notice_ms=200, reuse_port=False, echo=False, message_bytes_max=65_536,
    fragments_max=128, failpoint_mid_fanout=0,
)";

#[pymethods]
impl Core {
    #[new]
    #[pyo3(signature = (**arguments))]
    fn new(py: Python<'_>, arguments: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let all = py.eval(DEFAULTS, None, None)?.cast_into::<PyDict>()?;
        let known = all.len() + 3;
        if let Some(given) = arguments {
            all.update(given.as_mapping())?;
        }
        if all.len() > known {
            return Err(bad_value("unknown argument"));
        }
        let seed = py
            .import("secrets")?
            .call_method1("randbits", (63,))?
            .extract()?;
        let config = all.extract::<Arguments>()?.into_config(seed)?;
        let state = Mutex::new(State::Configured(Box::new(config)));
        Ok(Self {
            state,
            deliver_calls: AtomicU64::new(0),
        })
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            match std::mem::replace(&mut *state, State::Stopped) {
                State::Configured(config) => {
                    *state = State::Running(Arc::new(Node::start(*config)?));
                    Ok(())
                }
                other => {
                    *state = other;
                    Err(bad_value("a core starts once"))
                }
            }
        })
    }

    fn address(&self) -> PyResult<(String, u16)> {
        let address = self.node()?.address();
        Ok((address.ip().to_string(), address.port()))
    }

    fn wake_fd(&self) -> PyResult<i32> {
        Ok(self.node()?.wake_fd())
    }

    fn clear_wake(&self) -> PyResult<()> {
        self.node()?.clear_wake();
        Ok(())
    }

    fn take_sends<'py>(
        &self,
        py: Python<'py>,
        items_max: usize,
        bytes_max: usize,
    ) -> PyResult<Bound<'py, PyList>> {
        convert::sends(py, &self.node()?.take_sends(items_max, bytes_max))
    }

    fn take_asks<'py>(&self, py: Python<'py>, items_max: usize) -> PyResult<Bound<'py, PyList>> {
        convert::asks(py, &self.node()?.take_asks(items_max))
    }

    fn take_auths<'py>(&self, py: Python<'py>, items_max: usize) -> PyResult<Bound<'py, PyList>> {
        convert::auths(py, &self.node()?.take_auths(items_max))
    }

    #[allow(
        clippy::needless_pass_by_value,
        reason = "PyO3 extracts arguments by value"
    )]
    fn deliver(
        &self,
        py: Python<'_>,
        runs: Vec<RunIn>,
        acks: Vec<AckIn>,
        refusals: Vec<RefusalIn>,
    ) -> PyResult<()> {
        // Before the start and after the end there is nobody to tell; the log has it all.
        let Ok(node) = self.node() else { return Ok(()) };
        self.deliver_calls.fetch_add(1, Relaxed);
        // The lines are borrowed, not moved: strings of Python are let go of attached to it.
        py.detach(|| {
            let runs: PyResult<Vec<_>> = runs.iter().map(convert::run).collect();
            let acks = acks.into_iter().map(convert::ack).collect();
            let refusals: PyResult<Vec<_>> = refusals.into_iter().map(convert::refusal).collect();
            node.deliver(runs?, acks, refusals?);
            Ok(())
        })
    }

    #[allow(
        clippy::needless_pass_by_value,
        reason = "PyO3 extracts arguments by value"
    )]
    fn attach(&self, py: Python<'_>, answers: Vec<AttachIn>) -> PyResult<()> {
        let node = self.node()?;
        py.detach(|| {
            let answers: PyResult<Vec<_>> = answers.iter().map(convert::attach).collect();
            node.attach(answers?);
            Ok(())
        })
    }

    #[allow(
        clippy::needless_pass_by_value,
        reason = "PyO3 extracts arguments by value"
    )]
    fn welcome(&self, py: Python<'_>, answers: Vec<WelcomeIn>) -> PyResult<()> {
        let node = self.node()?;
        py.detach(|| {
            let answers: PyResult<Vec<_>> = answers.iter().map(convert::welcome).collect();
            node.welcome(answers?);
            Ok(())
        })
    }

    fn refuse(&self, py: Python<'_>, refusals: Vec<RefusalIn>) -> PyResult<()> {
        let node = self.node()?;
        py.detach(move || {
            let refusals: PyResult<Vec<_>> = refusals.into_iter().map(convert::refusal).collect();
            node.refuse(refusals?);
            Ok(())
        })
    }

    fn reply(&self, py: Python<'_>, answers: Vec<(u64, u64, String)>) -> PyResult<()> {
        let node = self.node()?;
        py.detach(move || {
            let boxed = |(handle, id, fields): (u64, u64, String)| (handle, id, fields.into());
            node.reply(answers.into_iter().map(boxed).collect());
        });
        Ok(())
    }

    fn authorize(
        &self,
        py: Python<'_>,
        connection: u64,
        id: u64,
        session: String,
        expires_ms: u64,
        now_ms: u64,
    ) -> PyResult<()> {
        let node = self.node()?;
        let renewal = convert::renewal((connection, id), session, (expires_ms, now_ms))?;
        py.detach(move || node.authorize(renewal));
        Ok(())
    }

    fn marked(&self, py: Python<'_>, moves: Vec<(u64, String, String, u64)>) -> PyResult<()> {
        let node = self.node()?;
        py.detach(move || node.marked(moves));
        Ok(())
    }

    fn end_session(&self, py: Python<'_>, session: &str) -> PyResult<()> {
        let node = self.node()?;
        py.detach(move || node.end_session(session));
        Ok(())
    }

    fn drain(&self, py: Python<'_>, window_ms: u64) -> PyResult<()> {
        let node = self.node()?;
        py.detach(move || node.drain(window_ms));
        Ok(())
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.end());
    }

    fn open_connections(&self) -> PyResult<usize> {
        Ok(self.node()?.open_connections())
    }

    fn counters(&self) -> PyResult<BTreeMap<&'static str, u64>> {
        let mut counters: BTreeMap<_, _> = self.node()?.stats().numbers().into_iter().collect();
        counters.insert("deliver_calls", self.deliver_calls.load(Relaxed));
        Ok(counters)
    }

    fn closes(&self) -> PyResult<BTreeMap<u16, u64>> {
        Ok(self.node()?.stats().closes)
    }

    fn histograms(&self) -> PyResult<BTreeMap<&'static str, Seconds>> {
        let node = self.node()?;
        let durations = node.durations();
        Ok(BTreeMap::from([
            (
                "receipt_to_commit_seconds",
                seconds(&durations.receipt_to_commit),
            ),
            ("ack_seconds", seconds(&durations.ack)),
            (
                "commit_to_last_write_seconds",
                seconds(&durations.commit_to_last_write),
            ),
        ]))
    }
}

fn seconds(histogram: &Histogram) -> Seconds {
    let (counts, sum_us) = histogram.read();
    (
        BOUNDS_US.iter().map(|us| *us as f64 / 1e6).collect(),
        counts,
        sum_us as f64 / 1e6,
    )
}
