//! Rooms of a shard and who is subscribed to them: opening, joining, leaving, forgetting.

use std::rc::Rc;
use std::sync::Arc;

use crate::bounds::ROOM_IDLE_US;
use crate::conn::Place;
use crate::effect::PeerNews;
use crate::hub::Hub;
use crate::inbound::log_name;
use crate::room::{Room, Subscriber, VACANT};

impl Hub {
    /// The room of this log, made if it is not there.
    pub(crate) fn room_of(&mut self, log: &str) -> u32 {
        if let Some(&room) = self.by_name.get(log) {
            return room;
        }
        let name: Rc<str> = log.into();
        let room = self.rooms.insert(Room::new(name.clone(), self.desk.now_us)) as u32;
        self.by_name.insert(name, room);
        self.idle.push_back((room, self.desk.now_us));
        room
    }

    /// Keeps what is delivered to a room from now on, until the answer to op `id` comes.
    pub(crate) fn hold_open(&mut self, index: u32, id: u64, log: &str) -> u64 {
        let room = self.room_of(log);
        self.rooms[room as usize].opening += 1;
        self.desk.conn(index).cold().opening.push((id, room, 0));
        self.rooms[room as usize].held_from()
    }

    /// Ends every hold of op `id`; how often it has been asked again.
    pub(crate) fn let_go(&mut self, index: u32, id: u64) -> u8 {
        let conn = self.desk.conn(index);
        let Some(cold) = conn.cold.as_mut() else { return 0 };
        let mut tries = 0;
        cold.opening.retain(|&(of, room, tried)| {
            if of == id {
                self.rooms[room as usize].opening -= 1;
                tries = tries.max(tried);
            }
            of != id
        });
        conn.warm();
        tries
    }

    /// Makes the connection a subscriber, or changes its wishes.
    pub(crate) fn join(&mut self, index: u32, room_at: u32, wants: u8) {
        let conn = &mut self.desk.conns[index as usize];
        let room = &mut self.rooms[room_at as usize];
        if let Some(place) = conn.place_of(room_at) {
            room.subscribers[place.slot as usize].wants = wants;
            return;
        }
        let slot = room.subscribers.len() as u32;
        room.subscribers.push(Subscriber { conn: index, wants });
        conn.places.push(Place { room: room_at, slot });
        if let Some(user) = conn.user.clone().filter(|_| !room.is_private()) {
            let name = room.name.clone();
            self.present(room_at, &user, true);
            self.tell_peers_presence(&name, user, true);
        }
    }

    fn tell_peers_presence(&mut self, name: &str, user: Arc<str>, on: bool) {
        if self.config.has_peers {
            self.news.push(PeerNews::Presence { room: name.into(), user, on });
        }
    }

    /// Ends a subscription at once.
    pub(crate) fn leave(&mut self, index: u32, place: Place) {
        let conn = &mut self.desk.conns[index as usize];
        conn.places.retain(|it| it.room != place.room);
        let user = conn.user.clone();
        let room = &mut self.rooms[place.room as usize];
        if room.is_fanning() {
            room.subscribers[place.slot as usize].conn = VACANT;
            room.lively().vacant += 1;
        } else {
            room.subscribers.swap_remove(place.slot as usize);
            if let Some(moved) = room.subscribers.get(place.slot as usize) {
                let conn = &mut self.desk.conns[moved.conn as usize];
                if let Some(it) = conn.places.iter_mut().find(|it| it.room == place.room) {
                    it.slot = place.slot;
                }
            }
        }
        let vacant = room.lively.as_ref().map_or(0, |lively| lively.vacant as usize);
        if room.subscribers.len() == vacant {
            room.idle_since_us = self.desk.now_us;
            self.idle.push_back((place.room, self.desk.now_us));
        }
        if let Some(user) = user.filter(|_| !self.rooms[place.room as usize].is_private()) {
            let name = self.rooms[place.room as usize].name.clone();
            self.stop_typing(place.room, &user);
            self.present(place.room, &user, false);
            self.tell_peers_presence(&name, user, false);
        }
    }

    pub(crate) fn unsubscribe(&mut self, index: u32, user: &str, room: &str) {
        let Some(&at) = self.by_name.get(log_name(room, user).as_str()) else { return };
        if room != "me"
            && let Some(place) = self.desk.conn(index).place_of(at)
        {
            self.leave(index, place);
        }
    }

    /// Ends all subscriptions and holds of a connection.
    pub(crate) fn leave_everything(&mut self, index: u32) {
        while let Some(&place) = self.desk.conn(index).places.last() {
            self.leave(index, place);
        }
        if let Some(cold) = self.desk.conn(index).cold.take() {
            for (_, room, _) in cold.opening {
                self.rooms[room as usize].opening -= 1;
            }
        }
    }

    /// Takes vacant slots out once no fan-out walks over them.
    pub(crate) fn compact(&mut self, room_at: u32) {
        let room = &mut self.rooms[room_at as usize];
        room.subscribers.retain(|it| it.conn != VACANT);
        for (slot, subscriber) in room.subscribers.iter().enumerate() {
            let conn = &mut self.desk.conns[subscriber.conn as usize];
            if let Some(place) = conn.places.iter_mut().find(|it| it.room == room_at) {
                place.slot = slot as u32;
            }
        }
        room.lively().vacant = 0;
    }

    /// Forgets rooms that have long been empty.
    pub(crate) fn forget_idle(&mut self) {
        while let Some(&(at, since_us)) = self.idle.front() {
            if since_us + ROOM_IDLE_US > self.desk.now_us {
                return;
            }
            self.idle.pop_front();
            let Some(room) = self.rooms.get(at as usize) else { continue };
            if room.idle_since_us != since_us || !room.subscribers.is_empty() {
                continue;
            }
            let roster = room.lively.as_ref().is_some_and(|lively| !lively.roster.is_empty());
            if room.opening > 0 || roster || room.is_fanning() {
                let now_us = self.desk.now_us;
                self.rooms[at as usize].idle_since_us = now_us;
                self.idle.push_back((at, now_us));
                continue;
            }
            let room = self.rooms.remove(at as usize);
            self.recent_bytes -= room.recent_bytes();
            self.by_name.remove(&room.name);
        }
    }
}
