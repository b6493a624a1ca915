//! What the hub allocates: per idle connection, and on the path of a delivery.
//!
//! The counters are of the whole process, so the tests of this binary take turns.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail"
)]

#[path = "../hub/socket.rs"]
#[allow(dead_code, reason = "made for the other tests")]
mod socket;
#[path = "../hub/world.rs"]
#[allow(dead_code, reason = "made for the other tests")]
mod world;

use std::alloc::System;
use std::io::IoSlice;
use std::sync::{Mutex, PoisonError};

use chat_hub::Hub;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use world::World;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;
static TURN: Mutex<()> = Mutex::new(());

/// Writes out what waits for everybody, with no allocation of its own once it is warm.
fn write_all(world: &mut World, dirty: &mut Vec<u32>, slices: &mut Vec<IoSlice<'static>>) {
    world.hub.take_dirty(dirty);
    for index in dirty.drain(..) {
        let mut gathered: Vec<IoSlice<'_>> = std::mem::take(slices);
        world.hub.gather(index, &mut gathered);
        let count = gathered.iter().map(|slice| slice.len()).sum();
        gathered.clear();
        *slices = gathered.into_iter().map(|_| IoSlice::new(&[])).collect();
        world.hub.wrote(index, count);
    }
}

/// How much memory the hub holds: what is freed when it goes.
fn held_bytes(world: &mut World) -> usize {
    let hub = std::mem::replace(&mut world.hub, Hub::new(world::config(), 0));
    let region = Region::new(ALLOCATOR);
    drop(hub);
    let change = region.change();
    assert_eq!(change.bytes_allocated, 0);
    change.bytes_deallocated
}

/// An idle authenticated connection with `me` and one subscription takes at most 900 bytes.
#[test]
fn an_idle_connection_takes_little_memory() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    // Just below powers of two: memory that was reserved but never touched is not resident.
    let sizes = [2_000, 8_000];
    let held = sizes.map(|size| {
        let mut world = World::new();
        for at in 0..size {
            let room = format!("room-{}", at % 15);
            world.member(
                &format!("01890000-0000-7000-8000-{at:012}"),
                &[room.as_str()],
            );
        }
        world.advance(2 * world::SECOND_US);
        held_bytes(&mut world)
    });
    let each = (held[1] - held[0]) / (sizes[1] - sizes[0]);
    println!("{each} bytes a connection");
    assert!((100..=900).contains(&each), "{each} bytes");
}

/// A run to 100 connections that keep up allocates once for all, not once for each.
#[test]
fn a_fanout_allocates_per_run_not_per_subscriber() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut counts = Vec::new();
    for size in [100, 400] {
        let mut world = World::new();
        for at in 0..size {
            world.member(&format!("u{at}"), &["a"]);
        }
        let (mut dirty, mut slices) = (Vec::with_capacity(size), Vec::with_capacity(4));
        let runs: Vec<_> = (0..40).map(|_| world.post("a", "bob", 4)).collect();
        for run in &runs[..20] {
            world.hub.deliver(run, 0);
            write_all(&mut world, &mut dirty, &mut slices);
        }
        let region = Region::new(ALLOCATOR);
        for run in &runs[20..] {
            world.hub.deliver(run, 0);
            write_all(&mut world, &mut dirty, &mut slices);
        }
        let change = region.change();
        assert_eq!(world.hub.stats().deliveries, 40 * size as u64);
        counts.push(change.allocations + change.reallocations);
    }
    println!("{counts:?} allocations for 20 runs");
    assert!(counts[1] <= 20 * 4, "{counts:?}");
    assert!(counts[1] <= counts[0] + 4, "{counts:?}");
}

/// Connections that come and go leave nothing behind, however often.
#[test]
fn connections_that_come_and_go_leave_nothing() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let held = [2, 12].map(|rounds| {
        let mut world = World::new();
        for _ in 0..rounds {
            for at in 0..200 {
                let client = world.member(&format!("u{at}"), &[format!("r{at}").as_str()]);
                world.publish(&format!("r{at}"), 2);
                world.round();
                world.hub.on_lost(world.sockets[client].index);
                world.round();
            }
            world.advance(130 * world::SECOND_US);
            world.sockets.clear();
            world.logs.clear();
            world.hub.take_fanned_us(&mut Vec::new());
            assert_eq!((world.hub.stats().rooms, world.hub.connections()), (0, 0));
        }
        held_bytes(&mut world)
    });
    println!("{held:?} bytes");
    assert!(held[1] < held[0] + held[0] / 10, "{held:?}");
}
